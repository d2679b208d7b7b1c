"""Compiles the mapping of a product's events, complaining about what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors import entities
from connectors.contract import ROLES, Status
from connectors.drafting import EntityPick, Mapped, SeverityPick
from connectors.located import At
from connectors.paths import Frame, Pick, text_of
from connectors.picking import compile_condition, compile_pick
from core.types import Severity

_STATUSES: tuple[Status, ...] = ("firing", "acknowledged", "resolved")
_ENTITY_KINDS = (*entities.TYPES, "ip", "auto")
_TEXTS = ("external_id", "rule_id", "rule_name", "category", "description", "url", "correlation")
MAP_NAMES = (
    "when", "title", "severity", "status", "occurred_at", *_TEXTS, "fingerprint", "entities", "extract",
    "techniques", "tags", "labels", "labels_from", "is_test", "secrets",
)  # fmt: skip


def compile_map(members: Mapping[str, At], at: At) -> Mapped:
    """Compile one mapping from its members (a variant's own over the common ones)."""
    for name in ("title", "severity", "fingerprint"):
        if name not in members:
            at.complain(
                f'"{name}" is missing: every mapping says how title, severity and fingerprint are found'
            )
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
        extract=tuple(compile_pick(entry) for entry in members["extract"].entries())
        if "extract" in members
        else (),
        techniques=_gathered(members.get("techniques")),
        tags=_gathered(members.get("tags")),
        labels=tuple((name, compile_pick(entry)) for name, entry in members["labels"].members())
        if "labels" in members
        else (),
        labels_from=tuple(compile_pick(e) for e in members["labels_from"].entries())
        if "labels_from" in members
        else (),
        is_test=compile_condition(members["is_test"]) if "is_test" in members else None,
        secrets=tuple(compile_pick(entry) for entry in members["secrets"].entries())
        if "secrets" in members
        else (),
    )


def _nothing(_frame: Frame) -> Any:
    return None


def _unknown(_frame: Frame) -> tuple[Severity, str | None]:
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
        return lambda _frame: (level, None)
    members = dict(at.members(("from", "values", "bands", "const", "when"), ()))
    condition = compile_condition(members["when"]) if "when" in members else None
    if "const" in members:
        fixed = Severity(members["const"].choice([str(name) for name in Severity], "unknown"))
        return lambda frame: (
            (fixed, None) if condition is None or condition(frame) else (Severity.unknown, None)
        )
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
    for name in _STATUSES[1:]:
        if name in members:
            for word in members[name].entries():
                values[(text_of(word.data) or "").casefold()] = name
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
