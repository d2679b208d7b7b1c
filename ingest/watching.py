"""Watches the door from outside: counts what is answered, how long it takes, and says which receipts were given."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from core import logs, metrics, telemetry
from ingest.wire import ANSWERED, Answer, Message, Receive, Send

log = logs.get(__name__)

App = Callable[[Message, Receive, Send], Awaitable[None]]

ACCEPTS = metrics.counter(
    "tocsin_accepts_total", "Deliveries that were answered at the door, by result.", "result",
    known=(("accepted",), ("overloaded",), ("failed",)),
)
SECONDS = metrics.histogram("tocsin_accept_seconds", "From a delivery's first byte to its answer.")
_BY_STATUS = {
    400: "invalid", 401: "unproven", 403: "disabled", 404: "unknown_source", 405: "invalid", 413: "too_large",
    429: "overloaded", 503: "overloaded",
}  # fmt: skip
_SAID_AFTER = 0.05  # seconds: receipts given within them share a line
_MOST_IN_A_LINE = 200


def watched(door: App) -> App:
    """The same door, watched. What is only read there (block lists, challenges) is not counted."""
    said = _Receipts()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await door(scope, receive, send)
            return
        began, began_at = time.perf_counter(), time.time()
        await door(scope, receive, send)
        answer: Answer | None = scope.get(ANSWERED)
        if answer is None:  # the sender hung up
            return
        SECONDS.observe(time.perf_counter() - began)
        if not answer.receipt:
            ACCEPTS.add(_BY_STATUS.get(answer.status, "failed"))
            return
        ACCEPTS.add(answer.result)
        said.add(answer.receipt, answer.result)
        if answer.result != "duplicate":
            telemetry.accepted(
                answer.receipt, began_at, door=scope["path"].split("/")[1], result=answer.result
            )

    return app


class _Receipts:
    """Gathers receipts for a moment: at thousands a second a line for each would cost more than the answers do."""

    def __init__(self) -> None:
        self._given: dict[str, list[str]] = {}
        self._count = 0

    def add(self, receipt: str, result: str) -> None:
        """Say it within 50 ms, together with others."""
        if not self._count:
            asyncio.get_running_loop().call_later(_SAID_AFTER, self._say)
        self._given.setdefault(result, []).append(receipt)
        self._count += 1
        if self._count >= _MOST_IN_A_LINE:
            self._say()

    def _say(self) -> None:
        given, self._given, self._count = self._given, {}, 0
        for result, receipts in given.items():
            if len(receipts) == 1:
                with logs.tied(receipts[0]):
                    log.info("%s a delivery", result, extra={"receipt": receipts[0]})
            else:
                log.info("%s %d deliveries", result, len(receipts), extra={"receipts": receipts})
