"""Sends one request to a product, tells every way it may fail as ActionFailed, and follows the pages of its answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from connectors import rates
from connectors.answers import body_of, excerpt, holds, pick
from connectors.contract import ActionFailed, Pagination
from connectors.products import Product, cleaned, origin, settings_of
from core.errors import Invalid, TocsinError
from core.expressions import TemplateError, render
from core.net import LoginRefused, NetError, NetRefused, ResponseTooLarge, http
from core.net import auth as credentials
from core.net.tls import Tls

OK = "status >= 200 && status < 300"
_RETRYABLE = frozenset({408, 425, 429, 502, 503, 504})
_SURELY_NOT = frozenset({429, 503})  # the product says it did not take the request
_NOT_LET_IN = frozenset({401, 403, 407})


def send(request: http.Request, product: Product) -> http.Response:
    """The answer, whatever its status; credentials are added here. Raises what core.net raises."""
    heard = product.heard
    auth = _auth(product)
    heard.requests += 1
    if product.tls.ca and request.tls == Tls():
        request = replace(request, tls=product.tls)
    response = http.send(request, auth=auth, egress=product.egress)
    if response.status in _SURELY_NOT:
        wait = rates.asked_wait(response.headers, product.connector.rate_reset)
        if wait is not None or response.status == 429:
            heard.limited, heard.wait = True, max(wait or 0.0, heard.wait or 0.0) or None
    return response


def says_nothing(status: int) -> bool:
    """Whether an answer of this status leaves a question open: not let in, too often, broken."""
    return status >= 500 or status in _RETRYABLE | _NOT_LET_IN


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


def guarded(act: Callable[[], Any], product: Product, *, reading: bool = False) -> Any:
    """Do it, with every way it may fail told as ActionFailed; what only reads has surely changed nothing."""
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


def check(
    ok: str,
    product: Product,
    inputs: Mapping[str, Any],
    response: http.Response,
    body: Any,
    *,
    reading: bool = False,
) -> None:
    """Raise ActionFailed unless the condition holds over the answer; it says whether surely nothing was done."""
    if holds(ok, product, inputs, response, body, {}):
        return
    status = response.status
    said = f"{product.connector.title} answered {status}: {excerpt(response, product, 300)}"
    wait = rates.asked_wait(response.headers, product.connector.rate_reset)
    if status in _SURELY_NOT:
        raise ActionFailed(said, done=False, retryable=True, retry_after=wait)
    if status >= 500 or status in _RETRYABLE:
        raise ActionFailed(said, done=False if reading else None, retryable=True, retry_after=wait)
    raise ActionFailed(said, done=False)


def more_pages(
    declared: Pagination, product: Product, request: http.Request, response: http.Response, body: Any
) -> Any:
    """The body of the first page with the items of all pages in it; pages elsewhere than at its origin are not fetched."""
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
        answer = guarded(partial(send, request, product), product, reading=True)
        page = body_of(answer)
        check(OK, product, {}, answer, page, reading=True)  # half a list is not told as the whole
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
