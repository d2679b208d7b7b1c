"""Decide what a repeat of an open alert means: a mere count, or a reason to run the rules again.

Pure: values in, values out. `history` is a short list of [unix seconds, total count] checkpoints from which the
count within any past window can be told, within the distance between two checkpoints.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

LATE_AFTER = timedelta(hours=1)
MILESTONES = (10, 100, 1000)
MAX_CHECKPOINTS = 32

History = list[list[int]]


def is_late(occurred_at: datetime | None, received_at: datetime) -> bool:
    """Whether an alert arrived more than an hour after it occurred (a replay, a catch-up)."""
    return occurred_at is not None and received_at - occurred_at > LATE_AFTER


def crossed(before: int, after: int, thresholds: Iterable[int] = ()) -> list[int]:
    """The counts among 10, 100, 1000 and the given thresholds that lie in (before, after], smallest first."""
    return sorted({mark for mark in (*MILESTONES, *thresholds) if before < mark <= after})


def checkpoint(history: History, at: datetime, total: int) -> History:
    """The history with this total at this time; thinned to at most 32 checkpoints, newest always kept."""
    second = int(at.timestamp())
    kept = [list(item) for item in history]
    if kept and kept[-1][0] >= second:
        kept[-1][1] = total
    else:
        kept.append([second, total])
    if len(kept) > MAX_CHECKPOINTS:
        kept = [kept[0], *kept[1:-8:2], *kept[-8:]]
    return kept


def count_within(history: History, total: int, now: datetime, window: timedelta | None) -> int:
    """How often the alert was seen within the window that ends now; with no window, ever.

    Counts from the newest checkpoint older than the window, so it may say a little more than the truth and
    never less.
    """
    if window is None:
        return total
    start = (now - window).timestamp()
    before = 0
    for second, count in history:
        if second >= start:
            break
        before = count
    return total - before


def quiet_until(last_seen: datetime, quiet_after: timedelta) -> datetime:
    """When an alert without repeats ends by itself, rounded up to the minute (so that it seldom changes)."""
    seconds = int((last_seen + quiet_after).timestamp())
    return datetime.fromtimestamp(seconds - seconds % 60 + 60, UTC)


def already_over(occurred_at: datetime | None, resolved_at: datetime | None) -> bool:
    """Whether a firing that arrives after its own resolve tells of an episode that has already ended."""
    return occurred_at is not None and resolved_at is not None and occurred_at <= resolved_at


def resolve_is_stale(resolve_occurred: datetime | None, firing_occurred: datetime | None) -> bool:
    """Whether a resolve is older than the firing it would end: it belongs to an earlier episode."""
    return resolve_occurred is not None and firing_occurred is not None and resolve_occurred < firing_occurred
