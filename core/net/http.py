"""Send one HTTP request by the egress rules."""

import atexit
import json
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from weakref import WeakSet

import httpcore
import httpx

from core import charsets
from core.errors import Invalid
from core.net import patience
from core.net.egress import Egress, current, resolve, screen
from core.net.errors import NetFailed, NetRefused, NetTimeout, ResponseTooLarge
from core.net.tls import Tls
from core.net.tls import context as tls_context

if TYPE_CHECKING:
    from core.net.auth import Auth

USER_AGENT = "Tocsin"
_NOT_SENT = (
    httpx.ConnectError,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.ProxyError,
)


@dataclass(frozen=True, kw_only=True)
class Timeout:
    """Seconds: to connect, to wait for the next bytes, and for everything together."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. At most one of json, form and content; redirects: how many may be followed (each is judged again)."""

    method: str = "GET"
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, Any] | None = None
    content: bytes | None = None
    timeout: Timeout = field(default_factory=Timeout)
    max_response: int = 1024 * 1024
    redirects: int = 0
    tls: Tls = field(default_factory=Tls)

    def with_headers(self, more: Mapping[str, str]) -> "Request":
        """A copy with headers added or replaced, whatever their case."""
        lowered = {name.lower() for name in more}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in lowered}
        return replace(self, headers={**kept, **more})

    def body(self) -> bytes:
        """The bytes that will be sent."""
        return _build(self).read()

    def full_url(self) -> str:
        """The URL with its query."""
        return str(_build(self).url)


@dataclass(frozen=True)
class Response:
    """What came back: header names are lower-case, the content is decoded (gzip)."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    cookies: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The content as text, in its declared charset or UTF-8."""
        charset = self.headers.get("content-type", "").partition("charset=")[2].partition(";")[0].strip(' "')
        return charsets.decoded(self.content, charset)

    def json(self) -> Any:
        """The content as JSON; raises NetFailed (sent) when it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            kind = self.headers.get("content-type", "no content type")
            raise NetFailed(f"the answer ({self.status}, {kind}) is not JSON", sent=True) from None


def send(request: Request, *, auth: "Auth | None" = None, egress: Egress | None = None) -> Response:
    """Send and read the whole answer; any status is an answer, not an error.

    Raises NetRefused (by our rules), NetTimeout and NetFailed (see `.sent`), ResponseTooLarge, LoginRefused, Invalid
    for a request that cannot be sent at all. A token is fetched anew once when the answer is 401.
    """
    rules = egress if egress is not None else current()
    if auth is None:
        return _follow(request, rules, None)
    response = _follow(request, rules, auth)
    if response.status == 401 and auth.forget():
        response = _follow(request, rules, auth)
    return response


def _follow(request: Request, rules: Egress, auth: "Auth | None") -> Response:
    deadline = patience.until(time.monotonic() + request.timeout.total)
    left = request.redirects
    while True:
        ready = auth.sign(request, rules) if auth is not None else request
        with patience.within(deadline - time.monotonic()):
            response = _exchange(ready, rules, deadline)
        target = response.headers.get("location")
        if left <= 0 or target is None or response.status not in (301, 302, 303, 307, 308):
            return response
        left -= 1
        request, same = _redirected(request, response.status, target)
        auth = auth if same else None


def _redirected(request: Request, status: int, target: str) -> tuple[Request, bool]:
    """The next request, and whether it stays at the same origin (credentials go nowhere else)."""
    old = httpx.URL(request.url)
    new = httpx.URL(urljoin(request.url, target))
    if old.scheme == "https" and new.scheme != "https":
        raise NetRefused(f"{origin(old)} redirects to an address without TLS", sent=True)
    same = (old.scheme, old.host, old.port) == (new.scheme, new.host, new.port)
    changed = replace(request, url=str(new), params={})
    if status == 303 or (status in (301, 302) and request.method not in ("GET", "HEAD")):
        changed = replace(changed, method="GET", json=None, form=None, content=None)
    if not same:
        kept = {
            k: v for k, v in request.headers.items() if k.lower() in ("accept", "user-agent", "content-type")
        }
        changed = replace(changed, headers=kept)
    return changed, same


def origin(url: httpx.URL) -> str:
    """scheme://host[:port]: all of a URL that may be shown, for paths and queries hold secrets."""
    return f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")


