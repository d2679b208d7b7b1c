"""Forms declared as JSON schema: which fields to show, and what was answered, in the schema's own types."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import Invalid, Problem
from web.languages import gettext as _


@dataclass(frozen=True)
class Asked:
    """One field of a form. kind: text, long, number, choice, yesno, list."""

    name: str
    label: str
    kind: str
    hint: str
    required: bool
    choices: tuple[str, ...]
    value: Any


def asked(schema: Mapping[str, Any] | None, values: Mapping[str, Any] | None = None) -> list[Asked]:
    """The fields of an object's schema: in its "order" (names), where it has one, then in its own."""
    if not schema:
        return []
    rules = schema.get("properties", {})
    ordered = dict.fromkeys([*(name for name in schema.get("order", ()) if name in rules), *rules])
    required = set(schema.get("required", ()))
    known = values or {}
    return [
        Asked(
            name=name,
            label=str(rule.get("title") or name.replace("_", " ").capitalize()),
            kind=_kind(rule),
            hint=str(rule.get("description") or ""),
            required=name in required,
            choices=tuple(str(choice) for choice in rule.get("enum", ())),
            value=known.get(name, rule.get("default")),
        )
        for name, rule in ((name, rules[name]) for name in ordered)
        if isinstance(rule, Mapping)
    ]


def answers(schema: Mapping[str, Any] | None, given: Mapping[str, str]) -> dict[str, Any]:
    """What was answered; empty fields are left out. Raises Invalid where a number is none."""
    found: dict[str, Any] = {}
    for field in asked(schema):
        text = given.get(field.name, "").strip()
        if not text:
            continue
        if field.kind == "yesno":
            found[field.name] = text == "yes"
        elif field.kind == "number":
            try:
                number = float(text)
                if not math.isfinite(number):
                    raise ValueError(text)
            except ValueError as error:
                message = _("“%(text)s” is not a number.") % {"text": text}
                raise Invalid(message, [Problem(field.name, message)]) from error
            found[field.name] = int(number) if number.is_integer() else number
        elif field.kind == "list":
            found[field.name] = [line.strip() for line in text.splitlines() if line.strip()]
        else:
            found[field.name] = text
    return found


def _kind(rule: Mapping[str, Any]) -> str:
    if rule.get("enum"):
        return "choice"
    kinds = {"boolean": "yesno", "integer": "number", "number": "number", "array": "list"}
    kind = kinds.get(str(rule.get("type", "string")), "text")
    return (
        "long"
        if kind == "text" and (rule.get("format") == "text" or rule.get("maxLength", 0) > 200)
        else kind
    )
