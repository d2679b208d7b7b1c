"""Time: one aware UTC clock that tests can hold still."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_held_everywhere: list[datetime] = []

MOST_BACK = 86_400.0
"""Seconds: a clock that was wrong by more than a day was not set back, it was set right."""
_STEADY = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # goes on while the machine sleeps, where there is one
_anchor: list[tuple[float, float]] = []  # what the wall clock and the steady one said when they last agreed


def now() -> datetime:
    """The present instant, always aware and in UTC.

    It never goes back while the process lives: when the machine's clock is set back, this one goes on until the other has
    caught up, so that what is due stays due.
    """
    if _held_everywhere:
        return _held_everywhere[-1]
    wall, steady = time.time(), time.clock_gettime(_STEADY)
    if _anchor:
        then, since = _anchor[0]
        expected = then + (steady - since)
        if 0.5 < expected - wall < MOST_BACK:
            return datetime.fromtimestamp(expected, UTC)
    _anchor[:] = [(wall, steady)]
    return datetime.fromtimestamp(wall, UTC)


def held() -> bool:
    """True while a test holds the clock still."""
    return bool(_held_everywhere)


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Hold the clock at `at` (aware) in every thread of this process."""
    if at.tzinfo is None:
        raise ValueError("frozen() needs an aware datetime")
    _held_everywhere.append(at.astimezone(UTC))
    try:
        yield
    finally:
        _held_everywhere.pop()
