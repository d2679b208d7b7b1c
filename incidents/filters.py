"""What lists can be narrowed by, and the conditions that means."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, exists, func, or_, select, true
from sqlalchemy.orm import Session

from connectors.entities import classify, normalise
from core import bulk
from core.actors import Actor
from incidents.models import Alert, Incident, Sighting
from incidents.observables import observable_id
from incidents.visibility import as_id

MOST_SEEN = 2000
"""What saw a value is gathered whole up to this many sightings; beyond them rows are looked at one by one, newest first."""
_SPAN = ("from", "to")


@dataclass(frozen=True)
class IncidentFilter:
    """What to list; empty fields do not filter. `state` is open, closed or all; `owner` a user's id, "none" or "me"."""

    state: str = "open"
    stages: Sequence[str] = ()
    severities: Sequence[str] = ()
    owner: str | None = None
    team: UUID | None = None
    constituency: UUID | None = None
    category: str | None = None
    kind: str | None = None
    confirmation: str | None = None
    waiting_on: str | None = None
    source: str | None = None
    tag: str | None = None
    technique: str | None = None
    observable: str | None = None  # a value: an address, a hash, a host, a user…
    late: bool | None = None
    learning: bool | None = None
    exercise: bool | None = None
    words: str | None = None  # in the title
    opened_from: datetime | None = None
    opened_to: datetime | None = None


@dataclass(frozen=True)
class AlertFilter:
    """What to list; empty fields do not filter. `state` is open, ended or all."""

    state: str = "all"
    severities: Sequence[str] = ()
    source_id: UUID | None = None
    connector: str | None = None
    category: str | None = None
    incident: UUID | None = None
    ignored: bool | None = None  # by what people said, now or before
    acceptance: UUID | None = None
    attached: bool | None = None  # has an incident, or has none
    late: bool | None = None
    learning: bool | None = None
    is_test: bool | None = None
    rule_id: str | None = None
    observable: str | None = None
    words: str | None = None
    seen_from: datetime | None = None
    seen_to: datetime | None = None


@dataclass(frozen=True)
class Narrowed:
    """A filter as conditions: those that one index answers in the order of the list, and the others."""

    led: list[ColumnElement[bool]]
    rest: list[ColumnElement[bool]]


# Which conditions have an index that ends in (created_at, id); the first that are all asked for lead the way.
_INCIDENT_LEADS: tuple[frozenset[str], ...] = (
    frozenset({"owner", "open"}), frozenset({"severity", "open"}), frozenset({"open"}), frozenset({"owner"}),
    frozenset({"severity"}), frozenset({"category"}), frozenset({"closed"}),
)  # fmt: skip
_ALERT_LEADS: tuple[frozenset[str], ...] = (
    frozenset({"incident"}), frozenset({"open"}), frozenset({"severity"}), frozenset({"source_id"}), frozenset({"acceptance"}), frozenset({"loose"}),
)  # fmt: skip


def narrowed_incidents(actor: Actor, wanted: IncidentFilter) -> Narrowed:
    """The conditions on `Incident` a filter means; visibility and values (`seeing`) are the caller's."""
    found: dict[str, ColumnElement[bool]] = {}
    if wanted.state == "open":
        found["open"] = Incident.closed_at.is_(None)
    elif wanted.state == "closed":
        found["closed"] = Incident.closed_at.is_not(None)
    if wanted.stages:
        found["stages"] = Incident.stage.in_(list(wanted.stages))
    _severities(found, Incident.severity, wanted.severities)
    if wanted.owner == "none":
        found["owner"] = Incident.owner_id.is_(None)
    elif wanted.owner == "me":
        found["owner"] = Incident.owner_id == actor.user_id
    elif wanted.owner:
        found["owner"] = Incident.owner_id == as_id(wanted.owner)
    for name, column in (
        ("team", Incident.team_id), ("constituency", Incident.constituency_id), ("category", Incident.category),
        ("kind", Incident.kind), ("confirmation", Incident.confirmation), ("waiting_on", Incident.waiting_on),
        ("source", Incident.source),
    ):  # fmt: skip
        if getattr(wanted, name):
            found[name] = column == getattr(wanted, name)
    _flags(found, Incident, wanted, ("late", "learning", "exercise"))
    for name, listed, word in (
        ("tag", Incident.tags, wanted.tag), ("technique", Incident.techniques, wanted.technique),
    ):  # fmt: skip
        if word:
            found[name] = _lists(listed, word)
    if wanted.words:
        found["words"] = _in_title(Incident.title, wanted.words)
    _between(found, Incident.created_at, wanted.opened_from, wanted.opened_to)
    return _led(found, _INCIDENT_LEADS)


