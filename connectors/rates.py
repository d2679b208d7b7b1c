"""How often a product may be called, as it is written down, and how long its answer asks to be left alone."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

from connectors.contract import Rate
from core import clock
from core.errors import Invalid, Problem

NONE = "none"
MOST_CALLS = 10_000  # of one limit: each is a row while it counts
MOST_RATES = 4
MOST_WAIT = 900.0  # seconds that a product's answer is believed; then it is asked once more
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=31)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RATE = re.compile(r"(\d{1,9})\s*/\s*(\d{1,6})?([smhd])")


def problem_of(calls: float, per: timedelta) -> str | None:
    """What is wrong with a limit, as the end of a sentence; None when it can be kept."""
    if calls != int(calls) or not 1 <= calls <= MOST_CALLS:
        return f"calls must be a whole number from 1 to {MOST_CALLS}"
    if not SHORTEST <= per <= LONGEST:
        return "per must be a duration from 1s to 31d"
    return None


def read(text: str) -> tuple[Rate, ...]:
    """Limits as a person writes them: `4/1m, 500/1d`, or `none`. Raises Invalid."""
    if text.strip().lower() == NONE:
        return ()
    found = []
    for part in text.split(","):
        match = _RATE.fullmatch(part.strip().lower())
        if match is None:
            raise _wrong(f"“{part.strip()[:40]}” is not a limit")
        rate = Rate(int(match[1]), timedelta(seconds=int(match[2] or 1) * _UNITS[match[3]]))
        if problem := problem_of(rate.calls, rate.per):
            raise _wrong(f"“{part.strip()[:40]}”: {problem}")
        found.append(rate)
    if len(found) > MOST_RATES:
        raise _wrong(f"At most {MOST_RATES} limits hold together")
    return tuple(found)


def written(rates: Sequence[Rate]) -> str:
    """Limits as read() takes them: `4/1m, 500/1d`; without any, `none`."""
    return ", ".join(f"{rate.calls}/{_short(rate.per)}" for rate in rates) or NONE


def told(rates: Sequence[Rate]) -> str:
    """Limits as words: `4 calls in 1m and 500 calls in 1d`."""
    return " and ".join(f"{rate.calls} {'call' if rate.calls == 1 else 'calls'} in {_short(rate.per)}" for rate in rates)  # fmt: skip


def asked_wait(headers: Mapping[str, str], reset: str | None) -> float | None:
    """The seconds that an answer asks us to wait, at most MOST_WAIT; None when it says nothing.

    Retry-After holds seconds or a date (RFC 9110 §10.2.3); `reset` names a product's own header, with seconds since 1970.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:9]), MOST_WAIT)
    if text:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return _bounded((at - clock.now()).total_seconds())
    text = headers.get(reset, "").strip() if reset else ""
    if text.isdecimal():
        return _bounded(float(text[:12]) - clock.now().timestamp())
    return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 1.0), MOST_WAIT)


def _short(per: timedelta) -> str:
    seconds = int(per.total_seconds())
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _wrong(what: str) -> Invalid:
    return Invalid(
        f"{what}: write calls and time, such as 4/1m, or several such as 4/1m, 500/1d, or none.",
        [Problem("rate", what)],
    )
