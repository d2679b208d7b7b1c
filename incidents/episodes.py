"""Fold a batch of drafts of one fingerprint into the episodes of that alert.

Pure: the open row (if there is one), the last ended one and the drafts in the order they arrived go in; episodes
that must be inserted or updated come out, each with what happened to every draft and why the rules must run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.contract import AlertDraft
from core.ids import new_id
from core.types import Severity
from incidents import repeats

MAX_ENTITIES = 200
_TELLING = ("host", "user")


@dataclass(slots=True)
class Item:
    """One draft of the batch: where it stood in it, which delivery brought it, and what became of it."""

    place: int
    draft: AlertDraft
    delivery_id: UUID | None
    received_at: datetime
    outcome: str = ""


@dataclass(slots=True)
class Episode:
    """One alert row in memory. `incident_*` tell of the incident it belongs to, as it was when the batch began."""

    fingerprint: str
    id: UUID = field(default_factory=new_id)
    stored: bool = False
    draft: AlertDraft | None = None  # what a new row is made of
    status: str = "firing"
    severity: Severity = Severity.unknown
    entities: dict[tuple[str, str, str], None] = field(default_factory=dict)
    new_entities: list[tuple[str, str, str]] = field(default_factory=list)
    count: int = 0
    history: repeats.History = field(default_factory=list)
    late: bool = False
    learning: bool = False
    occurred_at: datetime | None = None
    resolved_at: datetime | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    quiet_until: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    incident_id: UUID | None = None
    incident_closed: bool = False
    acceptance_id: UUID | None = None
    rule: str | None = None
    group_key: str | None = None
    why: str | None = None
    recurrence_of: UUID | None = None  # the closed incident of the episode before
    same_as: UUID | None = None  # the still open incident of the episode before
    decide: bool = False  # the rules have to run
    reasons: list[str] = field(default_factory=list)  # why, for a row that was there
    became_live: bool = False
    touched: bool = False
    ended_now: bool = False
    items: list[Item] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether a repeat would be counted here."""
        return self.ended_at is None


@dataclass(frozen=True)
class Habits:
    """What of a source and of the rules matters for folding."""

    quiet_after: timedelta
    thresholds: tuple[int, ...] = ()
    learning: bool = False
    ignored: frozenset[UUID] = frozenset()  # the acceptances in force


def fold(
    fingerprint: str, current: Episode | None, last: Episode | None, items: Sequence[Item], habits: Habits
) -> list[Episode]:
    """The episodes this batch touches: `current` is the open one, `last` the newest that has ended."""
    touched: dict[UUID, Episode] = {}
    for item in items:
        draft, at = item.draft, item.received_at
        if current is not None and _has_fallen_quiet(current, draft, at):
            _end(current, current.quiet_until or at, "quiet")
            touched[current.id], last, current = current, current, None
        if draft.status == "resolved":
            episode = _resolve(fingerprint, current, last, item, habits)
        else:
            if current is not None and current.incident_closed:
                _end(current, at, "closed")
                touched[current.id], last, current = current, current, None
            episode = _fire(fingerprint, current, last, item, habits)
        episode.items.append(item)
        touched[episode.id] = episode
        if episode.open:
            current = episode
        else:
            last = episode
            current = None if current is episode else current
    return list(touched.values())


def _has_fallen_quiet(current: Episode, draft: AlertDraft, at: datetime) -> bool:
    return draft.status != "resolved" and current.quiet_until is not None and current.quiet_until < at


def _end(episode: Episode, at: datetime, by: str) -> None:
    episode.ended_at, episode.ended_by, episode.touched, episode.ended_now = at, by, True, True


def _resolve(
    fingerprint: str, current: Episode | None, last: Episode | None, item: Item, habits: Habits
) -> Episode:
    draft, at = item.draft, item.received_at
    if current is not None:
        if repeats.resolve_is_stale(draft.occurred_at, current.occurred_at):
            item.outcome = "stale"
            return current
        _end(current, at, "resolved")
        current.status, current.resolved_at = "resolved", draft.occurred_at or at
        item.outcome = "resolved"
        return current
    item.outcome = "resolved"
    if last is not None and (
        last.resolved_at is None or draft.occurred_at is None or draft.occurred_at <= last.resolved_at
    ):
        if last.resolved_at is None:
            last.resolved_at, last.status, last.touched = draft.occurred_at or at, "resolved", True
        return last
    # Nothing to resolve: remembered, because its firing may still be on the way.
    episode = _begin(fingerprint, item, habits)
    _end(episode, at, "resolved")
    episode.status, episode.resolved_at = "resolved", draft.occurred_at or at
    episode.incident_id = None
    return episode


