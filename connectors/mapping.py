"""Turns the bytes a product sends into alert drafts, as its file declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors import bodies, entities
from connectors.contract import CATEGORIES, ROLES, AlertDraft, Connector, Entity, Reading, Status, Unreadable
from connectors.located import At, Document
from connectors.picking import Condition, Frame, Pick, compile_condition, compile_pick, parse_steps, text_of, texts_of
from connectors.times import parse_time
from core.types import Severity

MAX_TITLE = 500
MAX_ENTITIES = 200
MAX_LABELS = 64
_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9])T\d{4}(?:\.\d{3})?(?![\d.]*\d)")
_STATUSES: tuple[Status, ...] = ("firing", "acknowledged", "resolved")
_ENTITY_KINDS = (*entities.TYPES, "ip", "auto")

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


@dataclass(frozen=True)
class AlertMapping:
    """How one product's deliveries read: how events are found, and which mappings fit them (the first that applies)."""

    product: str
    variants: tuple[Mapped, ...] = ()
    wrappers: list[list[str | int | None]] = field(default_factory=list)
    ignore: Condition | None = None
    parse_line: bodies.LineParser | None = None
    from_config: bool = False  # the operator writes the mapping into the source's settings

    def read(self, body: bytes, content_type: str, headers: Mapping[str, str], config: Mapping[str, Any]) -> Reading:
        """The alerts in a delivery. Raises Unreadable when nothing in it could be understood, and nothing else."""
        mapping = configured(config, self) if self.from_config else self
        try:
            values, problems = bodies.events_of_lines(body, self.parse_line) if self.parse_line else bodies.events_of_json(body)
        except RecursionError:
            raise Unreadable("The body is nested too deeply.") from None
        zone = zone_of(config)
        lowered = {str(name).lower(): value for name, value in headers.items()}
        drafts: list[AlertDraft] = []
        ignored = seen = 0
        for value in values:
            for event, root in bodies.unwrap(value, mapping.wrappers):
                seen += 1
                if seen > bodies.MAX_EVENTS:
                    problems.append(f"Only the first {bodies.MAX_EVENTS} events of a delivery are read; the rest is kept, unread.")
                    break
                frame = Frame(event, root, lowered, config)
                try:
                    outcome = mapping._one(frame, zone)
                except RecursionError:
                    outcome = "is nested too deeply."
                if isinstance(outcome, AlertDraft):
                    drafts.append(outcome)
                elif outcome is None:
                    ignored += 1
                else:
                    problems.append(f"Event {seen} {outcome}")
        if problems and not drafts and not ignored:
            raise Unreadable(problems[0])
        return Reading(drafts, ignored, problems)

    def _one(self, frame: Frame, zone: tzinfo) -> AlertDraft | str | None:
        """A draft, None for an event that is no alert, or a sentence why it cannot be read."""
        if not isinstance(frame.item, dict):
            return f"is not an object, as {self.product} sends, but {type(frame.item).__name__}."
        if self.ignore is not None and self.ignore(frame):
            return None
        for variant in self.variants:
            if variant.when is None or variant.when(frame):
                return draft_of(variant, frame, zone) or f"does not look like an alert of {self.product}: nothing in it gives a title."
        return f"does not look like an alert of {self.product}."


def read(
    connector: Connector, body: bytes, content_type: str, headers: Mapping[str, str], config: Mapping[str, Any]
) -> Reading:
    """The alerts in a delivery to a source of this connector; raises only Unreadable."""
    if connector.alerts is None:
        raise Unreadable(f"{connector.title} sends no alerts.")
    return connector.alerts.read(body, content_type, headers, config)


def zone_of(config: Mapping[str, Any]) -> tzinfo:
    """The source's time zone, for products that write local times without one (setting `timezone`); UTC otherwise."""
    name = config.get("timezone")
    if isinstance(name, str) and name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC
    return UTC


# ------------------------------------------------------------------------------------------------ one alert


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
        **texts,  # type: ignore[arg-type]  # the names are those of AlertDraft's optional text fields
    )


def _time(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, list):
        value = value[0] if value else None
    return parse_time(value, zone)


