"""Schedules: one schedule, making it and changing who takes turns."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import clock
from core.actors import Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem, TocsinError
from notify import queries
from notify.models import OverrideRow, Rotation, ScheduleRow
from notify.oncall import editing
from notify.oncall.editing import RotationDraft, WindowDraft
from notify.oncall.zones import wall_time
from notify.queries import OnCallNow
from web.languages import gettext as _
from web.pages import Page, show, then
from web.rota import Rota, rota
from web.security import Fields, Form, allowed
from web.zones import zone_names

router = APIRouter(include_in_schema=False)

MOST_ROTATIONS = 9


@dataclass(kw_only=True)
class SchedulePage(Page, template="schedule.html", rail="oncall"):
    """One schedule: its two weeks, its rotations and its overrides."""

    schedule: ScheduleRow
    watch: OnCallNow
    rota: Rota
    rotations: list[Rotation]
    overrides: list[OverrideRow]
    names: dict[UUID, str]
    me: UUID | None
    may_manage: bool
    may_swap: bool


@dataclass(frozen=True, kw_only=True)
class WindowEntered:
    """A part of the week as typed; without days it does not count."""

    days: tuple[str, ...] = ()
    start: str = "09:00"
    end: str = "18:00"


@dataclass(frozen=True, kw_only=True)
class RotationEntered:
    """A rotation as typed; without a person it does not count."""

    name: str = ""
    kind: str = "weekly"
    every: str = "1"
    people: tuple[str, ...] = ()
    day: str = ""
    time: str = "09:00"
    until: str = ""
    windows: tuple[WindowEntered, ...] = ()


@dataclass(kw_only=True)
class ScheduleFormPage(Page, template="schedule_edit.html", rail="oncall"):
    """The form for a schedule and its rotations."""

    schedule_id: UUID | None
    version: str
    entered: dict[str, str]
    rotations: list[RotationEntered]
    people: list[User]
    zones: list[str]
    problems: list[Problem]


@router.get("/oncall/schedules/new")
def new(request: Request, actor: Actor = allowed("oncall.manage")) -> Response:
    """The form for a schedule, with one weekly rotation begun."""
    with reading() as session:
        me = users.get(session, actor.user_id) if actor.user_id else None
        first = not queries.all_schedules(session)
    zone = me.timezone if me else "UTC"
    entered = {"name": _("Primary") if first else "", "zone": zone, "description": ""}
    today = wall_time(clock.now(), zone)
    rotation = RotationEntered(
        name=_("Weekly"), people=(actor.id,), day=today.strftime("%Y-%m-%d"), time="09:00"
    )
    return _form(request, None, "", entered, [rotation], [])


@router.get("/oncall/schedules/{schedule_id}")
def one(request: Request, schedule_id: UUID, actor: Actor = allowed("user.read")) -> Response:
    """One schedule."""
    at = clock.now()
    with reading() as session:
        schedule = editing.schedule_by_id(session, schedule_id)
        page = SchedulePage(
            schedule=schedule,
            watch=next(now for now in queries.on_call_now(session, at) if now.schedule_id == schedule_id),
            rota=rota(session, schedule_id, schedule.zone, at, actor.user_id),
            rotations=queries.rotations(session, schedule_id),
            overrides=queries.overrides(session, schedule_id, at),
            names=users.names(session),
            me=actor.user_id,
            may_manage=actor.may("oncall.manage"),
            may_swap=actor.may("page.acknowledge"),
        )
    return show(request, page)


@router.get("/oncall/schedules/{schedule_id}/edit")
def edit(request: Request, schedule_id: UUID, actor: Actor = allowed("oncall.manage")) -> Response:
    """The form with what is in force."""
    del actor
    with reading() as session:
        schedule = editing.schedule_by_id(session, schedule_id)
        rotations = [_as_typed(row) for row in queries.rotations(session, schedule_id)]
    entered = {"name": schedule.name, "zone": schedule.zone, "description": schedule.description}
    return _form(request, schedule_id, str(schedule.version), entered, rotations, [])


@router.post("/oncall/schedules/new")
def create(request: Request, form: Form, actor: Actor = allowed("oncall.manage")) -> Response:
    """Add the schedule."""
    return _save(request, form, actor, None)


@router.post("/oncall/schedules/{schedule_id}/edit")
def change(
    request: Request, form: Form, schedule_id: UUID, actor: Actor = allowed("oncall.manage")
) -> Response:
    """Replace the schedule's zone and rotations."""
    return _save(request, form, actor, schedule_id)


@router.post("/oncall/schedules/{schedule_id}/delete")
def delete(schedule_id: UUID, actor: Actor = allowed("oncall.manage")) -> Response:
    """Remove a schedule that no policy uses."""
    with unit_of_work() as uow:
        name = editing.schedule_by_id(uow, schedule_id).name
        editing.delete_schedule(uow, actor, schedule_id)
    return then("/oncall", _("The schedule %(name)s is gone.") % {"name": name})


