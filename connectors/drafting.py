"""Makes one alert draft of one event, as a compiled mapping says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from connectors import entities
from connectors.contract import CATEGORIES, AlertDraft, Entity, Status
from connectors.paths import Frame, Pick, text_of, texts_of
from connectors.picking import Condition
from connectors.times import parse_time
from core.types import Severity

MAX_TITLE = 500
MAX_ENTITIES = 200
MAX_LABELS = 64
_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9])T\d{4}(?:\.\d{3})?(?![\d.]*\d)")

SeverityPick = Callable[[Frame], tuple[Severity, str | None]]


@dataclass(frozen=True)
class EntityPick:
    """One `entities:` row: which type, from where, in which role."""

    kind: str
    pick: Pick
    role: str


@dataclass(frozen=True)
class Mapped:
    """One compiled mapping: from an event that meets `when` to one alert draft."""

    when: Condition | None
    title: Pick
    severity: SeverityPick
    status: Pick
    status_values: Mapping[str, Status]
    occurred_at: Pick
    texts: Mapping[str, Pick]  # external_id rule_id rule_name category description url correlation
    fingerprint: tuple[tuple[str, Pick], ...]
    entities: tuple[EntityPick, ...]
    extract: tuple[Pick, ...]
    techniques: Pick
    tags: Pick
    labels: tuple[tuple[str, Pick], ...]
    labels_from: tuple[Pick, ...]
    is_test: Condition | None
    secrets: tuple[Pick, ...] = ()  # values that are secrets: they stay in no draft and in no kept body


def draft_of(mapped: Mapped, frame: Frame, zone: tzinfo) -> AlertDraft | None:
    """One alert from one event; None when nothing gives it a title."""
    title = text_of(mapped.title(frame), MAX_TITLE)
    if title is None:
        return None
    severity, severity_raw = mapped.severity(frame)
    status_raw = text_of(mapped.status(frame), 200)
    texts = {name: text_of(pick(frame)) for name, pick in mapped.texts.items()}
    if texts.get("category") not in CATEGORIES:
        texts["category"] = None
    named = _entities(mapped, frame)
    return AlertDraft(
        title=" ".join(title.split()),
        severity=severity,
        severity_raw=severity_raw,
        status=mapped.status_values.get(status_raw.casefold(), "firing") if status_raw else "firing",
        status_raw=status_raw,
        occurred_at=_time(mapped.occurred_at(frame), zone),
        fingerprint=tuple([(name, _joined(pick(frame))) for name, pick in mapped.fingerprint]),
        entities=named,
        techniques=_techniques(mapped.techniques(frame)),
        tags=tuple(texts_of(mapped.tags(frame), 50)),
        labels=_labels(mapped, frame),
        is_test=mapped.is_test is not None and mapped.is_test(frame),
        **texts,  # the names are those of AlertDraft's optional text fields
    )


def secrets_in(mapped: Mapped, frame: Frame) -> list[str]:
    """The values of this event that are secrets, whole."""
    return [text for pick in mapped.secrets for text in _strings(pick(frame))]


def _strings(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []


def _time(value: Any, zone: tzinfo) -> datetime | None:
    if isinstance(value, list):
        value = value[0] if value else None
    return parse_time(value, zone)


def _joined(value: Any) -> str | None:
    """Text for a fingerprint or label: lists sorted, mappings as canonical JSON."""
    if isinstance(value, list):
        return ",".join(sorted(texts_of(value)))[:4_096] or None
    if isinstance(value, dict):
        return text_of(json.dumps(value, sort_keys=True, default=str), 4_096) if value else None
    return text_of(value, 1_024)


def _techniques(value: Any) -> tuple[str, ...]:
    found = {code: None for text in texts_of(value) for code in _TECHNIQUE.findall(text[:2_000])}
    return tuple(found)[:50]


def _entities(mapped: Mapped, frame: Frame) -> tuple[Entity, ...]:
    found: dict[tuple[str, str], Entity] = {}
    for row in mapped.entities:
        value = row.pick(frame)
        if value is None:
            continue
        for text in texts_of(value):
            named = entities.entity(row.kind, text, row.role)
            if named is not None:
                found.setdefault((named.type, named.value), named)
    for pick in mapped.extract:
        for text in texts_of(pick(frame)):
            for named in entities.extract(text, 50):
                found.setdefault((named.type, named.value), named)
    return tuple(list(found.values())[:MAX_ENTITIES])


def _labels(mapped: Mapped, frame: Frame) -> dict[str, str]:
    labels: dict[str, str] = {}
    for pick in mapped.labels_from:
        table = pick(frame)
        if isinstance(table, dict):
            for name, value in list(table.items())[:MAX_LABELS]:
                if (text := text_of(value, 1_024)) is not None:
                    labels[text_of(name, 200) or "?"] = text
    for name, pick in mapped.labels:
        if (text := _joined(pick(frame))) is not None:
            labels[name] = text[:1_024]
    return labels
