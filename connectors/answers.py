"""Reads a product's answer as its file declares: conditions over it, the output asked for, and what is kept of it."""

import json
from collections.abc import Mapping
from typing import Any

from connectors.contract import ActionFailed, Lines, Made
from connectors.paths import Frame, compile_path
from connectors.products import Product, cleaned, settings_of
from core.expressions import Context, ExpressionError, Schema, TemplateError, compile_condition, render
from core.net import http

SCHEMA = Schema(
    {"inputs": "any", "settings": "any", "status": "int", "headers": "any", "body": "any", "output": "any"}
)
MOST_KEPT = 16_384  # characters of an answer that are kept with the call
MOST_LINES = 200  # of a list that is written for people
LONGEST_LINE = 600  # characters


def body_of(response: http.Response) -> Any:
    """The body of an answer: JSON, or its text."""
    try:
        return json.loads(response.content) if response.content else None
    except (ValueError, RecursionError):
        return response.text


def pick(path: str, body: Any) -> Any:
    """What stands at a path in a body; `@body` is the whole."""
    if path in ("", "@body"):
        return body
    return compile_path(path)(Frame(body, body, {}, {}))


def output_of(
    declared: Mapping[str, str | Lines | Made], status: int, body: Any, known: Mapping[str, Any]
) -> dict[str, Any]:
    """What was asked for of the answer; every name is there, null (or no lines) where the answer has nothing.

    `known` are the inputs and what was found first, for the templates of lines.
    """
    made: dict[str, Any] = {}
    for name, wanted in declared.items():
        if isinstance(wanted, Lines):
            made[name] = _lines(wanted, body, known)
        elif isinstance(wanted, Made):
            made[name] = _made(wanted, body, known)
        else:
            made[name] = status if wanted == "@status" else pick(wanted, body)
    return bounded(made)


def _made(wanted: Made, body: Any, known: Mapping[str, Any]) -> Any:
    try:
        return render(wanted.template, {**known, "body": body})
    except TemplateError:
        return None


def _lines(wanted: Lines, body: Any, known: Mapping[str, Any]) -> list[str]:
    """One line of text for each entry; an entry that the template cannot write is shown as it came."""
    picked = pick(wanted.each, body)
    entries = picked if isinstance(picked, list) else [] if picked is None else [picked]
    lines = []
    for entry in entries[:MOST_LINES]:
        try:
            text = str(render(wanted.line, {**known, "item": entry}))
        except TemplateError:
            text = json.dumps(entry, default=str, ensure_ascii=False)
        if text := " ".join(text.split()):
            lines.append(text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…")
    return list(dict.fromkeys(lines))


def holds(
    condition: str,
    product: Product,
    inputs: Mapping[str, Any],
    response: http.Response,
    body: Any,
    output: Mapping[str, Any],
) -> bool:
    """Whether a condition over an answer holds."""
    values = {
        "status": response.status,
        "headers": dict(response.headers),
        "body": body,
        "output": dict(output),
    }
    return evaluate(condition, product, inputs, values)


def evaluate(condition: str, product: Product, inputs: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a condition over these values holds. Raises ActionFailed when it cannot be used."""
    try:
        compiled = compile_condition(condition, SCHEMA)
        context = Context({**values, "inputs": dict(inputs), "settings": settings_of(product)})
    except (ExpressionError, TypeError) as error:
        raise ActionFailed(
            f"The connector {product.connector.name} has a condition that cannot be used: {error}", done=None
        ) from error
    return bool(compiled.holds(context))


def bounded(output: Mapping[str, Any]) -> dict[str, Any]:
    """An output small enough to keep: texts and lists are cut, and a whole that stays too large is left out."""

    def cut(value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return value.replace("\x00", "�").encode("utf-8", "replace").decode()[:4000]
        if depth > 8:
            return None
        if isinstance(value, Mapping):
            return {str(name)[:200]: cut(inner, depth + 1) for name, inner in list(value.items())[:200]}
        if isinstance(value, list | tuple):
            return [cut(inner, depth + 1) for inner in value[:500]]
        return value if isinstance(value, (int, float, bool)) or value is None else str(value)[:4000]

    made: dict[str, Any] = cut(output, 0)
    if len(json.dumps(made, default=str)) > 256_000:
        return {
            name: value if isinstance(value, (str, int, float, bool)) else None
            for name, value in made.items()
        }
    return made


def kept(response: http.Response, product: Product) -> dict[str, Any]:
    """An answer as it is kept with the call."""
    return {"status": response.status, "body": excerpt(response, product, MOST_KEPT)}


def excerpt(response: http.Response, product: Product, most: int) -> str:
    """The beginning of an answer's text, without secrets."""
    return cleaned(response.text, product).replace("\x00", "�").encode("utf-8", "replace").decode()[:most]
