"""Named moments at which a test may have this process killed, to show that nothing is lost there; otherwise they do nothing."""

import os
import signal
from collections.abc import Mapping

from core.errors import Invalid

VARIABLE = "TOCSIN_CRASH_AT"
POINTS = frozenset(
    {
        "commit.before",  # all is written, nothing is committed
        "commit.after",  # committed, and nobody has been told or woken
        "call.before",  # the intent is committed, the product has not been called
        "call.after",  # the product has answered, nothing of it is written
        "call.outcome",  # the outcome is written and not committed
        "send.before",  # the same three of a page or message on its way to a channel
        "send.after",
        "send.outcome",
        "run.outcome",  # what a playbook's run has come to is written and not committed
    }
)

_left: dict[str, int] = {}  # the point to die at, and how often it is still passed; empty outside the tests


def reached(point: str) -> None:
    """The moment has come: ends the process with SIGKILL when TOCSIN_CRASH_AT says so."""
    if not _left:
        return
    if point in _left:
        _left[point] -= 1
        if _left[point] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(environment: Mapping[str, str]) -> None:
    """Read TOCSIN_CRASH_AT: `call.after:3` dies when that point is reached for the third time. Raises Invalid."""
    _left.clear()
    said = environment.get(VARIABLE)
    if not said:
        return
    point, _, times = said.partition(":")
    if point not in POINTS or not (times or "1").isdecimal() or int(times or "1") < 1:
        raise Invalid(f"{VARIABLE} is a point and a count, such as call.after:3; points are {', '.join(sorted(POINTS))}")
    _left[point] = int(times or "1")


arm(os.environ)
