"""What lists can be narrowed by, and the conditions that means."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, exists, func, or_

from connectors.entities import classify, normalise
from core.actors import Actor
from incidents.models import Alert, Incident, Sighting
from incidents.observables import observable_id
from incidents.visibility import as_id


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
    attached: bool | None = None  # has an incident, or has none
    late: bool | None = None
    learning: bool | None = None
    is_test: bool | None = None
    rule_id: str | None = None
    observable: str | None = None
    words: str | None = None
    seen_from: datetime | None = None
    seen_to: datetime | None = None


def incident_conditions(actor: Actor, wanted: IncidentFilter) -> list[ColumnElement[bool]]:
    """The conditions on `Incident` a filter means; visibility is the caller's."""
    found: list[ColumnElement[bool]] = []
    if wanted.state == "open":
        found.append(Incident.closed_at.is_(None))
    elif wanted.state == "closed":
        found.append(Incident.closed_at.is_not(None))
    if wanted.stages:
        found.append(Incident.stage.in_(list(wanted.stages)))
    if wanted.severities:
        found.append(Incident.severity.in_(list(wanted.severities)))
    if wanted.owner == "none":
        found.append(Incident.owner_id.is_(None))
    elif wanted.owner == "me":
        found.append(Incident.owner_id == actor.user_id)
    elif wanted.owner:
        found.append(Incident.owner_id == as_id(wanted.owner))
    for name, column in (
        ("team", Incident.team_id), ("constituency", Incident.constituency_id), ("category", Incident.category),
        ("kind", Incident.kind), ("confirmation", Incident.confirmation), ("waiting_on", Incident.waiting_on),
        ("source", Incident.source),
    ):  # fmt: skip
        if getattr(wanted, name):
            found.append(column == getattr(wanted, name))
    found += _flags(Incident, wanted, ("late", "learning", "exercise"))
    for listed, word in ((Incident.tags, wanted.tag), (Incident.techniques, wanted.technique)):
        if word:
            found.append(_lists(listed, word))
    if wanted.observable:
        ids = _observables(wanted.observable)
        found.append(exists().where(Sighting.incident_id == Incident.id, Sighting.observable_id.in_(ids)))
    if wanted.words:
        found += _in_title(Incident.title, wanted.words)
    if wanted.opened_from:
        found.append(Incident.created_at >= wanted.opened_from)
    if wanted.opened_to:
        found.append(Incident.created_at < wanted.opened_to)
    return found


def alert_conditions(wanted: AlertFilter) -> list[ColumnElement[bool]]:
    """The conditions on `Alert` a filter means; visibility is the caller's."""
    found: list[ColumnElement[bool]] = []
    if wanted.state == "open":
        found.append(Alert.ended_at.is_(None))
    elif wanted.state == "ended":
        found.append(Alert.ended_at.is_not(None))
    if wanted.severities:
        found.append(Alert.severity.in_(list(wanted.severities)))
    for value, column in (
        (wanted.source_id, Alert.source_id), (wanted.connector, Alert.connector), (wanted.category, Alert.category),
        (wanted.incident, Alert.incident_id), (wanted.rule_id, Alert.rule_id),
    ):  # fmt: skip
        if value:
            found.append(column == value)
    if wanted.attached is not None:
        found.append(Alert.incident_id.is_not(None) if wanted.attached else Alert.incident_id.is_(None))
    found += _flags(Alert, wanted, ("late", "learning", "is_test"))
    if wanted.observable:
        ids = _observables(wanted.observable)
        found.append(exists().where(Sighting.alert_id == Alert.id, Sighting.observable_id.in_(ids)))
    if wanted.words:
        found += _in_title(Alert.title, wanted.words)
    if wanted.seen_from:
        found.append(Alert.created_at >= wanted.seen_from)
    if wanted.seen_to:
        found.append(Alert.created_at < wanted.seen_to)
    return found


def _observables(text: str) -> list[UUID]:
    told = classify(text)
    found = {observable_id(*told)} if told else set()
    for kind in ("host", "user", "domain", "email", "url", "file-hash", "file", "process", "mac", "cve"):
        if value := normalise(kind, text):
            found.add(observable_id(kind, value))
    return sorted(found)


def _in_title(column: Any, words: str) -> list[ColumnElement[bool]]:
    return [func.lower(column).contains(word.lower(), autoescape=True) for word in words.split()[:8]]


def _flags(model: Any, wanted: Any, names: Sequence[str]) -> list[ColumnElement[bool]]:
    return [
        getattr(model, name) == getattr(wanted, name) for name in names if getattr(wanted, name) is not None
    ]


def _lists(column: Any, word: str) -> ColumnElement[bool]:
    # A JSON list of words, searched as text: PostgreSQL writes letters as they are, SQLite holds them escaped.
    spelled = {json.dumps(word), json.dumps(word, ensure_ascii=False)}
    return or_(*(cast(column, Text).contains(quoted, autoescape=True) for quoted in sorted(spelled)))
