"""Choose, for a kind of alert that storms, where it gathers: in the first incident of its kind, if nobody works on it yet."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError

from core.db import UnitOfWork
from core.types import Severity
from incidents import storms
from incidents.alert_rows import SourceFacts
from incidents.grouping import MAX_SPAN
from incidents.models import Alert, Incident

_SINCE = timedelta(hours=1)
_LOOKED_AT = 50  # a storm is known long before a source has opened so many


def adopt(
    uow: UnitOfWork, source: SourceFacts, wanted: Mapping[str, str], key: Callable[[str, bool], str]
) -> None:
    """Let the source's first incident of each wanted kind, if it is untouched, take the storm's group key.

    `wanted` maps the group keys of a storm to the words why, `key` makes such a key of a kind and whether it is critical.
    What somebody has taken, moved, judged, closed or restricted stays as it is.
    """
    taken: set[str] = set()
    for row in uow.execute(_candidates(uow, source)).all():
        named = [entity["value"] for entity in row.entities[:50]]
        kind = storms.kind(row.rule_id, row.rule_name, row.title, named)
        of = key(kind, row.severity == Severity.critical)
        if of in taken or of not in wanted or not _same_circle(source, row):
            continue
        why = f"{row.group_why}; {wanted[of]}" if row.group_why else wanted[of]
        if _take(uow, row.id, of, why):
            taken.add(of)


def _candidates(uow: UnitOfWork, source: SourceFacts) -> Any:
    first = (
        select(Alert.id)
        .where(Alert.incident_id == Incident.id)
        .order_by(Alert.created_at, Alert.id)
        .limit(1)
        .correlate(Incident)
        .scalar_subquery()
    )
    return (
        select(
            Incident.id, Incident.severity, Incident.group_why, Incident.constituency_id, Incident.team_id,
            Incident.restricted_to, Alert.rule_id, Alert.rule_name, Alert.title, Alert.entities,
        )
        .join(Alert, Alert.id == first)
        .where(
            *_untouched(),
            Incident.created_at > uow.now - _SINCE,
            Incident.source == source.name[:200],
            Incident.group_until > uow.now,
            Alert.source_id == source.id,
        )
        .order_by(Incident.created_at, Incident.id)
        .limit(_LOOKED_AT)
    )  # fmt: skip


def _untouched() -> tuple[Any, ...]:
    return (
        Incident.closed_at.is_(None),
        Incident.group_released_at.is_(None),
        Incident.group_key.not_like("storm:%"),
        Incident.owner_id.is_(None),
        Incident.stage == "new",
        Incident.confirmation == "unconfirmed",
        Incident.severity_reason.is_(None),
    )


def _same_circle(source: SourceFacts, row: Any) -> bool:
    readers = list(source.restricted_to) if source.restricted_to is not None else None
    return (row.constituency_id, row.team_id, row.restricted_to) == (
        source.constituency_id,
        source.team_id,
        readers,
    )


def _take(uow: UnitOfWork, incident: UUID, key: str, why: str) -> bool:
    """Give the incident the key, unless it was touched, or another worker gave the key to another, meanwhile."""
    change = (
        update(Incident)
        .where(Incident.id == incident, *_untouched())
        .values(group_key=key, group_why=why, group_limit=uow.now + MAX_SPAN)
        .execution_options(synchronize_session=False)
    )
    try:
        with uow.begin_nested():
            done = uow.execute(change)
    except IntegrityError:
        return True  # theirs is found by its key
    assert isinstance(done, CursorResult)
    return done.rowcount == 1