def _save(request: Request, form: Fields, actor: Actor, schedule_id: UUID | None) -> Response:
    entered = {name: form.get(name) for name in ("name", "zone", "description")}
    typed = [_typed(form, number) for number in range(MOST_ROTATIONS) if f"r{number}.name" in form.form]
    version = form.get("version")
    if form.flag("more"):
        return _form(
            request, schedule_id, version, entered, [*typed, RotationEntered(day=_today(entered["zone"]))], []
        )
    try:
        drafts = [_draft(number, rotation) for number, rotation in enumerate(typed) if rotation.people]
        with unit_of_work() as uow:
            if schedule_id is None:
                made = editing.create_schedule(uow, actor, **entered, rotations=drafts)
            else:
                known = int(version) if version.isdecimal() else None
                made = editing.update_schedule(
                    uow, actor, schedule_id, **entered, rotations=drafts, version=known
                )
            saved = made.id
    except TocsinError as error:
        if error.status not in (409, 412, 422):
            raise
        problems = getattr(error, "problems", None) or [Problem("", error.message)]
        return _form(request, schedule_id, version, entered, typed, problems)
    return then(f"/oncall/schedules/{saved}", _("Saved. It is in force."))


def _form(
    request: Request, schedule_id: UUID | None, version: str, entered: dict[str, str],
    rotations: list[RotationEntered], problems: list[Problem],
) -> Response:  # fmt: skip
    with reading() as session:
        people = [user for user in users.everyone(session) if user.disabled_at is None]
    page = ScheduleFormPage(
        schedule_id=schedule_id,
        version=version,
        entered=entered,
        rotations=rotations or [RotationEntered(day=_today(entered["zone"]))],
        people=people,
        zones=zone_names(),
        problems=problems,
    )
    return show(request, page, status=422 if problems else 200)


def _today(zone: str) -> str:
    try:
        return wall_time(clock.now(), zone).strftime("%Y-%m-%d")
    except ValueError:  # the zone itself is what needs correcting
        return clock.now().strftime("%Y-%m-%d")


def _as_typed(row: Rotation) -> RotationEntered:
    starts = datetime.fromisoformat(row.starts)
    windows = tuple(
        WindowEntered(days=tuple(str(day) for day in said["weekdays"]), start=said["start"], end=said["end"])
        for said in row.windows
    )
    return RotationEntered(
        name=row.name, kind=row.kind, every=str(row.every), people=tuple(row.people),
        day=starts.strftime("%Y-%m-%d"), time=starts.strftime("%H:%M"), until=(row.until or "")[:10], windows=windows,
    )  # fmt: skip


def _typed(form: Fields, number: int) -> RotationEntered:
    of = f"r{number}."
    places = sorted(
        {int(found[1]) for name in form.form if (found := re.match(rf"{re.escape(of)}w(\d)\.start", name))}
    )
    windows = [
        WindowEntered(
            days=tuple(form.many(f"{of}w{place}.day")),
            start=form.get(f"{of}w{place}.start"),
            end=form.get(f"{of}w{place}.end"),
        )
        for place in places
    ]
    return RotationEntered(
        name=form.get(f"{of}name"), kind=form.get(f"{of}kind"), every=form.get(f"{of}every", "1"),
        people=tuple(form.many(f"{of}person")), day=form.get(f"{of}day"), time=form.get(f"{of}time") or "00:00",
        until=form.get(f"{of}until"), windows=tuple(window for window in windows if window.days),
    )  # fmt: skip


def _draft(number: int, entered: RotationEntered) -> RotationDraft:
    """What was typed as a rotation. Raises Invalid naming the field."""
    where = f"rotations.{number}"
    try:
        starts = datetime.combine(date.fromisoformat(entered.day), time.fromisoformat(entered.time))
        until = datetime.combine(date.fromisoformat(entered.until), time()) if entered.until else None
    except ValueError as error:
        message = _("needs a first hand-over: a day and a time")
        raise Invalid(message, [Problem(f"{where}.starts", message)]) from error
    try:
        people = tuple(UUID(person) for person in entered.people)
    except ValueError as error:
        message = _("names somebody who is not a user")
        raise Invalid(message, [Problem(f"{where}.people", message)]) from error
    windows = tuple(
        WindowDraft(tuple(int(day) for day in window.days if day.isdecimal()), window.start, window.end)
        for window in entered.windows
    )
    return RotationDraft(
        name=entered.name or _("Rotation %(n)s") % {"n": number + 1}, people=people, starts=starts, kind=entered.kind,
        every=int(entered.every) if entered.every.isdecimal() else 0, until=until, windows=windows,
    )  # fmt: skip