def _joined(value: Any) -> str | None:
    return ",".join(sorted(texts_of(value))) or None if isinstance(value, list) else text_of(value, 1_024)


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


# ------------------------------------------------------------------------------------------------ compiling

_TEXTS = ("external_id", "rule_id", "rule_name", "category", "description", "url", "correlation")
MAP_NAMES = (
    "when", "title", "severity", "status", "occurred_at", *_TEXTS, "fingerprint", "entities", "extract",
    "techniques", "tags", "labels", "labels_from", "is_test",
)  # fmt: skip


def compile_alerts(at: At, product: str, parse_line: bodies.LineParser | None = None) -> AlertMapping:
    """Compile an `alerts:` block; what is wrong with it goes to the document as sentences."""
    members = dict(at.members(("each", "ignore", "variants", "mapping_in_config", *MAP_NAMES)))
    common = {name: member for name, member in members.items() if name in MAP_NAMES}
    wrappers: list[list[str | int | None]] = []
    if "each" in members:
        for entry in members["each"].entries():
            try:
                wrappers.append(parse_steps(entry.text(), entry.text()))
            except ValueError as error:
                entry.complain(str(error))
    variants: list[Mapped] = []
    if "variants" in members:
        for entry in members["variants"].entries():
            variants.append(compile_map({**common, **dict(entry.members(MAP_NAMES))}, entry))
    elif common:
        variants.append(compile_map(common, at))
    return AlertMapping(
        product=product,
        variants=tuple(variants),
        wrappers=wrappers,
        ignore=compile_condition(members["ignore"]) if "ignore" in members else None,
        parse_line=parse_line,
        from_config="mapping_in_config" in members and members["mapping_in_config"].flag(),
    )


def compile_map(members: Mapping[str, At], at: At) -> Mapped:
    """Compile one mapping from its members (a variant's own over the common ones)."""
    for name in ("title", "severity", "fingerprint"):
        if name not in members:
            at.complain(f'"{name}" is missing: every mapping says how title, severity and fingerprint are found')
    status, status_values = _status(members.get("status"))

    def pick(name: str) -> Pick:
        return compile_pick(members[name]) if name in members else _nothing

    return Mapped(
        when=compile_condition(members["when"]) if "when" in members else None,
        title=pick("title"),
        severity=_severity(members["severity"]) if "severity" in members else _unknown,
        status=status,
        status_values=status_values,
        occurred_at=pick("occurred_at"),
        texts={name: compile_pick(members[name]) for name in _TEXTS if name in members},
        fingerprint=_fingerprint(members.get("fingerprint")),
        entities=_entity_rows(members.get("entities")),
        extract=tuple(compile_pick(entry) for entry in members["extract"].entries()) if "extract" in members else (),
        techniques=_gathered(members.get("techniques")),
        tags=_gathered(members.get("tags")),
        labels=tuple((name, compile_pick(entry)) for name, entry in members["labels"].members()) if "labels" in members else (),
        labels_from=tuple(compile_pick(e) for e in members["labels_from"].entries()) if "labels_from" in members else (),
        is_test=compile_condition(members["is_test"]) if "is_test" in members else None,
    )


def _nothing(frame: Frame) -> Any:
    return None


def _unknown(frame: Frame) -> tuple[Severity, str | None]:
    return Severity.unknown, None


def _gathered(at: At | None) -> Pick:
    """A list here means all of them, not the first: techniques and tags come from several places."""
    if at is None:
        return _nothing
    picks = [compile_pick(entry) for entry in at.entries()]
    return picks[0] if len(picks) == 1 else lambda frame: [pick(frame) for pick in picks]


def _severity(at: At) -> SeverityPick:
    rows = [_severity_row(entry) for entry in at.entries()]

    def severity(frame: Frame) -> tuple[Severity, str | None]:
        level, said = Severity.unknown, None
        for row in rows:  # the first known level; the raw word of the row that gave it, else of any row
            found, raw = row(frame)
            if level is Severity.unknown and found is not Severity.unknown:
                level, said = found, raw or said
            said = said or raw
        return level, said

    return rows[0] if len(rows) == 1 else severity


