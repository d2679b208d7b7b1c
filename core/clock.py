"""Time: one aware UTC clock that tests can hold still."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_held_everywhere: list[datetime] = []


def now() -> datetime:
    """The present instant, always aware and in UTC."""
    if _held_everywhere:
        return _held_everywhere[-1]
    return datetime.now(UTC)


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
