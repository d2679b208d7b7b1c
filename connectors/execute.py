"""Follows an action's declaration: builds the request, sends it, judges the answer, reads the output, asks whether it happened."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from connectors.contract import Action, ActionContext, ActionFailed, Connector, Pagination, Probe, Request
from connectors.paths import Frame, compile_path
from core.errors import Invalid, TocsinError
from core.expressions import Context, ExpressionError, Schema, TemplateError, compile_condition, render
from core.net import Egress, LoginRefused, NetError, NetRefused, ResponseTooLarge, current, http
from core.net import auth as credentials

SCHEMA = Schema(
    {"inputs": "any", "settings": "any", "status": "int", "headers": "any", "body": "any", "output": "any"}
)

MOST_SECONDS = 45.0  # one exchange; a call ends well before its lease
MOST_KEPT = 16_384  # characters of an answer that are kept with the call
MASK = "••••"

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_LAST_FILTER = re.compile(r"\|\s*(path|base64url)\s*$")
_RETRYABLE = frozenset({408, 425, 429, 502, 503, 504})
_SURELY_NOT = frozenset({429, 503})  # the product says it did not take the request


@dataclass(frozen=True)
class Product:
    """A configured product: what a request to it needs."""

    connector: Connector
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    private: bool = False

    @property
    def egress(self) -> Egress:
        """Where its requests may go."""
        return current(allow_private=self.private)


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
        return {"runs": action.full_name, "inputs": _masked(dict(inputs), product)}
    request = _build(action.request, product, inputs, key)
    shown: dict[str, Any] = {"method": request.method, "url": request.url}
    for name in ("params", "headers", "json", "form"):
        value = getattr(request, name)
        if value:
            shown[name] = value
    shown["auth"] = product.connector.auth.kind
    masked: dict[str, Any] = _masked(shown, product)
    return masked


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
    request = _build(action.request, product, inputs, key)
    response = _guarded(lambda: _send(request, product), product)
    if response.status in action.absent:
        return Answer({"found": False}, _kept(response, product))
    body = _body(response)
    _check(action, product, inputs, response, body)
    if action.pagination is not None:
        body = _more_pages(action.pagination, product, request, response, body)
    output = _output(action.output, response.status, body)
    if action.absent:
        output.setdefault("found", True)
    return Answer(output, _kept(response, product))


def poll(
    action: Action, product: Product, inputs: Mapping[str, Any], output: Mapping[str, Any], key: str
) -> Answer | None:
    """Ask once whether what was begun has ended: the answer when it has, None when not yet. Raises ActionFailed."""
    if action.poll is None:
        return Answer(dict(output))
    request = _build(action.poll.request, product, inputs, key, output)
    response = _guarded(lambda: _send(request, product), product, reading=True)
    body = _body(response)
    now = {**output, **_output(action.output, response.status, body)}
    if not response.ok or not _holds(action.poll.until, product, inputs, response, body, now):
        return None
    return Answer(now, _kept(response, product))


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
        return _evaluate(asked.done_when, product, inputs, context)
    if asked.request is None:
        raise ActionFailed(f"{action.full_name} cannot be checked: its probe is empty.")
    request = _build(asked.request, product, inputs, "probe", output)
    response = _guarded(lambda: _send(request, product), product, reading=True)
    body = _body(response)
    return _holds(asked.done_when, product, inputs, response, body, dict(output))


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
    request = _build(declared.request, product, {}, "health")
    response = _guarded(lambda: _send(request, product), product, reading=True)
    if not _holds(declared.ok, product, {}, response, _body(response), {}):
        raise ActionFailed(
            f"{_place(request.url)} answered {response.status}: {_excerpt(response, product, 200)}"
        )
    return f"{_place(request.url)} answered {response.status}."


# ------------------------------------------------------------------------------------------------ building


def _build(
    declared: Request,
    product: Product,
    inputs: Mapping[str, Any],
    key: str,
    output: Mapping[str, Any] | None = None,
) -> http.Request:
    variables = {
        "inputs": dict(inputs),
        "settings": _with_defaults(product),
        "secrets": {item.name: "" for item in product.connector.secrets} | dict(product.secrets),
        "output": dict(output or {}),
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


def _with_defaults(product: Product) -> dict[str, Any]:
    return {item.name: item.default for item in product.connector.settings} | {
        name: value for name, value in product.settings.items() if value is not None
    }


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


_ABSENT: Any = object()


def _value(declared: Any, variables: Mapping[str, Any], product: Product) -> Any:
    """A value with its templates rendered; _ABSENT where an optional input was left out or a condition does not hold."""
    if isinstance(declared, str):
        made = render(declared, variables)
        return _ABSENT if made is None and _EXPRESSION.fullmatch(declared.strip()) else made
    if isinstance(declared, Mapping):
        if "$when" in declared:
            holds = _evaluate(
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


def _inputs_of(
    asked: Probe, other: Action, inputs: Mapping[str, Any], output: Mapping[str, Any], product: Product
) -> dict[str, Any]:
    """The inputs of a probe: those declared, else those of the same names."""
    return inputs_from(asked.inputs, other, inputs, output, product)


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
    settings = _with_defaults(product) if product is not None else {}
    try:
        made = render(dict(declared), {"inputs": dict(inputs), "output": dict(output), "settings": settings})
    except TemplateError as error:
        raise ActionFailed(f"{other.full_name} cannot be asked: {error}") from error
    return empty | dict(made)


# ------------------------------------------------------------------------------------------------ sending


def _send(request: http.Request, product: Product) -> http.Response:
    return http.send(request, auth=_auth(product), egress=product.egress)


def _auth(product: Product) -> credentials.Auth | None:
    declared = product.connector.auth
    if declared.kind == "none":
        return None
    names = {"settings": _with_defaults(product)}
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
        settings=_with_defaults(product),
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
        raise ActionFailed(_clean(error.message, product), done=False) from error
    except ResponseTooLarge as error:
        raise ActionFailed(_clean(error.message, product), done=None if not reading else False) from error
    except NetError as error:
        unknown = error.sent and not reading
        raise ActionFailed(
            _clean(error.message, product), done=None if unknown else False, retryable=True
        ) from error
    except TocsinError as error:
        raise ActionFailed(_clean(error.message, product), done=False) from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ActionFailed(
            f"The connector {product.connector.name} failed: {_clean(repr(error), product)}", done=None
        ) from error


def _check(
    action: Action, product: Product, inputs: Mapping[str, Any], response: http.Response, body: Any
) -> None:
    if _holds(action.ok, product, inputs, response, body, {}):
        return
    status = response.status
    said = f"{product.connector.title} answered {status}: {_excerpt(response, product, 300)}"
    wait = _retry_after(response)
    if status in _SURELY_NOT:
        raise ActionFailed(said, done=False, retryable=True, retry_after=wait)
    if status >= 500 or status in _RETRYABLE:
        raise ActionFailed(said, done=None, retryable=True, retry_after=wait)
    raise ActionFailed(said, done=False)


def _retry_after(response: http.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return min(float(text), 900.0) if text.isdecimal() else None


def _more_pages(
    declared: Pagination, product: Product, request: http.Request, response: http.Response, body: Any
) -> Any:
    items = list(_pick(declared.items, body) or [])
    page, answer = body, response
    for _ in range(declared.max_pages - 1):
        following = _next_link(answer) if declared.next == "link" else _pick(declared.next, page)
        if not following:
            break
        if declared.param is not None and declared.next != "link":
            request = replace(request, params={**request.params, declared.param: str(following)})
        else:
            target = urljoin(request.url, str(following))
            if _place(target) != _place(request.url):
                break  # credentials stay at their origin
            parts = urlsplit(target)
            request = replace(request, url=target.partition("?")[0], params=dict(parse_qsl(parts.query)))
        answer = _guarded(partial(_send, request, product), product, reading=True)
        if not answer.ok:
            break
        page = _body(answer)
        items += list(_pick(declared.items, page) or [])
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


# ------------------------------------------------------------------------------------------------ reading answers


def _body(response: http.Response) -> Any:
    try:
        return json.loads(response.content) if response.content else None
    except (ValueError, RecursionError):
        return response.text


def _pick(path: str, body: Any) -> Any:
    if path in ("", "@body"):
        return body
    return compile_path(path)(Frame(body, body, {}, {}))


def _output(declared: Mapping[str, str], status: int, body: Any) -> dict[str, Any]:
    """What was asked for of the answer; every name is there, null where the answer has nothing."""
    made = {name: status if path == "@status" else _pick(path, body) for name, path in declared.items()}
    return bounded(made)


def _holds(
    condition: str,
    product: Product,
    inputs: Mapping[str, Any],
    response: http.Response,
    body: Any,
    output: Mapping[str, Any],
) -> bool:
    values = {
        "status": response.status,
        "headers": dict(response.headers),
        "body": body,
        "output": dict(output),
    }
    return _evaluate(condition, product, inputs, values)


def _evaluate(condition: str, product: Product, inputs: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    try:
        compiled = compile_condition(condition, SCHEMA)
        context = Context({**values, "inputs": dict(inputs), "settings": _with_defaults(product)})
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


def _kept(response: http.Response, product: Product) -> dict[str, Any]:
    return {"status": response.status, "body": _excerpt(response, product, MOST_KEPT)}


def _excerpt(response: http.Response, product: Product, most: int) -> str:
    return _clean(response.text, product).replace("\x00", "�").encode("utf-8", "replace").decode()[:most]


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _clean(text: str, product: Product) -> str:
    for secret in product.secrets.values():
        if secret and len(secret) > 3:
            text = text.replace(secret, MASK)
    return text


def _masked(value: Any, product: Product) -> Any:
    if isinstance(value, str):
        return _clean(value, product)[:4000]
    if isinstance(value, Mapping):
        return {name: _masked(inner, product) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner, product) for inner in value]
    return value