def _build(request: Request) -> httpx.Request:
    try:
        url = httpx.URL(request.url)
    except httpx.InvalidURL:
        raise Invalid("this is not a URL that can be asked") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Invalid("a URL begins with https:// or http:// and names a host")
    if url.userinfo:
        raise Invalid(
            f"{origin(url)}: put the user name and password in the product's settings, not in the URL"
        )
    for name, value in request.headers.items():
        if any(character in f"{name}{value}" for character in "\r\n\0"):
            raise Invalid(f'the header "{name[:40]!r}" holds a line break')
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **request.headers}
    params = {name: value for name, value in request.params.items() if value is not None}
    return httpx.Request(
        request.method,
        url.copy_merge_params(params) if params else url,
        headers=headers,
        json=request.json,
        data=request.form,
        content=request.content,
        extensions={"timeout": {}},
    )


def _exchange(request: Request, rules: Egress, deadline: float) -> Response:
    built = _build(request)
    place, limit = origin(built.url), request.timeout
    screen(built.url.host, built.url.port or (443 if built.url.scheme == "https" else 80), rules)
    left = max(deadline - time.monotonic(), 0.001)
    built.extensions["timeout"] = {
        "connect": min(limit.connect, left), "pool": min(limit.connect, left), "read": min(limit.read, left),
        "write": min(limit.read, left),
    }  # fmt: skip
    try:
        answer = _transport(rules, request.tls).handle_request(built)
        try:
            raw = _read(answer, request.max_response, deadline, place)
        finally:
            answer.close()
    except httpx.ConnectTimeout:
        raise NetTimeout(f"{place} did not accept a connection within {limit.connect:g} s") from None
    except httpx.TimeoutException as error:
        unsent = isinstance(error, _NOT_SENT)
        said = "did not finish its answer" if time.monotonic() >= deadline else "did not answer"
        raise NetTimeout(f"{place} {said} in time", sent=not unsent) from None
    except httpx.TransportError as error:
        unsent = isinstance(error, _NOT_SENT)
        raise NetFailed(f"{place} cannot be reached: {error}" if unsent else f"{place} broke off: {error}",
                        sent=not unsent) from None  # fmt: skip
    return Response(
        answer.status_code,
        {name.lower(): value for name, value in answer.headers.items()},
        raw,
        tuple(answer.headers.get_list("set-cookie")),
    )


def _read(answer: httpx.Response, limit: int, deadline: float, place: str) -> bytes:
    """The decoded content, never more than `limit` bytes of it in memory."""
    pieces: list[bytes] = []
    size = 0
    for piece in _decoded(answer.iter_raw(), answer.headers.get("content-encoding", ""), limit + 1, place):
        size += len(piece)
        if size > limit:
            raise ResponseTooLarge(f"{place} answered {answer.status_code} with more than {limit:,} bytes",
                                   answer.status_code)  # fmt: skip
        if time.monotonic() > deadline:
            raise NetTimeout(f"{place} did not finish its answer in time", sent=True)
        pieces.append(piece)
    return b"".join(pieces)


def _decoded(raw: Iterable[bytes], encoding: str, most: int, place: str) -> Iterator[bytes]:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from raw
        return
    if encoding not in ("gzip", "x-gzip"):
        raise NetFailed(f"{place} answered in an encoding we did not ask for ({encoding[:20]})", sent=True)
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for piece in raw:
            yield inflate.decompress(
                piece, most
            )  # a tail is left only when `most` is reached: the caller stops
        yield inflate.flush()
    except zlib.error:
        raise NetFailed(f"{place} sent a damaged answer", sent=True) from None


class _PinnedBackend(httpcore.SyncBackend):
    """Connects only to addresses that were judged; TLS and the Host header keep the name."""

    def __init__(self, rules: Egress) -> None:
        self._rules = rules

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        deadline = time.monotonic() + (timeout or 5.0)
        problem: Exception = httpcore.ConnectTimeout("no address answered")
        for address in resolve(host, port, self._rules, timeout or 5.0):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                made = super().connect_tcp(str(address), port, left, local_address, socket_options)
                return _Patient(made)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


class _Patient(httpcore.NetworkStream):
    """A connection on which nothing lasts longer than the exchange may: a byte now and then does not keep it going."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, patience.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, patience.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Patient(self._inner.start_tls(ssl_context, server_hostname, patience.left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _PinnedTransport(httpx.HTTPTransport):
    """httpx's transport over our backend, so that what mocks httpx (respx) works unchanged."""

    def __init__(self, rules: Egress, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=10.0,
            network_backend=_PinnedBackend(rules),
        )


@lru_cache(maxsize=256)
def _transport(rules: Egress, identity: Tls) -> _PinnedTransport:
    """One pool per set of rules and TLS settings; no cookies are kept, for products share it."""
    made = _PinnedTransport(rules, tls_context(identity))
    _made.add(made)
    return made


_made: WeakSet[_PinnedTransport] = (
    WeakSet()
)  # those that are still used: who falls out of the cache goes for good


@atexit.register
def _close() -> None:
    for transport in list(_made):
        transport.close()
