"""Follows an action's declaration: sends its request, judges the answer, follows pages, asks whether it happened."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from connectors import rates
from connectors.answers import body_of, bounded, evaluate, excerpt, holds, kept, output_of, pick
from connectors.contract import Action, ActionContext, ActionFailed, Pagination, Probe
from connectors.products import Product, cleaned, masked, origin, settings_of
from connectors.requesting import MOST_SECONDS, build, inputs_from
from core.errors import Invalid, TocsinError
from core.expressions import TemplateError, render
from core.net import LoginRefused, NetError, NetRefused, ResponseTooLarge, http
from core.net import auth as credentials

__all__ = [
    "MOST_SECONDS", "Answer", "Product", "bounded", "health", "inputs_from", "perform", "poll", "probe", "show",
]  # fmt: skip

_RETRYABLE = frozenset({408, 425, 429, 502, 503, 504})
_SURELY_NOT = frozenset({429, 503})  # the product says it did not take the request


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
    request = build(action.request, product, inputs, key)
    shown: dict[str, Any] = {"method": request.method, "url": request.url}
    for name in ("params", "headers", "json", "form"):
        value = getattr(request, name)
        if value:
            shown[name] = value
    shown["auth"] = product.connector.auth.kind
    hidden: dict[str, Any] = masked(shown, product)
    return hidden


def perform(
    action: Action,
    product: Product,
    inputs: Mapping[str, Any],
    key: str,
    ports: Mapping[str, Any] | None = None,
) -> Answer:
    """Do it once. Raises ActionFailed, which says whether it surely did not happen, and whether to try again."""
    if action.run is not None:
        context = _context(product, key, ports or {})
        output = _guarded(lambda: action.run(context, inputs), product)  # type: ignore[misc]  # checked above
        return Answer(dict(output), {})
    if action.request is None:
        raise ActionFailed(f"{action.full_name} declares nothing to do.")
    request = build(action.request, product, inputs, key)
    response = _guarded(lambda: _send(request, product), product)
    if response.status in action.absent:
        return Answer({"found": False}, kept(response, product))
    body = body_of(response)
    _check(action, product, inputs, response, body)
    if action.pagination is not None:
        body = _more_pages(action.pagination, product, request, response, body)
    output = output_of(action.output, response.status, body)
    if action.absent:
        output.setdefault("found", True)
    return Answer(output, kept(response, product))


def poll(
    action: Action, product: Product, inputs: Mapping[str, Any], output: Mapping[str, Any], key: str
) -> Answer | None:
    """Ask once whether what was begun has ended: the answer when it has, None when not yet. Raises ActionFailed."""
    if action.poll is None:
        return Answer(dict(output))
    request = build(action.poll.request, product, inputs, key, output)
    response = _guarded(lambda: _send(request, product), product, reading=True)
    body = body_of(response)
    now = {**output, **output_of(action.output, response.status, body)}
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
    response = _guarded(lambda: _send(request, product), product, reading=True)
    body = body_of(response)
    return holds(asked.done_when, product, inputs, response, body, dict(output))


def health(product: Product) -> str:
    """A sentence that it works. Raises ActionFailed with why it does not."""
    declared = product.connector.health
    if declared is None:
        return "Nothing to check: this product is only listened to."
    if declared.run is not None:
        context = _context(product, "health", {})
        return str(_guarded(lambda: declared.run(context), product))  # type: ignore[misc]  # checked above
    if declared.request is None:
        return "Nothing to check."
    request = build(declared.request, product, {}, "health")
    response = _guarded(lambda: _send(request, product), product, reading=True)
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


def _send(request: http.Request, product: Product) -> http.Response:
    heard = product.heard
    auth = _auth(product)
    heard.requests += 1
    response = http.send(request, auth=auth, egress=product.egress)
    if response.status in _SURELY_NOT:
        wait = rates.asked_wait(response.headers, product.connector.rate_reset)
        if wait is not None or response.status == 429:
            heard.limited, heard.wait = True, max(wait or 0.0, heard.wait or 0.0) or None
    return response


def _auth(product: Product) -> credentials.Auth | None:
    declared = product.connector.auth
    if declared.kind == "none":
        return None
    names = {"settings": settings_of(product)}
    names["secrets"] = {item.name: "" for item in product.connector.secrets} | dict(product.secrets)
    try:
        options = render(dict(declared.options), names)
        if declared.kind == "bearer" and not options.get("token"):
            return None  # an optional token that was not given
        return credentials.build(declared.kind, options)
    except (TemplateError, Invalid) as error:
        raise ActionFailed(f"{product.connector.title} cannot be signed in to: {error}") from error


def _context(product: Product, key: str, ports: Mapping[str, Any]) -> ActionContext:
    return ActionContext(
        settings=settings_of(product),
        secrets=dict(product.secrets),
        egress=product.egress,
        key=key,
        send=lambda request: _send(request, product),
        ports=ports,
    )


def _guarded(act: Callable[[], Any], product: Product, *, reading: bool = False) -> Any:
    """Do it, with every way it may fail told as ActionFailed."""
    try:
        return act()
    except ActionFailed:
        raise
    except (NetRefused, LoginRefused) as error:
        raise ActionFailed(cleaned(error.message, product), done=False) from error
    except ResponseTooLarge as error:
        raise ActionFailed(cleaned(error.message, product), done=None if not reading else False) from error
    except NetError as error:
        unknown = error.sent and not reading
        raise ActionFailed(
            cleaned(error.message, product), done=None if unknown else False, retryable=True
        ) from error
    except TocsinError as error:
        raise ActionFailed(cleaned(error.message, product), done=False) from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ActionFailed(
            f"The connector {product.connector.name} failed: {cleaned(repr(error), product)}", done=None
        ) from error


def _check(
    action: Action, product: Product, inputs: Mapping[str, Any], response: http.Response, body: Any
) -> None:
    if holds(action.ok, product, inputs, response, body, {}):
        return
    status = response.status
    said = f"{product.connector.title} answered {status}: {excerpt(response, product, 300)}"
    wait = rates.asked_wait(response.headers, product.connector.rate_reset)
    if status in _SURELY_NOT:
        raise ActionFailed(said, done=False, retryable=True, retry_after=wait)
    if status >= 500 or status in _RETRYABLE:
        raise ActionFailed(said, done=None, retryable=True, retry_after=wait)
    raise ActionFailed(said, done=False)


def _more_pages(
    declared: Pagination, product: Product, request: http.Request, response: http.Response, body: Any
) -> Any:
    items = list(pick(declared.items, body) or [])
    page, answer = body, response
    for _ in range(declared.max_pages - 1):
        following = _next_link(answer) if declared.next == "link" else pick(declared.next, page)
        if not following:
            break
        if declared.param is not None and declared.next != "link":
            request = replace(request, params={**request.params, declared.param: str(following)})
        else:
            target = urljoin(request.url, str(following))
            if origin(target) != origin(request.url):
                break  # credentials stay at their origin
            parts = urlsplit(target)
            request = replace(request, url=target.partition("?")[0], params=dict(parse_qsl(parts.query)))
        answer = _guarded(partial(_send, request, product), product, reading=True)
        if not answer.ok:
            break
        page = body_of(answer)
        items += list(pick(declared.items, page) or [])
    return _with_items(body, declared.items, items)


def _with_items(body: Any, path: str, items: list[Any]) -> Any:
    steps = [step for step in path.replace("[]", "").split(".") if step]
    if not steps or not isinstance(body, dict):
        return items
    changed = dict(body)
    place = changed
    for step in steps[:-1]:
        place[step] = dict(place.get(step) or {})
        place = place[step]
    place[steps[-1]] = items
    return changed


def _next_link(response: http.Response) -> str | None:
    """The address of the next page in a Link header (RFC 8288)."""
    for part in response.headers.get("link", "").split(","):
        target, _, rest = part.partition(";")
        if re.search(r'rel="?next"?', rest):
            return target.strip().strip("<>")
    return None
