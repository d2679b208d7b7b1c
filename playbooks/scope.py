"""What a step's expressions may speak of: the declared names when a playbook is saved, the values when it runs."""

import re
from collections.abc import Mapping
from typing import Any

from core.expressions import Schema, one_of
from playbooks.plan import Input, Plan, Step

ROOTS = ("incident", "inputs", "steps", "vars", "run", "trigger", "item", "index", "error")
_NAMES = re.compile(r"\b(?:incident|inputs|steps|vars|item|index|run|trigger|error)\b(?:\.[A-Za-z_]\w*)*")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_REFERENCE = re.compile(r"\bsteps\.([A-Za-z_]\w*)")
_CALLBACK = re.compile(r"\bcallbacks\.([A-Za-z_]\w*)")
_ITEM = re.compile(r"\b(?:item|index)\b")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)

OPEN_SCHEMA = Schema(dict.fromkeys(ROOTS, "any"))
"""Used when running: everything was checked when the playbook was saved."""

RUN = {"id": "str", "playbook": "str", "name": "str", "mode": "str", "started_at": "str"}
ERROR = {"step": "str", "message": "str"}
_RESULT = {"ok": "bool", "output": "any", "error": "str"}
_FORM_TYPES = {"string": "str", "boolean": "bool", "integer": "int", "number": "float", "array": "list"}


def result_type(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The type of `steps.<id>` for a step with this spec."""
    fields = (spec.get("form") or {}).get("properties") if isinstance(spec.get("form"), Mapping) else None
    form: Any = "any"
    if fields is not None:
        form = {name: _form_type(field) for name, field in fields.items()}
    return {
        "ok": "bool",
        "state": "str",
        "output": "any",
        "error": "str",
        "form": form,
        "results": ["any"],
        "by": "list[str]",
    }


def _form_type(field: Mapping[str, Any]) -> Any:
    if field.get("enum"):
        return one_of(*map(str, field["enum"]))
    return _FORM_TYPES.get(field.get("type", "string"), "any")


def input_types(inputs: Mapping[str, Input]) -> dict[str, str]:
    """The types of `inputs.<name>`."""
    return {name: _FORM_TYPES.get(given.type, "any") for name, given in inputs.items()}


def source_of(value: Any, literal: frozenset[str] = frozenset()) -> list[str]:
    """Every text inside a value that holds a template, except under the literal keys of its top level."""
    if isinstance(value, str):
        return [value] if "{{" in value or "{%" in value else []
    if isinstance(value, Mapping):
        return [text for key, inner in value.items() if key not in literal for text in source_of(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in source_of(inner)]
    return []


def references(conditions: list[str], templates: list[str]) -> list[str]:
    """The ids of steps that these expressions speak of, in order, once each."""
    codes = [_QUOTED.sub("''", text) for text in conditions]
    codes += [_QUOTED.sub("''", part) for text in templates for part in _TEMPLATE.findall(text)]
    return list(dict.fromkeys(found for code in codes for found in _REFERENCE.findall(code)))


def callbacks_in(templates: list[str]) -> list[str]:
    """The ids of waits whose addresses these templates speak of, once each."""
    codes = [_QUOTED.sub("''", part) for text in templates for part in _TEMPLATE.findall(text)]
    return list(dict.fromkeys(found for code in codes for found in _CALLBACK.findall(code)))


def speaks_of_item(condition: str) -> bool:
    """Whether a condition is about the item of a loop."""
    return bool(_ITEM.search(_QUOTED.sub("''", condition)))


def explain(condition: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The condition and the values it saw: `{expression, values: {name: value}}`, each value kept short."""
    values: dict[str, Any] = {}
    for name in dict.fromkeys(_NAMES.findall(_QUOTED.sub("''", condition))):
        found: Any = variables
        for part in name.split("."):
            if not isinstance(found, Mapping) or part not in found:
                break
            found = found[part]
        else:
            values[name] = _short(found)
            continue
        if isinstance(found, str | int | float | bool | list):
            values[name] = _short(found)
    return {"expression": condition, "values": values}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= 200 else value[:199] + "…"
    if value is None or isinstance(value, int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_short(one) for one in value[:10]] + (
            [f"… {len(value) - 10} more"] if len(value) > 10 else []
        )
    if isinstance(value, Mapping):
        return {str(key): _short(inner) for key, inner in list(value.items())[:10]}
    return str(value)[:200]


def depth_of(iteration: str) -> int:
    """How many loops an iteration is inside of: "" is 0, "3" is 1, "3/0" is 2."""
    return iteration.count("/") + 1 if iteration else 0


def cut(iteration: str, loops: int) -> str:
    """The outer part of an iteration."""
    return "/".join(iteration.split("/")[:loops]) if loops and iteration else ""


def inner(iteration: str, index: int) -> str:
    """The iteration of the index-th round inside."""
    return f"{iteration}/{index}" if iteration else str(index)


def cover_of(_plan: Plan, step: Step, iteration: str) -> tuple[str, str] | None:
    """The address of the approval that stands before a step."""
    return (step.cover, cut(iteration, step.cover_loops)) if step.cover else None
