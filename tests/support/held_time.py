"""Time and waiting work under a test's hand: `clock` holds the time, `drain` does what is due."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from core import clock as core_clock

A_MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class HeldClock:
    """The time stands still at `now` until the test moves it."""

    def __init__(self) -> None:
        self._held = ExitStack()

    @property
    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return core_clock.now()

    def hold(self, at: datetime) -> datetime:
        """Hold the time at `at`."""
        self.release()
        self._held.enter_context(core_clock.frozen(at))
        return self.now

    def advance(self, by: timedelta | None = None, **parts: float) -> datetime:
        """Move on by a timedelta or its parts: `advance(minutes=5)`."""
        return self.hold(self.now + (by if by is not None else timedelta(**parts)))

    def release(self) -> None:
        """Let the time run again."""
        self._held.close()


@pytest.fixture
def clock() -> Iterator[HeldClock]:
    """The clock, held at Monday 2 March 2026, 09:00 UTC."""
    held = HeldClock()
    held.hold(A_MONDAY)
    yield held
    held.release()


@pytest.fixture
def drain() -> Callable[..., int]:
    """`drain()` does all due work of every kind (`drain("name", …)`: of these) until nothing is due; returns how much."""

    def run(*kinds: str) -> int:
        from core import work  # here, so that pure tests need no database modules

        total = 0
        for _ in range(200):
            done = sum(work.drain(kind) for kind in (kinds or tuple(work.kinds())))
            total += done
            if not done:
                return total
        raise AssertionError(f"work never ends: {total} rows handled and more is due")

    return run
