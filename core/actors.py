"""Who acts: a person, a token, a playbook, a connector, a source, a reporter or Tocsin itself."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    """The kinds of actors that the journal knows."""

    person = "person"
    token = "token"  # noqa: S105 - the kind's name, not a secret
    playbook = "playbook"
    connector = "connector"
    source = "source"
    reporter = "reporter"
    system = "system"


# Parts of Tocsin act with the permission of whoever configured them; the doors hold their own guard rails.
_TRUSTED = frozenset({ActorKind.playbook, ActorKind.connector, ActorKind.source, ActorKind.system})


@dataclass(frozen=True, slots=True)
class Actor:
    """One actor; `id` is the row's id (user, token, run…) as text, `name` is what timelines show.

    `roles` are a person's. `proved_at` is when the person's session last showed a second factor; None when it never has.
    """

    kind: ActorKind
    id: str
    name: str
    permissions: frozenset[str] = frozenset()
    proved_at: datetime | None = field(default=None, compare=False)
    roles: tuple[str, ...] = field(default=(), compare=False)

    def may(self, permission: str) -> bool:
        """Whether this actor holds the permission; Tocsin's own parts hold all."""
        return self.kind in _TRUSTED or permission in self.permissions

    @property
    def user_id(self) -> UUID | None:
        """The person's id, or None when the actor is not a person."""
        return UUID(self.id) if self.kind is ActorKind.person else None


SYSTEM = Actor(ActorKind.system, "system", "Tocsin")
