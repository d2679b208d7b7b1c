"""Asks a product for what an action must know before it can act, such as the id that belongs to a name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.answers import body_of, pick
from connectors.contract import Action, ActionFailed, Find
from connectors.products import Product
from connectors.requesting import build, inputs_from
from connectors.sending import OK, check, guarded, send
from core.expressions import TemplateError, render
from core.net import http

Ask = Callable[[Action, Mapping[str, Any]], Mapping[str, Any]]  # does a read action: its output


class NotThere(ActionFailed):
    """The product has nothing of what the action is about: surely nothing was done."""

    code = "not_there"


def found_for(
    action: Action, product: Product, inputs: Mapping[str, Any], key: str, ask: Ask
) -> dict[str, Any]:
    """What the action's look-ups give, by their names: one value, or a list. Each may use what those before it found.

    Raises NotThere when something it needs is not there, and ActionFailed when there is more than it may act on or the
    product does not answer; in either case nothing was changed.
    """
    found: dict[str, Any] = {}
    for asked in action.find:
        values = _values(asked, product, inputs, key, found, ask)
        title = product.connector.title
        if not values and (asked.missing or not asked.many):
            raise NotThere(_sentence(asked, inputs) or f"{title} has no such {asked.name}.", done=False)
        if asked.many and len(values) > asked.most:
            why = (
                f"{title} found more than {asked.most}, and nothing was done: say more exactly what is meant."
            )
            raise ActionFailed(why, done=False)
        if not asked.many and len(values) > 1:
            why = f"{title} knows {len(values)} of this name, and nothing was done: do it there by hand."
            raise ActionFailed(why, done=False)
        found[asked.name] = values if asked.many else values[0]
    return found


def shown_for(
    action: Action, product: Product, inputs: Mapping[str, Any], key: str
) -> tuple[dict[str, Any], list[http.Request]]:
    """What stands for the found values in a request that is only shown, and the look-ups that would be made first."""
    found: dict[str, Any] = {}
    requests: list[http.Request] = []
    for asked in action.find:
        if asked.action is not None:
            other = product.connector.actions[asked.action]
            given = inputs_from(asked.inputs, other, inputs, {}, product)
            inner, first = shown_for(other, product, given, key)
            requests += first
            if other.request is not None:
                requests.append(build(other.request, product, given, key, found=inner))
        elif asked.request is not None:
            requests.append(build(asked.request, product, inputs, key, found=found))
        found[asked.name] = f"found.{asked.name}"
    return found, requests


def _values(
    asked: Find, product: Product, inputs: Mapping[str, Any], key: str, found: Mapping[str, Any], ask: Ask
) -> list[Any]:
    """Every value at the look-up's path, once each, in the order of the answer."""
    if asked.action is not None:
        other = product.connector.actions[asked.action]
        picked = pick(asked.path, dict(ask(other, inputs_from(asked.inputs, other, inputs, {}, product))))
    elif asked.request is not None:
        request = build(asked.request, product, inputs, key, found=found)
        response = guarded(lambda: send(request, product), product, reading=True)
        if response.status == 404 and (asked.missing or not asked.many):
            return []
        body = body_of(response)
        check(OK, product, inputs, response, body, reading=True)
        picked = pick(asked.path, body)
    else:
        return []
    values: Sequence[Any] = picked if isinstance(picked, list) else [] if picked is None else [picked]
    if asked.equals:
        try:
            wanted = str(render(asked.equals, {"inputs": dict(inputs), "found": dict(found)}))
        except TemplateError as error:
            raise ActionFailed(f"What was found cannot be compared: {error}", done=False) from error
        values = [value for value in values if str(value) == wanted]
    once: list[Any] = []
    for value in values[: asked.most + 1]:
        if value not in once:
            once.append(value)
    return once


def _sentence(asked: Find, inputs: Mapping[str, Any]) -> str:
    try:
        return str(render(asked.missing, {"inputs": dict(inputs)}))
    except TemplateError:
        return asked.missing
