"""Who goes first in one process: senders at the door before whoever reads, indexes or tidies up there."""

import time

CROWD = 8  # so many senders at the door at once are a crowd …
MOMENT = 0.02  # … and remembered for so many seconds: right after a commit there are few

_waiting = [0]  # senders at the door now
_crowd = [float("-inf")]  # when the door was crowded last


def at_the_door(senders: int) -> None:
    """The door says how many senders wait for their answer, whenever one comes or goes."""
    if max(senders, _waiting[0]) >= CROWD:
        _crowd[0] = time.monotonic()
    _waiting[0] = senders


def crowded() -> bool:
    """Whether many senders stand at this process's door, or did a moment ago."""
    return _waiting[0] >= CROWD or time.monotonic() - _crowd[0] < MOMENT


def give_way(at_most: float) -> None:
    """Wait while the door is crowded, `at_most` so many seconds: whatever the load, everybody gets on."""
    end = time.monotonic() + at_most
    while crowded() and time.monotonic() < end:
        time.sleep(MOMENT / 2)
