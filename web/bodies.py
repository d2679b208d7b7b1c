"""How large a request may be, said before and while it is read: nobody fills our memory or disk."""

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope

from core.settings import settings

MOST = 2 * 1024 * 1024
"""Bytes of a request that brings no file."""
ROUND_A_FILE = 256 * 1024
"""Bytes of a form beside its file."""
MOST_AT_ONCE = 4
"""So many files of the largest size may come in one form."""


class TooMuch(HTTPException, MultiPartException):
    """More came than may; who reads a form lets go of its files when told so (and answers 400)."""

    def __init__(self, limit: int) -> None:
        self.message = f"This is larger than {limit // 1024:,} KiB, the most that is taken here."
        super().__init__(413, self.message)


def most(path: str) -> int:
    """Bytes that a request to this address may have."""
    if path.endswith(("/attachments", "/comment", "/incidents/new", "/incidents/new/values")):
        return MOST_AT_ONCE * settings().max_upload + ROUND_A_FILE
    if path.startswith("/report"):
        return settings().max_upload + ROUND_A_FILE
    return MOST


def too_large(scope: Scope, length: str | None) -> Response | None:
    """The answer to a request that says of itself that it is too large; None when it does not."""
    limit = most(scope["path"])
    if length is None or not length.isdecimal() or int(length) <= limit:
        return None
    message = TooMuch(limit).message
    if scope["path"].startswith("/api/"):
        body = {
            "type": "about:blank#too-large",
            "title": "Content Too Large",
            "status": 413,
            "detail": message,
        }
        return JSONResponse(body, 413, media_type="application/problem+json")
    return PlainTextResponse(message, 413)


def bounded(scope: Scope, receive: Receive) -> Receive:
    """The same request, broken off when more comes than it may have, whatever it said of itself."""
    limit, read = most(scope["path"]), 0

    async def receive_some() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(
                413, f"This is larger than {limit // 1024:,} KiB, the most that is taken here."
            )
        return message

    return receive_some
