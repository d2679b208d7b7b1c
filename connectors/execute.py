"""Follows an action's declaration: sends its request, judges the answer, follows pages, asks whether it happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors import finding
from connectors.answers import body_of, bounded, evaluate, excerpt, holds, kept, output_of
from connectors.contract import Action, ActionContext, ActionFailed, Effect, Probe
from connectors.finding import NotThere
from connectors.products import Product, masked, origin, settings_of
from connectors.requesting import MOST_SECONDS, build, inputs_from, refuse
from connectors.sending import check, guarded, more_pages, says_nothing, send
from core.net import http

__all__ = [
    "MOST_SECONDS", "Answer", "Product", "bounded", "health", "inputs_from", "perform", "poll", "probe", "show",
]  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came of an action: its output, and the answer as it is kept."""

    output: dict[str, Any]
    kept: dict[str, Any] = field(default_factory=dict)


def show(action: Action, product: Product, inputs: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The request as it will be sent, secrets masked: for the intent, the dry run and the page. Sends nothing.

    Raises ActionFailed when the inputs or settings do not make a request.
    """
    if action.request is None:
        return {"runs": action.full_name, "inputs": masked(dict(inputs), product)}
    inputs = _filled(action, inputs)
    refuse(action, product, inputs)
    found, first = finding.shown_for(action, product, inputs, key)
    shown = _shown(build(action.request, product, inputs, key, found=found))
    if first:
        shown["finds"] = [_shown(request) for request in first]
    shown["auth"] = product.connector.auth.kind
    hidden: dict[str, Any] = masked(shown, product)
    return hidden


def _shown(request: http.Request) -> dict[str, Any]:
    shown: dict[str, Any] = {"method": request.method, "url": request.url}
    for name in ("params", "headers", "json", "form"):
        value = getattr(request, name)
        if value:
            shown[name] = value
    return shown


def perform(
    action: Action,
    product: Product,
    inputs: Mapping[str, Any],
    key: str,
    ports: Mapping[str, Any] | None = None,
) -> Answer:
    """Do it once. Raises ActionFailed, which says whether it surely did not happen, and whether to try again."""
    inputs = _filled(action, inputs)
    if action.run is not None:
        context = _context(product, key, ports or {})
        output = guarded(lambda: action.run(context, inputs), product)  # type: ignore[misc]  # checked above
        return Answer(dict(output), {})
    if action.request is None:
        raise ActionFailed(f"{action.full_name} declares nothing to do.")
    reads = action.effect is Effect.read
    refuse(action, product, inputs)
    try:
        found = finding.found_for(
            action, product, inputs, key, lambda other, given: perform(other, product, given, key).output
        )
    except NotThere as error:
        if reads:
            return Answer({"found": False}, {"note": error.message})
        raise
    request = build(action.request, product, inputs, key, found=found)
    response = guarded(lambda: send(request, product), product, reading=reads)
    if response.status in action.absent:
        return Answer({"found": False}, kept(response, product))
    body = body_of(response)
    check(action.ok, product, inputs, response, body, reading=reads)
    if action.pagination is not None:
        body = more_pages(action.pagination, product, request, response, body)
    output = output_of(action.output, response.status, body, {"inputs": dict(inputs), "found": found})
    if action.absent or (reads and action.find):
        output.setdefault("found", True)
    return Answer(output, kept(response, product) if action.keep_answer else {"status": response.status})


def _filled(action: Action, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that are an action's own, with its own defaults: other products of the same verb take others, and may have been asked first."""
    mine = {item.name: item.default for item in action.inputs}
    return mine | {name: value for name, value in inputs.items() if name in mine and value is not None}


def poll(
    action: Action, product: Product, inputs: Mapping[str, Any], output: Mapping[str, Any], key: str
) -> Answer | None:
    """Ask once whether what was begun has ended: the answer when it has, None when not yet. Raises ActionFailed."""
    if action.poll is None:
        return Answer(dict(output))
    inputs = _filled(action, inputs)
    request = build(action.poll.request, product, inputs, key, output)
    response = guarded(lambda: send(request, product), product, reading=True)
    body = body_of(response)
    now = {**output, **output_of(action.output, response.status, body, {"inputs": dict(inputs), "found": {}})}
    if not response.ok or not holds(action.poll.until, product, inputs, response, body, now):
        return None
    return Answer(now, kept(response, product))


def probe(
    action: Action,
    product: Product,
    inputs: Mapping[str, Any],
    output: Mapping[str, Any],
    ports: Mapping[str, Any] | None = None,
) -> bool:
    """Did it happen, does it hold? Raises ActionFailed when the product does not say."""
    asked = action.probe
    if asked is None:
        raise ActionFailed(f"{action.full_name} cannot be checked: it declares no probe.")
    if asked.action is not None:
        other = product.connector.actions[asked.action]
        answer = perform(other, product, _inputs_of(asked, other, inputs, output, product), "probe", ports)
        context = {"status": 200, "headers": {}, "body": None, "output": answer.output}
        return evaluate(asked.done_when, product, inputs, context)
    if asked.request is None:
        raise ActionFailed(f"{action.full_name} cannot be checked: its probe is empty.")
    request = build(asked.request, product, inputs, "probe", output)
    response = guarded(lambda: send(request, product), product, reading=True)
    if says_nothing(response.status):
        raise ActionFailed(
            f"{product.connector.title} answered {response.status}: {excerpt(response, product, 300)}"
        )
    return holds(asked.done_when, product, inputs, response, body_of(response), dict(output))


def health(product: Product) -> str:
    """A sentence that it works. Raises ActionFailed with why it does not."""
    declared = product.connector.health
    if declared is None:
        return "Nothing to check: this product is only listened to."
    if declared.run is not None:
        context = _context(product, "health", {})
        return str(guarded(lambda: declared.run(context), product))  # type: ignore[misc]  # checked above
    if declared.request is None:
        return "Nothing to check."
    request = build(declared.request, product, {}, "health")
    response = guarded(lambda: send(request, product), product, reading=True)
    if not holds(declared.ok, product, {}, response, body_of(response), {}):
        raise ActionFailed(
            f"{origin(request.url)} answered {response.status}: {excerpt(response, product, 200)}"
        )
    return f"{origin(request.url)} answered {response.status}."


def _inputs_of(
    asked: Probe, other: Action, inputs: Mapping[str, Any], output: Mapping[str, Any], product: Product
) -> dict[str, Any]:
    """The inputs of a probe: those declared, else those of the same names."""
    return inputs_from(asked.inputs, other, inputs, output, product)


def _context(product: Product, key: str, ports: Mapping[str, Any]) -> ActionContext:
    return ActionContext(
        settings=settings_of(product),
        secrets=dict(product.secrets),
        egress=product.egress,
        key=key,
        send=lambda request: send(request, product),
        ports=ports,
    )
