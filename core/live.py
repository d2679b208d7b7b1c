"""Live updates: tells open pages "X changed" and nothing else; what changed they read themselves."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

from core import clock
from core.types import Ref

ENDED = Ref("", "")  # what a listener hears last

_lock = threading.Lock()
_listeners: dict[asyncio.Queue[Ref], asyncio.AbstractEventLoop] = {}
_lately: deque[tuple[datetime, Ref]] = deque(maxlen=256)  # for pages that were made before they listen
_relay: list[Callable[[tuple[Ref, ...]], None]] = []


def publish(refs: Iterable[Ref]) -> None:
    """Tell every open page of this process, and of the others when a relay is set; never blocks, may be lost."""
    told = tuple(refs)
    for relay in _relay:
        relay(told)
    deliver(told)


def deliver(refs: tuple[Ref, ...]) -> None:
    """Tell the open pages of this process only."""
    at = clock.now()
    with _lock:
        listeners = list(_listeners.items())
        _lately.extend((at, ref) for ref in refs)
    for queue, loop in listeners:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is listening any more
            loop.call_soon_threadsafe(_offer, queue, refs)


def end() -> None:
    """Tell every listener of this process that nothing follows: it is about to stop."""
    deliver((ENDED,))


def relay_through(send: Callable[[tuple[Ref, ...]], None] | None) -> None:
    """Also hand published references to `send` (Redis, when there are several processes)."""
    _relay[:] = [send] if send else []


@asynccontextmanager
async def listening(since: datetime | None = None) -> AsyncIterator[asyncio.Queue[Ref]]:
    """A queue of what changes from now on, and of what has changed `since`; a slow reader loses the oldest."""
    queue: asyncio.Queue[Ref] = asyncio.Queue(maxsize=256)
    with _lock:
        if since is not None:
            _offer(queue, tuple(ref for at, ref in _lately if at >= since and ref != ENDED))
        _listeners[queue] = asyncio.get_running_loop()
    try:
        yield queue
    finally:
        with _lock:
            _listeners.pop(queue, None)


def _offer(queue: asyncio.Queue[Ref], refs: tuple[Ref, ...]) -> None:
    for ref in refs:
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(ref)
