"""Forms made from what a connector declares: its settings, its secrets and the inputs of its actions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.contract import Field
from core.errors import Invalid, Problem
from web import forms, json_text
from web.forms import Asked
from web.languages import gettext as _

_JSON = ("array", "object")
_SHORT = frozenset({"url", "ip", "id", "api", "dn", "ca", "json"})


def schema_of(fields: Sequence[Field]) -> dict[str, Any]:
    """The declared fields as the JSON schema that forms are made from; structures are written as JSON text."""
    properties: dict[str, Any] = {}
    for field in fields:
        rule: dict[str, Any] = {
            "title": label(field.name),
            "type": "string" if field.type in (*_JSON, "text", "url") else field.type,
        }
        if field.type in (*_JSON, "text"):
            rule["format"] = "text"
        if field.type == "object":
            rule["description"] = _('JSON, such as {"name": "value"}')
        if field.type == "array":
            rule["description"] = _('JSON, such as ["one", "two"]')
        if field.description:
            rule["description"] = field.description
        if field.enum:
            rule["enum"] = list(field.enum)
        if field.default is not None:
            rule["default"] = _written(field, field.default)
        properties[field.name] = rule
    required = [field.name for field in fields if field.required and field.default is None]
    return {"type": "object", "properties": properties, "required": required}


def asked(fields: Sequence[Field], values: Mapping[str, Any] | None = None) -> list[Asked]:
    """The fields of a form with what they hold now."""
    known = {
        field.name: _written(field, (values or {})[field.name])
        for field in fields
        if field.name in (values or {})
    }
    return forms.asked(schema_of(fields), known)


def answers(fields: Sequence[Field], given: Mapping[str, str]) -> dict[str, Any]:
    """What was filled in, each value of its declared type; empty fields are left out. Raises Invalid."""
    found = forms.answers(schema_of(fields), given)
    for field in fields:
        if field.type in _JSON and field.name in found:
            found[field.name] = _structure(field, found[field.name])
    return found


def label(name: str) -> str:
    """A field's name as people read it: base_url → Base URL."""
    words = [word.upper() if word in _SHORT else word for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _structure(field: Field, text: str) -> Any:
    try:
        read = json_text.read(text)
    except Invalid as error:
        raise Invalid(f"{label(field.name)}: {error.message}", [Problem(field.name, error.message)]) from error
    if not isinstance(read, list if field.type == "array" else dict):
        message = _("%(name)s must be written as %(form)s.") % {
            "name": field.name,
            "form": "[…]" if field.type == "array" else "{…}",
        }
        raise Invalid(message, [Problem(field.name, message)])
    return read


def _written(field: Field, value: Any) -> Any:
    return (
        json.dumps(value, ensure_ascii=False) if field.type in _JSON and not isinstance(value, str) else value
    )
