"""Tell which alerts are ignored for now, while a batch is taken in, and count them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from core.db import UnitOfWork
from core.types import Severity
from incidents.acceptance_models import Acceptance
from incidents.episodes import Episode

_SEEN = frozenset({"new", "counted", "recurred"})


@dataclass(frozen=True)
class Ignored:
    """What matters of an acceptance in force."""

    id: UUID
    rule: str
    entity: tuple[str, str, str]  # type, value, role
    beside: frozenset[str]
    severity: Severity
    criticals: bool
    until: datetime
    reason: str
    made_by: str
    restricted: bool  # not every reader of the alerts it hides may read what was said

    def hides(self, rule: str, severity: Severity, entities: Collection[tuple[str, str, str]]) -> bool:
        """Whether an alert is one of those that were meant.

        It is of the same rule and names the same thing in the same role and no other one there (another host is
        news); it is not worse than what was accepted, and critical only if critical ones were expressly meant.
        """
        if rule != self.rule or severity.rank > self.severity.rank:
            return False
        if severity is Severity.critical and not self.criticals:
            return False
        kind, value, role = self.entity
        named = {
            other for other_kind, other, other_role in entities if (other_kind, other_role) == (kind, role)
        }
        return value in named and named <= {value, *self.beside}

    @property
    def why(self) -> str:
        """The words that stand on the alert."""
        until = f"ignored until {self.until:%Y-%m-%d %H:%M} UTC"
        return until if self.restricted else f"{until}, as {self.made_by} said: {self.reason}"


def rule_of(rule_id: str | None, rule_name: str | None, title: str) -> str:
    """What tells a detection from others of its source: its id, or its name, or its title."""
    return (rule_id or rule_name or title)[:500].replace("\x00", "\ufffd")


def in_force(uow: UnitOfWork, source_id: UUID) -> list[Ignored]:
    """What is ignored of a source now."""
    rows = uow.execute(
        select(
            Acceptance.id, Acceptance.rule, Acceptance.entity_type, Acceptance.entity_value, Acceptance.entity_role,
            Acceptance.beside, Acceptance.severity, Acceptance.criticals, Acceptance.until, Acceptance.reason,
            Acceptance.made_by, Acceptance.restricted_to,
        ).where(Acceptance.source_id == source_id, Acceptance.ended_at.is_(None), Acceptance.until > uow.now)
        .order_by(Acceptance.created_at)
    )  # fmt: skip
    return [
        Ignored(
            row.id, row.rule, (row.entity_type, row.entity_value, row.entity_role), frozenset(row.beside),
            Severity(row.severity), row.criticals, row.until, row.reason, row.made_by,
            row.restricted_to is not None,
        )
        for row in rows
    ]  # fmt: skip


def hide(episodes: Iterable[Episode], ignored: Sequence[Ignored]) -> list[Episode]:
    """Mark those of the episodes that are ignored, and return the others, for which the rules have to be asked."""
    left = []
    for episode in episodes:
        newest = episode.items[-1].draft if episode.items else episode.draft
        assert newest is not None
        rule = rule_of(newest.rule_id, newest.rule_name, newest.title)
        found = next((one for one in ignored if one.hides(rule, episode.severity, episode.entities)), None)
        episode.acceptance_id = found.id if found else None
        if found is None:
            left.append(episode)
        else:
            episode.rule, episode.group_key, episode.why = None, None, found.why
    return left


def count(uow: UnitOfWork, episodes: Iterable[Episode]) -> None:
    """Add what a batch brought of ignored alerts to what each acceptance has hidden."""
    numbers: Counter[UUID] = Counter()
    for episode in episodes:
        if episode.acceptance_id is not None and episode.incident_id is None:
            numbers[episode.acceptance_id] += sum(item.outcome in _SEEN for item in episode.items)
    for acceptance_id, number in sorted(numbers.items()):
        if number:
            uow.execute(
                update(Acceptance)
                .where(Acceptance.id == acceptance_id)
                .values(hidden=Acceptance.hidden + number, last_hidden_at=uow.now)
                .execution_options(synchronize_session=False)
            )
