"""One request and its answer on the wire: plain ASGI, because a framework would double what a delivery costs."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec

from core import logs
from core.errors import TocsinError, TooLarge

log = logs.get(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRAINED = (
    16 * 1024 * 1024
)  # of a too large body, so that the sender reads our answer instead of a broken pipe

ANSWERED = "tocsin.answered"  # under this the door leaves its Answer in the scope
encode = msgspec.json.Encoder().encode


class HungUp(Exception):
    """The sender closed the connection before its request was whole."""


class Heard:
    """A request: its headers by name (lower case), its body when asked for, and who it came from."""

    __slots__ = ("_headers", "_receive", "method", "path", "peer", "query", "raw_headers")

    def __init__(self, scope: Message, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.peer: str | None = scope["client"][0] if scope.get("client") else None
        self._headers = dict(self.raw_headers)
        self._receive = receive

    def header(self, name: str) -> str | None:
        """The value of a header (`name` in lower case), as latin-1 text."""
        value = self._headers.get(name.encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")

    def headers(self) -> dict[str, str]:
        """Every header as text, names in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}

    async def body(self, most: int) -> bytes:
        """The body as it was sent. Raises TooLarge over `most` bytes, HungUp when the sender is gone."""
        declared = self._headers.get(b"content-length", b"0")
        length = int(declared) if declared.isdigit() else 0
        if length > most and b"expect" in self._headers:
            raise _too_large(most, length)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > most:
                raise _too_large(most, max(len(body), length))
            return body
        return await self._rest(message, most, length)

    async def _rest(self, message: Message, most: int, length: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] != "http.request":
                raise HungUp
            part = message.get("body", b"")
            size += len(part)
            if size <= most:
                parts.append(part)
            if size > _DRAINED or not message.get("more_body"):
                break
            message = await self._receive()
        if size > most:
            raise _too_large(most, max(size, length))
        return b"".join(parts)


def _too_large(most: int, size: int) -> TooLarge:
    return TooLarge(f"This body has more than {most} bytes; send smaller batches.", limit=most, size=size)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: a status, a body of one media type, and further headers.

    `receipt` and `result` say what a delivery was given, for those who count.
    """

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    receipt: str = ""
    result: str = ""

    async def send(self, send: Send) -> None:
        """Send it. A body is announced even when there is none, so that connections stay open."""
        headers = [
            (b"content-type", self.media_type.encode("latin-1")),
            (b"content-length", b"%d" % len(self.body)),
        ]
        for name, value in self.headers.items():
            headers.append((name.lower().encode("latin-1"), value.encode("latin-1", "replace")))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def said(status: int, body: Any) -> Answer:
    """An answer in JSON."""
    return Answer(status, encode(body))


def taken(body: Any, receipt: UUID, result: str) -> Answer:
    """The answer to a delivery that is kept: accepted, duplicate or quarantined."""
    return Answer(202, encode(body), receipt=str(receipt), result=result)


def problem(error: TocsinError, instance: str) -> Answer:
    """An error as problem+json (RFC 9457)."""
    if error.status >= 500:
        log.error("a delivery was turned away", extra={"reason": error.message})
    headers = {"WWW-Authenticate": 'Bearer realm="tocsin"'} if error.status == 401 else {}
    if (wait := getattr(error, "retry_after", None)) is not None:
        headers["Retry-After"] = str(wait)
    body = {
        "type": f"about:blank#{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "instance": instance,
    }
    return Answer(error.status, encode(body), "application/problem+json", headers)