def _fire(
    fingerprint: str, current: Episode | None, last: Episode | None, item: Item, habits: Habits
) -> Episode:
    draft = item.draft
    if current is not None:
        _repeat(current, item, habits)
        item.outcome = "counted"
        return current
    if (
        last is not None
        and last.ended_by == "resolved"
        and repeats.already_over(draft.occurred_at, last.resolved_at)
    ):
        first = last.count == 0
        _repeat(last, item, habits)
        last.decide = last.decide or first
        item.outcome = "new" if first else "counted"
        if first:
            last.reasons, last.draft = [], last.draft or draft
        return last
    episode = _begin(fingerprint, item, habits)
    _count(episode, item)
    episode.decide = True
    item.outcome = "new"
    if last is not None and last.incident_id is not None:
        if last.incident_closed:
            episode.recurrence_of = last.incident_id
            item.outcome = "recurred"
        else:
            episode.same_as = last.incident_id
    return episode


def _begin(fingerprint: str, item: Item, habits: Habits) -> Episode:
    draft, at = item.draft, item.received_at
    return Episode(
        fingerprint=fingerprint,
        draft=draft,
        status=draft.status,
        severity=draft.severity,
        entities=dict.fromkeys(_triples(draft)),
        new_entities=_triples(draft),
        late=repeats.is_late(draft.occurred_at, at),
        learning=habits.learning,
        occurred_at=draft.occurred_at if draft.status != "resolved" else None,
        first_seen=at,
        last_seen=at,
        quiet_until=repeats.quiet_until(at, habits.quiet_after),
    )


def _count(episode: Episode, item: Item) -> None:
    episode.count += 1
    episode.history = repeats.checkpoint(episode.history, item.received_at, episode.count)
    episode.touched = True


def _repeat(episode: Episode, item: Item, habits: Habits) -> None:
    draft, at, before = item.draft, item.received_at, episode.count
    _count(episode, item)
    for mark in repeats.crossed(before, episode.count, habits.thresholds):
        episode.reasons.append(f"seen {mark} times")
    if draft.severity.rank > episode.severity.rank:
        if episode.stored or before:
            episode.reasons.append(f"severity {draft.severity} after {episode.severity}")
        episode.severity = draft.severity
    for triple in _triples(draft):
        if triple in episode.entities or len(episode.entities) >= MAX_ENTITIES:
            continue
        if triple[0] in _TELLING and not any(known[:2] == triple[:2] for known in episode.entities):
            episode.reasons.append(f"new {triple[0]} {triple[1]}")
        episode.entities[triple] = None
        episode.new_entities.append(triple)
    if episode.late and not repeats.is_late(draft.occurred_at, at):
        episode.late, episode.became_live = False, True
        episode.reasons.append("fresh after late ones")
    if episode.learning and not habits.learning:
        episode.learning, episode.became_live = False, True
        episode.reasons.append("still there after its source was learned")
    if episode.acceptance_id is not None and episode.acceptance_id not in habits.ignored:
        episode.acceptance_id = None
        if episode.incident_id is None:
            episode.reasons.append("no longer ignored")
    if episode.open:
        episode.status = draft.status
    episode.occurred_at = _later(episode.occurred_at, draft.occurred_at)
    episode.last_seen = _later(episode.last_seen, at)
    if episode.open:
        episode.quiet_until = repeats.quiet_until(episode.last_seen or at, habits.quiet_after)


def _triples(draft: AlertDraft) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str, str], Any] = {}
    for entity in draft.entities[:MAX_ENTITIES]:
        found[entity.type, entity.value[:2048], entity.role] = None
    return list(found)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [at for at in (one, other) if at is not None]
    return max(known) if known else None


def restored(triples: Iterable[dict[str, Any]]) -> dict[tuple[str, str, str], None]:
    """Entities as they are stored in a row, as an Episode holds them."""
    return {(item["type"], item["value"], item["role"]): None for item in triples}
