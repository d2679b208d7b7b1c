"""Load and store alert episodes in bulk, with Core SQL: one statement for many rows."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select

from core import bulk
from core.db import UnitOfWork
from core.types import Severity
from incidents.alert_models import Alert, AlertDelivery
from incidents.episodes import Episode, Item, restored
from incidents.models import Incident

FIRST_DELIVERIES = 20
LAST_DELIVERIES = 20
HIDDEN = "an earlier, restricted incident"
"""What the reasons of others call an incident that not every reader may see."""

_alerts: Any = Alert.__table__
_deliveries: Any = AlertDelivery.__table__


@dataclass(frozen=True)
class SourceFacts:
    """What of a source matters for its alerts; `restricted_to` are ids of users, None for everybody.

    `learning`: it is new, so its alerts wake somebody only when they are critical.
    """

    id: UUID
    name: str
    connector: str
    trust: str = "normal"
    quiet_after: timedelta = timedelta(hours=24)
    constituency_id: UUID | None = None
    team_id: UUID | None = None
    restricted_to: tuple[str, ...] | None = None
    learning: bool = False


def scoped(source: SourceFacts, key: str) -> str:
    """A group's key within what the source belongs to: alerts of different circles of readers never mix."""
    circle = (
        source.constituency_id,
        source.team_id,
        sorted(source.restricted_to or ()),
        source.restricted_to is None,
    )
    if circle == (None, None, [], True):
        return key
    return f"{key} @{hashlib.sha256(repr(circle).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class IncidentState:
    """What of an alert's incident matters when the alert comes again."""

    key: str
    closed: bool
    disposition: str | None


def load_open(uow: UnitOfWork, source_id: UUID, fingerprints: Sequence[str]) -> dict[str, Episode]:
    """The open episode of each fingerprint that has one, locked, in the order of the fingerprints."""
    query = (
        select(*_LOADED)
        .where(
            _alerts.c.source_id == source_id,
            bulk.among(uow, _alerts.c.fingerprint, fingerprints),
            _alerts.c.ended_at.is_(None),
        )
        .order_by(_alerts.c.fingerprint)
        .with_for_update()
    )
    return {row["fingerprint"]: _episode(row) for row in uow.execute(query).mappings()}


def load_last(uow: UnitOfWork, source_id: UUID, fingerprints: Sequence[str]) -> dict[str, Episode]:
    """The newest ended episode of each fingerprint that has one."""
    newest = (
        select(
            _alerts.c.id,
            func.row_number()
            .over(
                partition_by=_alerts.c.fingerprint,
                order_by=(_alerts.c.created_at.desc(), _alerts.c.id.desc()),
            )
            .label("place"),
        )
        .where(
            _alerts.c.source_id == source_id,
            bulk.among(uow, _alerts.c.fingerprint, fingerprints),
            _alerts.c.ended_at.is_not(None),
        )
        .subquery()
    )
    query = select(*_LOADED).join(newest, newest.c.id == _alerts.c.id).where(newest.c.place == 1)
    return {row["fingerprint"]: _episode(row) for row in uow.execute(query).mappings()}


def incident_states(uow: UnitOfWork, episodes: Iterable[Episode]) -> dict[UUID, IncidentState]:
    """What became of the incidents these episodes belong to; also marks the episodes of closed ones."""
    listed = list(episodes)
    ids = {episode.incident_id for episode in listed if episode.incident_id is not None}
    if not ids:
        return {}
    query = select(Incident.id, Incident.key, Incident.closed_at, Incident.disposition, Incident.restricted_to).where(
        bulk.among(uow, Incident.id, ids)
    )
    states = {
        row.id: IncidentState(
            row.key if row.restricted_to is None else HIDDEN, row.closed_at is not None, row.disposition
        )
        for row in uow.execute(query)
    }
    for episode in listed:
        if episode.incident_id is not None:
            episode.incident_closed = states[episode.incident_id].closed
    return states


def insert(uow: UnitOfWork, source: SourceFacts, episodes: Sequence[Episode]) -> set[UUID]:
    """Insert new episodes; returns the ids of those stored: an open one is left out when another worker was first."""
    if not episodes:
        return set()
    rows = [new_row(source, episode) | {"created_at": uow.now} for episode in episodes]
    first_wins = "ON CONFLICT (source_id, fingerprint) WHERE ended_at IS NULL DO NOTHING"
    stored = bulk.insert(uow, _alerts, rows, first_wins, returning=True)
    for episode in episodes:
        episode.stored = episode.id in stored
    return stored


def end(uow: UnitOfWork, episodes: Sequence[Episode]) -> None:
    """Write that stored episodes have ended, before a new one of the same fingerprint is inserted."""
    rows = [{"id": e.id, "ended_at": e.ended_at, "ended_by": e.ended_by} for e in episodes]
    bulk.update(uow, _alerts, rows)


def save(uow: UnitOfWork, episodes: Sequence[Episode]) -> None:
    """Write what has changed of stored episodes: the counts alone where nothing else did."""
    counted = [e for e in episodes if _only_counted(e)]
    changed = [e for e in episodes if not _only_counted(e)]
    bulk.update(uow, _alerts, [_counts(e) for e in counted])
    bulk.update(uow, _alerts, [_counts(e) | _changes(e) for e in changed])


