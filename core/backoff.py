"""How long to wait before something that failed is tried again."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the next attempt: first × factor^n up to cap, ± a fifth."""

    first: timedelta = timedelta(seconds=2)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=5)

    def after(self, attempts: int) -> timedelta:
        """The wait after `attempts` failed attempts."""
        exponent = min(max(attempts - 1, 0), 32)
        wait = min(self.first.total_seconds() * self.factor**exponent, self.cap.total_seconds())
        return timedelta(seconds=wait * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, guards nothing
