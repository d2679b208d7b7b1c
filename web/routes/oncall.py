"""On call: who answers now and next, the coming two weeks, taking over and handing over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from core import clock
from core.actors import Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem, TocsinError
from notify import drills, queries
from notify.models import ContactMethod, OverrideRow, ScheduleRow
from notify.models import Page as Call
from notify.oncall import editing
from notify.oncall.zones import wall_time
from notify.queries import OnCallNow
from web import first_steps
from web.first_steps import Step
from web.languages import gettext as _
from web.pages import Page, show, then
from web.rota import Rota, rota
from web.seen_calls import seen_calls
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

RECENT = 8
SHIFT = timedelta(hours=8)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One schedule as the overview shows it."""

    now: OnCallNow
    rota: Rota
    mine: bool


@dataclass(kw_only=True)
class OnCallPage(Page, template="oncall.html", rail="oncall"):
    """Who answers, now and for two weeks, and what was paged lately."""

    leading: OnCallNow | None
    watches: list[Watch]
    calls: list[Call]
    paged: set[UUID]
    unreachable: bool
    policies: int
    next_step: Step | None
    may_manage: bool
    may_swap: bool


@dataclass(kw_only=True)
class OverridePage(Page, template="schedule_override.html", rail="oncall"):
    """Who takes over from when until when; times are the schedule's."""

    schedule: ScheduleRow
    people: list[User]
    entered: dict[str, str]
    problems: list[Problem]
    me: str


@router.get("/oncall")
def overview(request: Request, actor: Actor = allowed("user.read")) -> Response:
    """Who is on call."""
    at = clock.now()
    with reading() as session:
        watches = [
            Watch(
                now=now,
                rota=rota(session, now.schedule_id, now.zone, at, actor.user_id),
                mine=now.user_id is not None and now.user_id == actor.user_id,
            )
            for now in queries.on_call_now(session, at)
        ]
        watches.sort(key=lambda watch: watch.now.user_id is None)
        calls, paged = seen_calls(session, actor, queries.pages(session, limit=RECENT))
        ways = select(ContactMethod.id).where(
            ContactMethod.user_id == actor.user_id,
            ContactMethod.disabled_at.is_(None),
            ContactMethod.channel != "inbox",
        )
        page = OnCallPage(
            leading=watches[0].now if watches else None,
            watches=watches,
            calls=calls,
            paged=paged,
            unreachable=session.scalar(ways.limit(1)) is None,
            policies=len(queries.all_policies(session)),
            next_step=first_steps.following(session, actor, "drill"),
            may_manage=actor.may("oncall.manage"),
            may_swap=actor.may("page.acknowledge"),
        )
    return show(request, page)


@router.post("/oncall/test")
def drill(actor: Actor = allowed("oncall.manage")) -> Response:
    """Page whoever is on call, to see that it arrives."""
    with unit_of_work() as uow:
        page = drills.begin(uow, actor).id
    return then(f"/pages/{page}", _("It is on its way, as a real one would be."))


@router.get("/oncall/schedules/{schedule_id}/override")
def override_form(
    request: Request, schedule_id: UUID, actor: Actor = allowed("page.acknowledge")
) -> Response:
    """The form: taking over by default, handing over with ?hand=over, of one shift with ?from= and ?to=."""
    given, at = request.query_params, clock.now()
    with reading() as session:
        schedule = editing.schedule_by_id(session, schedule_id)
        now = next(now for now in queries.on_call_now(session, at) if now.schedule_id == schedule_id)
    start = _moment(given.get("from", "")) or at
    end = _moment(given.get("to", "")) or (now.until if now.until and now.until > start else start + SHIFT)
    handing = given.get("hand") == "over"
    next_one = str(now.next_user_id or "") if now.next_user_id != actor.user_id else ""
    entered = {
        "who": next_one if handing else actor.id,
        "instead_of": actor.id if handing else "",
        "reason": "",
        **_wall("start", start, schedule.zone),
        **_wall("end", end, schedule.zone),
    }
    return _form(request, actor, schedule, entered, [])


@router.post("/oncall/schedules/{schedule_id}/override")
def override(
    request: Request, form: Form, schedule_id: UUID, actor: Actor = allowed("page.acknowledge")
) -> Response:
    """For a while somebody else is on call."""
    names = ("who", "instead_of", "reason", "start_day", "start_time", "end_day", "end_time")
    entered = {name: form.get(name) for name in names}
    try:
        with unit_of_work() as uow:
            row = editing.override(
                uow,
                actor,
                schedule_id,
                user_id=_person(form, "who"),
                instead_of=_person(form, "instead_of") if form.get("instead_of") else None,
                start=_typed(form, "start"),
                end=_typed(form, "end"),
                reason=form.get("reason"),
            )
            name = users.get(uow, row.user_id).name
    except TocsinError as error:
        if error.status not in (409, 422):
            raise
        with reading() as session:
            schedule = editing.schedule_by_id(session, schedule_id)
        return _form(
            request,
            actor,
            schedule,
            entered,
            getattr(error, "problems", None) or [Problem("", error.message)],
        )
    return then(f"/oncall/schedules/{schedule_id}", _("%(name)s takes over.") % {"name": name})


@router.post("/oncall/overrides/{override_id}/remove")
def take_back(override_id: UUID, actor: Actor = allowed("page.acknowledge")) -> Response:
    """Take an override back."""
    with unit_of_work() as uow:
        found = uow.get(OverrideRow, override_id)
        schedule_id = found.schedule_id if found else None
        editing.remove_override(uow, actor, override_id)
    return then(f"/oncall/schedules/{schedule_id}", _("The rotation is in force again."))


def _form(
    request: Request, actor: Actor, schedule: ScheduleRow, entered: dict[str, str], problems: list[Problem]
) -> Response:
    with reading() as session:
        people = [user for user in users.everyone(session) if user.disabled_at is None]
    page = OverridePage(schedule=schedule, people=people, entered=entered, problems=problems, me=actor.id)
    return show(request, page, status=422 if problems else 200)


def _wall(name: str, at: datetime, zone: str) -> dict[str, str]:
    wall = wall_time(at, zone)
    return {f"{name}_day": wall.strftime("%Y-%m-%d"), f"{name}_time": wall.strftime("%H:%M")}


def _typed(form: Fields, name: str) -> datetime:
    """A wall time, naive, from a day and a time field. Raises Invalid."""
    try:
        return datetime.fromisoformat(
            f"{form.get(f'{name}_day')}T{form.get(f'{name}_time') or '00:00'}"
        ).replace(tzinfo=None)
    except ValueError as error:
        message = _("needs a day and a time")
        raise Invalid(message, [Problem(name, message)]) from error


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def _person(form: Fields, name: str) -> UUID:
    try:
        return UUID(form.get(name))
    except ValueError as error:
        message = _("Choose a person.")
        raise Invalid(message, [Problem(name, message)]) from error