def _severity_row(at: At) -> SeverityPick:
    if isinstance(at.data, str):
        level = Severity(at.choice([str(name) for name in Severity], "unknown"))
        return lambda frame: (level, None)
    members = dict(at.members(("from", "values", "bands", "const", "when"), ()))
    condition = compile_condition(members["when"]) if "when" in members else None
    if "const" in members:
        fixed = Severity(members["const"].choice([str(name) for name in Severity], "unknown"))
        return lambda frame: (fixed, None) if condition is None or condition(frame) else (Severity.unknown, None)
    if "from" not in members or ("values" in members) == ("bands" in members):
        at.complain("needs from, and either values (word: severity) or bands (number: severity)")
        return _unknown
    pick = compile_pick(members["from"])
    levels: dict[str, Severity] = {}
    bands: list[tuple[float, Severity]] = []
    for key, entry in members["values" if "values" in members else "bands"].members():
        level = Severity(entry.choice([str(name) for name in Severity], "unknown"))
        if "values" in members:
            levels[key.casefold()] = level
        else:
            try:
                bands.append((float(key), level))
            except ValueError:
                entry.complain(f'"{key}" is not a number: bands are lowest number: severity')
    bands.sort(key=lambda band: -band[0])

    def severity(frame: Frame) -> tuple[Severity, str | None]:
        if condition is not None and not condition(frame):
            return Severity.unknown, None
        raw = text_of(pick(frame), 200)
        if raw is None:
            return Severity.unknown, None
        if levels:
            return levels.get(raw.casefold(), Severity.unknown), raw
        try:
            number = float(raw)
        except ValueError:
            return Severity.unknown, raw
        return next((level for lowest, level in bands if number >= lowest), Severity.unknown), raw

    return severity


def _status(at: At | None) -> tuple[Pick, Mapping[str, Status]]:
    if at is None:
        return _nothing, {}
    if not isinstance(at.data, dict):
        return compile_pick(at), {name: name for name in _STATUSES}
    members = dict(at.members(("from", "acknowledged", "resolved", "const")))
    values: dict[str, Status] = {}
    for name in ("acknowledged", "resolved"):
        if name in members:
            for word in members[name].entries():
                values[(text_of(word.data) or "").casefold()] = name  # type: ignore[assignment]  # one of two literals
    return (compile_pick(members["from"]) if "from" in members else _nothing), values


def _fingerprint(at: At | None) -> tuple[tuple[str, Pick], ...]:
    if at is None:
        return ()
    if isinstance(at.data, dict):
        return tuple((name, compile_pick(entry)) for name, entry in at.members())
    rows = [(entry.text("?"), compile_pick(entry)) for entry in at.entries()]
    return tuple(rows)


def _entity_rows(at: At | None) -> tuple[EntityPick, ...]:
    rows = []
    for entry in at.entries() if at is not None else ():
        members = dict(entry.members(("type", "from", "role"), ("type", "from")))
        if "type" in members and "from" in members:
            kind = members["type"].choice(_ENTITY_KINDS, "host")
            role = members["role"].choice(ROLES, "observer") if "role" in members else "observer"
            rows.append(EntityPick(kind, compile_pick(members["from"]), role))
    return tuple(rows)


# ------------------------------------------------------------------------------------------------ operator-written

_configured: dict[str, AlertMapping] = {}


def configured(config: Mapping[str, Any], guess: AlertMapping) -> AlertMapping:
    """The mapping in a source's settings (`mapping`, in the language of the catalogue), or the connector's own guess."""
    wanted = config.get("mapping")
    if not wanted:
        return guess
    key = repr(wanted)
    if key not in _configured:
        problems, compiled = check_mapping(wanted)
        if problems:
            raise Unreadable(f"This source's mapping is wrong: {problems[0]}")
        if len(_configured) > 500:
            _configured.clear()
        _configured[key] = compiled
    return _configured[key]


def check_mapping(wanted: Any) -> tuple[list[str], AlertMapping]:
    """What is wrong with an operator's mapping (sentences; empty when it is good), and the mapping compiled."""
    document = Document("mapping", wanted)
    compiled = compile_alerts(document.top, "this source")
    if not document.problems and not compiled.variants:
        document.problems.append("mapping: says nothing; at least title, severity and fingerprint are needed")
    return document.problems, compiled
