"""What a form holds before anybody has answered it."""

from collections.abc import Mapping
from typing import Any

_BLANKS: dict[str, Any] = {"boolean": False, "array": []}


def blank_answers(form: Mapping[str, Any] | None) -> dict[str, Any]:
    """Each field of a form (JSON schema of an object): its default, else false for yes/no, an empty list, null."""
    fields = (form or {}).get("properties", {})
    return {
        name: field.get("default", _BLANKS.get(field.get("type", "string"))) for name, field in fields.items()
    }


def in_order(form: Mapping[str, Any]) -> dict[str, Any]:
    """The form with the names of its fields as they are written: plans and databases keep a mapping's names sorted."""
    return {**form, "order": list(form.get("properties", {}))}