def link_deliveries(uow: UnitOfWork, episodes: Iterable[Episode]) -> None:
    """Remember which deliveries the episodes came in: the first twenty and about the last twenty."""
    slots: dict[tuple[UUID, int], dict[str, Any]] = {}
    for episode in episodes:
        number = max(episode.count - len(episode.items), 0)
        for item in episode.items:
            number += 1
            if item.delivery_id is None:
                continue
            slot = number if number <= FIRST_DELIVERIES else FIRST_DELIVERIES + 1 + number % LAST_DELIVERIES
            slots[episode.id, slot] = {
                "alert_id": episode.id, "slot": slot, "delivery_id": item.delivery_id, "received_at": item.received_at,
            }  # fmt: skip
    last_wins = "ON CONFLICT (alert_id, slot) DO UPDATE SET delivery_id = excluded.delivery_id, received_at = excluded.received_at"
    bulk.insert(uow, _deliveries, [slots[place] for place in sorted(slots)], last_wins)


def new_row(source: SourceFacts, episode: Episode) -> dict[str, Any]:
    """The columns of a new alert row."""
    draft = episode.draft
    assert draft is not None
    return {
        "id": episode.id,
        "source_id": source.id,
        "source": source.name[:200],
        "connector": source.connector,
        "trust": source.trust,
        "constituency_id": source.constituency_id,
        "team_id": source.team_id,
        "restricted_to": list(source.restricted_to) if source.restricted_to is not None else None,
        "fingerprint": episode.fingerprint,
        "external_id": _clip(draft.external_id, 500),
        "title": _clip(draft.title, 500) or "(no title)",
        "description": _clip(draft.description, 20_000),
        "severity": episode.severity.value,
        "severity_raw": _clip(draft.severity_raw, 200),
        "status": episode.status,
        "status_raw": _clip(draft.status_raw, 200),
        "rule_id": _clip(draft.rule_id, 500),
        "rule_name": _clip(draft.rule_name, 500),
        "category": _clip(draft.category, 32),
        "entities": _stored_entities(episode),
        "techniques": list(draft.techniques[:100]),
        "tags": list(draft.tags[:100]),
        "labels": dict(draft.labels),
        "url": _clip(draft.url, 4000),
        "correlation": _clip(draft.correlation, 500),
        "is_test": draft.is_test,
        "late": episode.late,
        "learning": episode.learning,
        "occurred_at": episode.occurred_at,
        "resolved_at": episode.resolved_at,
        "first_seen": episode.first_seen,
        "last_seen": episode.last_seen,
        "count": episode.count,
        "history": episode.history,
        "quiet_until": episode.quiet_until,
        "ended_at": episode.ended_at,
        "ended_by": episode.ended_by,
        "incident_id": episode.incident_id,
        "acceptance_id": episode.acceptance_id,
        "rule": episode.rule,
        "group_key": episode.group_key,
        "why": episode.why,
        "recurrence_of": episode.recurrence_of,
        "indexed_at": None,
    }


def as_judged(source: SourceFacts, episode: Episode, items: Sequence[Item]) -> dict[str, Any]:
    """The columns the rules look at, as they are now: the newest draft's words with the episode's counts."""
    newest = items[-1].draft if items else episode.draft
    assert newest is not None
    judged = Episode(**{name: getattr(episode, name) for name in _EPISODE_FIELDS}, draft=newest)
    return new_row(source, judged)


_EPISODE_FIELDS = (
    "fingerprint", "id", "status", "severity", "entities", "count", "late", "learning", "occurred_at", "first_seen",
    "last_seen",
)  # fmt: skip
_LOADED = tuple(
    _alerts.c[name]
    for name in (
        "id", "fingerprint", "status", "severity", "entities", "count", "history", "late", "learning", "occurred_at",
        "resolved_at", "first_seen", "last_seen", "quiet_until", "ended_at", "ended_by", "incident_id",
        "acceptance_id", "rule", "group_key", "why", "recurrence_of",
    )
)  # fmt: skip
_COUNTED_COLUMNS = ("count", "history", "last_seen", "quiet_until", "status", "occurred_at")
_CHANGED_COLUMNS = (
    "severity", "entities", "late", "learning", "resolved_at", "ended_at", "ended_by", "incident_id", "acceptance_id", "rule",
    "group_key", "why", "recurrence_of",
)  # fmt: skip


def _episode(row: RowMapping) -> Episode:
    values = {
        **row,
        "severity": Severity(row["severity"]),
        "entities": restored(row["entities"]),
        "stored": True,
    }
    return Episode(**values)


def _only_counted(episode: Episode) -> bool:
    return not (
        episode.decide or episode.reasons or episode.new_entities or episode.ended_at or episode.became_live
    )


def _counts(episode: Episode) -> dict[str, Any]:
    return {"id": episode.id} | {name: getattr(episode, name) for name in _COUNTED_COLUMNS}


def _changes(episode: Episode) -> dict[str, Any]:
    values = {name: getattr(episode, name) for name in _CHANGED_COLUMNS}
    return values | {
        "severity": episode.severity.value,
        "entities": _stored_entities(episode),
        "indexed_at": None,
    }


def _stored_entities(episode: Episode) -> list[dict[str, str]]:
    return [{"type": kind, "value": value, "role": role} for kind, value, role in episode.entities]


def _clip(value: str | None, limit: int) -> str | None:
    return value[:limit].replace("\x00", "\ufffd") if value is not None else None
