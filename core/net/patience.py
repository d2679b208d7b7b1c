"""How long this thread may wait for the network altogether, however little and however slowly the other side says it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_local = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Every exchange of this thread ends within so many seconds from now; a shorter limit around it stays."""
    before = getattr(_local, "until", None)
    _local.until = until(time.monotonic() + seconds)
    try:
        yield
    finally:
        _local.until = before


def until(own: float) -> float:
    """The monotonic time at which to give up: `own`, or earlier when less is left."""
    limit: float | None = getattr(_local, "until", None)
    return own if limit is None else min(own, limit)


def left(timeout: float | None) -> float | None:
    """Of a time-out, what is left; at least a millisecond, so that it ends as a time-out does."""
    limit: float | None = getattr(_local, "until", None)
    if limit is None:
        return timeout
    remaining = max(limit - time.monotonic(), 0.001)
    return remaining if timeout is None else min(timeout, remaining)
