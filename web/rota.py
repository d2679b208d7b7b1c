"""A schedule's coming days as rows to draw: one row a person, so that nobody is told by colour alone."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from core.auth import users
from notify import queries
from notify.oncall.resolver import Gap, Shift
from notify.oncall.zones import boundary, wall_time
from web.languages import gettext as _

DAYS = 14


@dataclass(frozen=True)
class Bar:
    """A stretch of a row, in percent of its width, with its words."""

    x: float
    width: float
    says: str
    override: bool = False


@dataclass(frozen=True)
class Row:
    """One person's stretches; the row of gaps has no person."""

    name: str
    bars: list[Bar]
    gap: bool = False
    me: bool = False


@dataclass(frozen=True)
class Day:
    """A day's place in the drawing."""

    x: float
    width: float
    word: str
    number: int
    weekend: bool


@dataclass(frozen=True)
class ShiftTold:
    """One shift in words, with wall times of the schedule's zone."""

    who: str
    user_id: UUID
    start: datetime
    end: datetime
    says: str
    why: str
    override: bool


@dataclass(frozen=True)
class Rota:
    """The drawing and the same in words; `here` is the present moment in percent."""

    days: list[Day]
    rows: list[Row]
    shifts: list[ShiftTold]
    gaps: list[str]
    here: float = 0.0
    empty: bool = field(default=False)


def weekday(at: datetime) -> str:
    """The short name of a wall time's day."""
    words = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
    return words[at.weekday()]


def wall_words(at: datetime, zone: str) -> str:
    """An instant as a clock in the zone shows it: "Mon 3, 09:00"."""
    wall = wall_time(at, zone)
    return f"{weekday(wall)} {wall.day}, {wall:%H:%M}"


def stretch(start: datetime, end: datetime, zone: str) -> str:
    """From when until when: "Mon 3, 09:00 to Tue 4, 09:00"."""
    return _("%(start)s to %(end)s") % {"start": wall_words(start, zone), "end": wall_words(end, zone)}


def rota(session: Session, schedule_id: UUID, zone: str, at: datetime, me: UUID | None) -> Rota:
    """The two weeks from midnight of today in the schedule's zone."""
    midnight = wall_time(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    walls = [midnight + timedelta(days=number) for number in range(DAYS + 1)]
    starts = [boundary(wall, zone) for wall in walls]
    first, last = starts[0], starts[-1]
    shifts, _holes = queries.rota(session, schedule_id, first, last)
    names = users.names(session)

    def place(moment: datetime) -> float:
        return round((moment - first) / (last - first) * 100, 3)

    def bar(shift: Shift | Gap, says: str, override: bool = False) -> Bar:
        return Bar(place(shift.start), round(place(shift.end) - place(shift.start), 3), says, override)

    by_person: dict[UUID, list[Bar]] = {}
    told: list[ShiftTold] = []
    for shift in shifts:
        who = names.get(shift.user_id, _("somebody who is gone"))
        says, override = stretch(shift.start, shift.end, zone), shift.layer is None
        by_person.setdefault(shift.user_id, []).append(bar(shift, f"{who}: {says}", override))
        if shift.end > at:
            told.append(ShiftTold(who, shift.user_id, shift.start, shift.end, says, shift.why, override))
    holes = queries.rota(session, schedule_id, at, last)[1]
    rows = [
        Row(names.get(person, _("somebody who is gone")), bars, me=person == me)
        for person, bars in by_person.items()
    ]
    if holes:
        rows.append(
            Row(_("Nobody"), [bar(hole, stretch(hole.start, hole.end, zone)) for hole in holes], gap=True)
        )
    days = [
        Day(place(starts[n]), round(place(starts[n + 1]) - place(starts[n]), 3), weekday(wall), wall.day, wall.weekday() > 4)
        for n, wall in enumerate(walls[:-1])
    ]  # fmt: skip
    return Rota(
        days, rows, told, [stretch(hole.start, hole.end, zone) for hole in holes], place(at), not shifts
    )
