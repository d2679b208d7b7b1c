"""Makes the request that an action declares of its inputs: every value quoted where it stands, absent ones left out."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from connectors.answers import evaluate
from connectors.contract import Action, ActionFailed, Request
from connectors.products import Product, settings_of
from core import stopping
from core.expressions import TemplateError, render
from core.net import http

MOST_SECONDS = stopping.EXCHANGE  # one exchange; a call ends well before its lease

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_LAST_FILTER = re.compile(r"\|\s*(path|base64url)\s*$")
_ABSENT: Any = object()


def build(
    declared: Request,
    product: Product,
    inputs: Mapping[str, Any],
    key: str,
    output: Mapping[str, Any] | None = None,
    found: Mapping[str, Any] | None = None,
) -> http.Request:
    """The request that a declaration makes of these inputs, and of what was found first. Raises ActionFailed."""
    variables = {
        "inputs": dict(inputs),
        "settings": settings_of(product),
        "secrets": {item.name: "" for item in product.connector.secrets} | dict(product.secrets),
        "output": dict(output or {}),
        "found": dict(found or {}),
    }
    try:
        url = _url(declared.path, variables)
        headers = {name: str(value) for name, value in _members(declared.headers, variables, product).items()}
        params = _members(declared.params, variables, product)
        body = _value(declared.json, variables, product)
        form = _members(declared.form, variables, product) if declared.form is not None else None
    except TemplateError as error:
        raise ActionFailed(f"The request cannot be made: {error}") from error
    if declared.idempotency_header:
        headers[declared.idempotency_header] = key
    method = declared.method
    if declared.method == "POST" and str(inputs.get("method", "")).upper() in (
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
    ):
        method = str(inputs["method"]).upper()  # the generic HTTP action lets its caller say
    seconds = min(declared.timeout, MOST_SECONDS)
    return http.Request(
        method=method,
        url=url,
        headers=headers,
        params={name: _parameter(value) for name, value in params.items()},
        json=body if body is not _ABSENT else None,
        form=form,
        timeout=http.Timeout(connect=min(5.0, seconds), read=seconds, total=seconds),
    )


def refuse(action: Action, product: Product, inputs: Mapping[str, Any]) -> None:
    """Raise ActionFailed when the action's declaration says that nothing is asked for these inputs."""
    if action.refuse is None:
        return
    known = {"inputs": dict(inputs), "settings": settings_of(product)}
    try:
        if render(action.refuse.when, known) is False:
            return
        why = str(render(action.refuse.why, known))
    except TemplateError as error:
        why = f"It cannot be told whether this may be asked: {error}"
    raise ActionFailed(why, done=False)


def _url(path: str, variables: Mapping[str, Any]) -> str:
    """The address: every value in the path is quoted, so that none can leave its place."""

    def quoted(found: re.Match[str]) -> str:
        expression = found[1].strip()
        last = _LAST_FILTER.search(expression)
        bare = expression[: last.start()].strip() if last else expression
        value = render("{{ " + bare + " }}", variables, null=None)
        if value is None:
            raise ActionFailed(f"The address needs {bare}, which is empty.")
        text = str(value)
        if last and last[1] == "base64url":
            return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        if bare.startswith("settings."):
            return text
        if last and last[1] == "path":
            return _below(text)
        if text in (".", ".."):
            raise ActionFailed(f"“{text}” cannot stand in an address.")
        return quote(text, safe="")

    made = _EXPRESSION.sub(quoted, path)
    if made.startswith("https://"):
        return made
    base = str(variables["settings"].get("base_url") or "").rstrip("/")
    if not base:
        raise ActionFailed("This product's settings have no base_url.")
    return f"{base}/{made.lstrip('/')}"


def _below(text: str) -> str:
    """A path that a caller gave, kept below the product's address."""
    if (
        not text.startswith("/")
        or text.startswith("//")
        or any(part in (".", "..") for part in text.split("/"))
    ):
        raise ActionFailed(f"“{text[:80]}” is not a path below the product's address.")
    return quote(text, safe="/%:@!$&'()*+,;=~-._")


def _value(declared: Any, variables: Mapping[str, Any], product: Product) -> Any:
    """A value with its templates rendered; _ABSENT where an optional input was left out or a condition does not hold."""
    if isinstance(declared, str):
        made = render(declared, variables)
        return _ABSENT if made is None and _EXPRESSION.fullmatch(declared.strip()) else made
    if isinstance(declared, Mapping):
        if "$when" in declared:
            holds = evaluate(
                str(declared["$when"]), product, variables["inputs"],
                {"status": 0, "headers": {}, "body": None, "output": variables["output"]},
            )  # fmt: skip
            return _value(declared.get("$value"), variables, product) if holds else _ABSENT
        return _members(declared, variables, product)
    if isinstance(declared, list | tuple):
        made_all = [_value(item, variables, product) for item in declared]
        return [item for item in made_all if item is not _ABSENT]
    return declared


def _members(declared: Any, variables: Mapping[str, Any], product: Product) -> dict[str, Any]:
    if isinstance(declared, str):  # a whole mapping given as an input
        made = render(declared, variables)
        if made is None or made == "":
            return {}
        if not isinstance(made, Mapping):
            raise ActionFailed(f"{declared} must be a mapping.")
        return dict(made)
    rendered = {name: _value(value, variables, product) for name, value in (declared or {}).items()}
    return {name: value for name, value in rendered.items() if value is not _ABSENT}


def _parameter(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


def inputs_from(
    declared: Mapping[str, Any],
    other: Action,
    inputs: Mapping[str, Any],
    output: Mapping[str, Any],
    product: Product | None,
) -> dict[str, Any]:
    """The inputs of another action of the same product (probe, undo), from those of this one and its output."""
    empty: dict[str, Any] = {item.name: item.default for item in other.inputs}
    if not declared:
        return empty | {name: inputs[name] for name in empty if inputs.get(name) is not None}
    settings = settings_of(product) if product is not None else {}
    try:
        made = render(dict(declared), {"inputs": dict(inputs), "output": dict(output), "settings": settings})
    except TemplateError as error:
        raise ActionFailed(f"{other.full_name} cannot be asked: {error}") from error
    return empty | dict(made)