def narrowed_alerts(wanted: AlertFilter) -> Narrowed:
    """The conditions on `Alert` a filter means; visibility and values (`seeing`) are the caller's."""
    found: dict[str, ColumnElement[bool]] = {}
    if wanted.state == "open":
        found["open"] = Alert.ended_at.is_(None)
    elif wanted.state == "ended":
        found["ended"] = Alert.ended_at.is_not(None)
    _severities(found, Alert.severity, wanted.severities)
    for name, column in (
        ("source_id", Alert.source_id), ("connector", Alert.connector), ("category", Alert.category),
        ("incident", Alert.incident_id), ("rule_id", Alert.rule_id),
        ("acceptance", Alert.acceptance_id),
    ):  # fmt: skip
        if getattr(wanted, name):
            found[name] = column == getattr(wanted, name)
    if wanted.ignored is not None:
        found["ignored"] = (
            Alert.acceptance_id.is_not(None) if wanted.ignored else Alert.acceptance_id.is_(None)
        )
    if wanted.attached is not None:
        name = "attached" if wanted.attached else "loose"
        found[name] = Alert.incident_id.is_not(None) if wanted.attached else Alert.incident_id.is_(None)
    _flags(found, Alert, wanted, ("late", "learning", "is_test"))
    if wanted.words:
        found["words"] = _in_title(Alert.title, wanted.words)
    _between(found, Alert.created_at, wanted.seen_from, wanted.seen_to)
    return _led(found, _ALERT_LEADS)


@dataclass(frozen=True)
class Seeing:
    """What saw a value: all of it, when that is not much, or the condition that tells of one row whether it did."""

    ids: list[UUID] | None
    condition: ColumnElement[bool]


def seeing(session: Session, model: Any, value: str) -> Seeing:
    """The incidents or alerts (`model`) in which an address, a hash, a host, a user… was seen."""
    values = bulk.among(session, Sighting.observable_id, _observables(value))
    of = Sighting.incident_id if model is Incident else Sighting.alert_id
    ids = session.scalars(select(of).where(values, of.is_not(None)).limit(MOST_SEEN + 1)).all()
    condition = exists().where(of == model.id, values)
    if (
        model is Incident
    ):  # each value of its alerts is one of its own, too: this is the shorter list, and has an index
        condition = condition.where(Sighting.alert_id.is_(None))
    return Seeing(sorted({one for one in ids if one}) if len(ids) <= MOST_SEEN else None, condition)


def _led(found: dict[str, ColumnElement[bool]], leads: Sequence[frozenset[str]]) -> Narrowed:
    lead = next((names for names in leads if names <= found.keys()), frozenset())
    # A span of time leads with any index: they all end in it.
    led = [condition for name, condition in found.items() if name in lead or name in _SPAN]
    return Narrowed(led, [one for name, one in found.items() if name not in lead and name not in _SPAN])


def _severities(found: dict[str, ColumnElement[bool]], column: Any, wanted: Sequence[str]) -> None:
    if len(wanted) == 1:
        found["severity"] = column == wanted[0]
    elif wanted:
        found["severities"] = column.in_(list(wanted))


def _between(
    found: dict[str, ColumnElement[bool]], column: Any, first: datetime | None, end: datetime | None
) -> None:
    if first:
        found["from"] = column >= first
    if end:
        found["to"] = column < end


def _observables(text: str) -> list[UUID]:
    told = classify(text)
    found = {observable_id(*told)} if told else set()
    for kind in ("host", "user", "domain", "email", "url", "file-hash", "file", "process", "mac", "cve"):
        if value := normalise(kind, text):
            found.add(observable_id(kind, value))
    return sorted(found)


def _in_title(column: Any, words: str) -> ColumnElement[bool]:
    return and_(
        true(), *(func.lower(column).contains(word.lower(), autoescape=True) for word in words.split()[:8])
    )


def _flags(found: dict[str, ColumnElement[bool]], model: Any, wanted: Any, names: Sequence[str]) -> None:
    for name in names:
        if getattr(wanted, name) is not None:
            found[name] = getattr(model, name) == getattr(wanted, name)


def _lists(column: Any, word: str) -> ColumnElement[bool]:
    # A JSON list of words, searched as text: PostgreSQL writes letters as they are, SQLite holds them escaped.
    spelled = {json.dumps(word), json.dumps(word, ensure_ascii=False)}
    return or_(*(cast(column, Text).contains(quoted, autoescape=True) for quoted in sorted(spelled)))
