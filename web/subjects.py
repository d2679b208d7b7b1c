"""What rows of other tables name of incidents: which of those the reader may see, and their keys."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.types import Ref
from incidents.models import Incident
from incidents.visibility import as_id, visible_refs, visible_to


class Recurring(Protocol):
    """Anything the API tells that may come after a closed incident."""

    recurrence_of: UUID | None

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """The same with other values."""


Told = TypeVar("Told", bound=Recurring)


def without_hidden(session: Session, actor: Actor, told: Sequence[Told]) -> list[Told]:
    """The same, but for the ids of closed incidents that the reader may not see."""
    named = {one.recurrence_of for one in told if one.recurrence_of is not None}
    if not named:
        return list(told)
    seen = set(session.scalars(select(Incident.id).where(Incident.id.in_(named), visible_to(actor))))
    return [
        one if one.recurrence_of in seen else one.model_copy(update={"recurrence_of": None}) for one in told
    ]


class Concerning(Protocol):
    """Anything that was done for a subject."""

    @property
    def subject(self) -> Ref: ...


Row = TypeVar("Row", bound=Concerning)


def seen(session: Session, actor: Actor, rows: Sequence[Row]) -> list[Row]:
    """Those of the rows whose subject the reader may see."""
    visible = visible_refs(session, actor, (row.subject for row in rows))
    return [row for row in rows if row.subject in visible]


def keys_of(session: Session, subjects: Sequence[Ref]) -> dict[Ref, str]:
    """The keys of the subjects that are incidents."""
    ids = {of: ref for ref in subjects if ref.kind == "incident" and (of := as_id(ref.id))}
    if not ids:
        return {}
    query = select(Incident.id, Incident.key).where(Incident.id.in_(ids))
    return {ids[row.id]: row.key for row in session.execute(query)}
