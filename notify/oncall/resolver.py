"""Works out who is on call, when and why, from a schedule's values alone (no database)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from itertools import count
from uuid import UUID

from notify.oncall.zones import boundary, wall_time

DAY = timedelta(days=1)
EVERY_DAY = frozenset(range(7))


class Kind(StrEnum):
    """How a rotation hands over."""

    hourly = "hourly"
    daily = "daily"
    weekly = "weekly"


@dataclass(frozen=True)
class Window:
    """A part of the week in wall time: from `start` on each weekday (Monday is 0) until `end`.

    `end` at or before `start` means the next day, so 00:00 to 00:00 is the whole day.
    """

    weekdays: frozenset[int] = EVERY_DAY
    start: time = time(0)
    end: time = time(0)


@dataclass(frozen=True)
class Layer:
    """People taking turns. `starts` is the first hand-off as wall time (naive) in the schedule's zone.

    Turns of days and weeks, and of hours that divide a day, hand over at wall time; other hours are elapsed
    time. With `windows` only those parts of a turn count; whose turn it is goes by the calendar.
    """

    name: str
    kind: Kind
    every: int
    starts: datetime
    people: tuple[UUID, ...]
    windows: tuple[Window, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True)
class Override:
    """For [start, end) `user_id` is on call: for whoever it would be, or only in place of `instead_of`."""

    start: datetime
    end: datetime
    user_id: UUID
    instead_of: UUID | None = None
    reason: str = ""


@dataclass(frozen=True)
class Schedule:
    """Layers with overrides on top; in both, a later one covers the earlier ones."""

    name: str
    zone: str
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True)
class Shift:
    """One person on call for [start, end), aware UTC; `layer` is None for an override."""

    start: datetime
    end: datetime
    user_id: UUID
    layer: str | None
    why: str


@dataclass(frozen=True)
class Gap:
    """[start, end) in which nobody is on call."""

    start: datetime
    end: datetime


def resolve(schedule: Schedule, start: datetime, end: datetime) -> list[Shift]:
    """Every shift within [start, end), in order, without overlap; where nobody is on call there is none."""
    shifts: list[Shift] = []
    for layer in schedule.layers:
        shifts = _cover(shifts, list(_turns(layer, schedule.zone, start, end)))
    for override in schedule.overrides:
        shifts = _cover(shifts, list(_overridden(override, shifts, start, end)))
    return shifts


def on_call(schedule: Schedule, at: datetime) -> Shift | None:
    """The shift that holds the instant `at` (clipped to it), or None when nobody is on call."""
    return next(iter(resolve(schedule, at, at + timedelta.resolution)), None)


def gaps(shifts: Iterable[Shift], start: datetime, end: datetime) -> list[Gap]:
    """The parts of [start, end) that ordered, non-overlapping `shifts` leave open."""
    found = []
    for shift in shifts:
        if shift.start > start:
            found.append(Gap(start, shift.start))
        start = max(start, shift.end)
    if start < end:
        found.append(Gap(start, end))
    return found


def _turns(layer: Layer, zone: str, start: datetime, end: datetime) -> Iterator[Shift]:
    """The layer's turns, cut to its windows and to [start, end)."""
    if not layer.people or start >= end:
        return
    if layer.until is not None:
        end = min(end, boundary(layer.until, zone))
    open_parts = _open_parts(layer.windows, zone, start, end)
    for number, turn_start, turn_end in _hand_offs(layer, zone, start, end):
        person = layer.people[number % len(layer.people)]
        why = f"turn {number % len(layer.people) + 1} of {len(layer.people)} in {layer.name}"
        for part_start, part_end in open_parts:
            if part_start >= turn_end:
                break
            first, last = max(turn_start, part_start, start), min(turn_end, part_end, end)
            if first < last:
                yield Shift(first, last, person, layer.name, why)


def _hand_offs(
    layer: Layer, zone: str, start: datetime, end: datetime
) -> Iterator[tuple[int, datetime, datetime]]:
    """(number of the turn, its start, its end) for every turn that touches [start, end)."""
    hours = layer.kind is Kind.hourly
    length = {Kind.hourly: timedelta(hours=1), Kind.daily: DAY, Kind.weekly: 7 * DAY}[layer.kind] * max(
        layer.every, 1
    )
    if hours and DAY % length:
        origin = boundary(layer.starts, zone)
        first = (start - origin) // length

        def hand_off(number: int) -> datetime:
            return origin + number * length
    else:
        # One turn early: inside a repeated hour the wall clock runs behind the hand-offs already made, and
        # after a skipped one ahead of them.
        first = (wall_time(start, zone) - layer.starts) // length - 1

        def hand_off(number: int) -> datetime:
            return boundary(layer.starts + number * length, zone)

    turn_start = hand_off(max(first, 0))
    for number in count(max(first, 0)):
        if turn_start >= end:
            return
        turn_end = hand_off(number + 1)
        if turn_end > start and turn_end > turn_start:
            yield number, turn_start, turn_end
        turn_start = turn_end


def _open_parts(
    windows: tuple[Window, ...], zone: str, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """The union of the windows within [start, end), in order; all of it when there are none."""
    if not windows:
        return [(start, end)]
    parts = []
    day = wall_time(start, zone).replace(hour=0, minute=0, second=0, microsecond=0) - 2 * DAY
    last = wall_time(end, zone)
    while day <= last:
        for window in windows:
            if day.weekday() in window.weekdays:
                closes = day if window.end > window.start else day + DAY
                opened = boundary(datetime.combine(day, window.start), zone)
                parts.append((opened, boundary(datetime.combine(closes, window.end), zone)))
        day += DAY
    union: list[tuple[datetime, datetime]] = []
    for opened, closed in sorted(parts):
        if union and opened <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], closed))
        elif opened < closed:
            union.append((opened, closed))
    return union


def _overridden(override: Override, shifts: list[Shift], start: datetime, end: datetime) -> Iterator[Shift]:
    """What the override puts on top of `shifts`."""
    first, last = max(override.start, start), min(override.end, end)
    why = f"override: {override.reason}" if override.reason else "override"
    if override.instead_of is None:
        if first < last:
            yield Shift(first, last, override.user_id, None, why)
        return
    for shift in shifts:
        part_start, part_end = max(first, shift.start), min(last, shift.end)
        if shift.user_id == override.instead_of and part_start < part_end:
            yield Shift(part_start, part_end, override.user_id, None, why)


def _cover(under: list[Shift], over: list[Shift]) -> list[Shift]:
    """Both ordered lists laid on each other: `over` whole, `under` where it still shows."""
    if not over:
        return under
    result = list(over)
    place = 0
    for shift in under:
        start = shift.start
        while place and over[place - 1].end > start:
            place -= 1
        while place < len(over) and over[place].end <= start:
            place += 1
        at = place
        while at < len(over) and over[at].start < shift.end:
            if over[at].start > start:
                result.append(_cut(shift, start, over[at].start))
            start = max(start, over[at].end)
            at += 1
        if start < shift.end:
            result.append(_cut(shift, start, shift.end))
    return sorted(result, key=lambda shift: shift.start)


def _cut(shift: Shift, start: datetime, end: datetime) -> Shift:
    return Shift(start, end, shift.user_id, shift.layer, shift.why)
