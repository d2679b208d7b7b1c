"""The review of one incident: impact, scope, causes, decisions, what went well and badly, actions for afterwards."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from core import clock
from core.actors import Actor
from core.auth import users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from incidents import findings, follow_ups, reviewing
from incidents import queries as record
from incidents.follow_ups import Earlier, FollowUpDraft
from incidents.models import FollowUp, Incident, ReviewPoint
from incidents.reviewing import SECTIONS, PointDraft, Section
from web import keyset
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class ReviewPage(Page, template="review.html", rail="incidents"):
    """The look back at one incident."""

    incident: Incident
    sections: list[tuple[Section, list[ReviewPoint]]]
    findings_total: int
    follow_ups: list[FollowUp]
    earlier: list[Earlier]
    people: list[User]
    names: dict[UUID, str]
    opened: str
    entered: dict[str, str]
    problems: list[Problem]


@dataclass(kw_only=True)
class FollowUpsPage(Page, template="follow_ups.html", rail="reports"):
    """Actions after incidents, of all incidents."""

    rows: list[FollowUp]
    keys: dict[UUID, str]
    names: dict[UUID, str]
    people: list[User]
    lens: str
    overdue: int
    next: str | None
    first: str | None


@router.get("/incidents/{key}/review")
def review(request: Request, key: str, actor: Actor = allowed("incident.read")) -> Response:
    """The review of an incident."""
    return _review(request, actor, key, "", {}, [])


def _review(
    request: Request, actor: Actor, key: str, opened: str, entered: dict[str, str], problems: list[Problem]
) -> Response:
    with reading() as session:
        incident = record.incident(session, actor, key)
        points = reviewing.of_incident(session, actor, incident.id)
        page = ReviewPage(
            incident=incident,
            sections=[
                (section, [point for point in points if point.section == name])
                for name, section in SECTIONS.items()
            ],
            findings_total=findings.number_in(session, actor, incident.id),
            follow_ups=follow_ups.of_incident(session, actor, incident.id),
            earlier=follow_ups.earlier(session, actor, incident),
            people=_people(session),
            names=users.names(session),
            opened=opened,
            entered=entered,
            problems=problems,
        )
    return show(request, page, status=422 if problems else 200)


def _people(session: Session) -> list[User]:
    return [user for user in users.everyone(session) if user.disabled_at is None]


@router.post("/incidents/{key}/review")
def add(request: Request, form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Add a point to the review."""
    entered = {name: form.get(name) for name in ("section", "says", "area", "state", "options", "result", "how", "who")}
    with reading() as session:
        incident = record.incident(session, actor, key)
    try:
        with unit_of_work() as uow:
            reviewing.add(uow, actor, incident.id, PointDraft(**entered))
    except Invalid as error:
        problems = error.problems or [Problem("", error.message)]
        return _review(request, actor, key, entered["section"], entered, problems)
    return then(f"/incidents/{incident.key}/review#{entered['section']}", _("Added."))


@router.post("/incidents/{key}/review/{point_id}/withdraw")
def withdraw(key: str, point_id: UUID, actor: Actor = allowed("incident.edit")) -> Response:
    """Take a point back."""
    with unit_of_work() as uow:
        row = reviewing.withdraw(uow, actor, point_id)
    return then(f"/incidents/{key}/review#{row.section}", _("Taken out; the journal keeps it."))


# ---------------------------------------------------------------------------------------------- actions for afterwards


@router.get("/follow-ups")
def everything(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """Actions after incidents: open ones, `?show=overdue`, `?show=mine`, `?show=all`."""
    given = request.query_params
    lens = given.get("show", "")
    at = clock.now()
    with reading() as session:
        found = follow_ups.listed(
            session, actor,
            state=None if lens == "all" else "open",
            owner_id=actor.user_id if lens == "mine" else None,
            overdue_at=at if lens == "overdue" else None,
            before=given.get("after") or None,
        )  # fmt: skip
        page = FollowUpsPage(
            rows=found.items,
            keys=follow_ups.keys_of(session, found.items),
            names=users.names(session),
            people=_people(session),
            lens=lens,
            overdue=follow_ups.overdue_count(session, actor, at),
            next=keyset.address("/follow-ups", given, after=found.next) if found.next else None,
            first=keyset.address("/follow-ups", given) if given.get("after") else None,
        )
    return show(request, page)


def _draft(form: Fields) -> FollowUpDraft:
    owner = form.get("owner")
    return FollowUpDraft(
        form.get("title"), UUID(owner) if owner else None, form.instant("due"), form.get("link")
    )


@router.post("/incidents/{key}/follow-ups")
def follow(request: Request, form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Add an action for afterwards."""
    with reading() as session:
        incident = record.incident(session, actor, key)
    try:
        draft = _draft(form)
        with unit_of_work() as uow:
            follow_ups.add(uow, actor, incident.id, draft)
    except Invalid as error:
        entered = {name: form.get(name) for name in ("title", "owner", "due", "link")}
        problems = error.problems or [Problem("", error.message)]
        return _review(request, actor, key, "follow-ups", entered, problems)
    return then(f"/incidents/{incident.key}/review#follow-ups", _("Added; it is followed until it is done."))


def _back(actor: Actor, follow_up_id: UUID, form: Fields) -> str:
    """Where the form was: the list of all, or the incident's review."""
    if form.get("back") == "list":
        return "/follow-ups"
    with reading() as session:
        row = follow_ups.one(session, actor, follow_up_id)
        return f"/incidents/{record.incident(session, actor, row.incident_id).key}/review#follow-ups"


@router.post("/follow-ups/{follow_up_id}/change")
def change(form: Form, follow_up_id: UUID, actor: Actor = allowed("incident.edit")) -> Response:
    """Change what is to be done, by whom, until when."""
    version = form.get("version")
    with unit_of_work() as uow:
        follow_ups.change(
            uow, actor, follow_up_id, _draft(form), version=int(version) if version.isdecimal() else None
        )
    return then(_back(actor, follow_up_id, form), _("Saved."))


@router.post("/follow-ups/{follow_up_id}/end")
def end(form: Form, follow_up_id: UUID, actor: Actor = allowed("task.work")) -> Response:
    """Say that it is done, or dropped."""
    with unit_of_work() as uow:
        follow_ups.end(uow, actor, follow_up_id, form.get("state"), form.get("note"))
    return then(_back(actor, follow_up_id, form), _("Written down."))
