"""Pages: who was called and when, acknowledging and escalating, also by signed link."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from core import clock
from core.actors import Actor
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound, TocsinError, Unauthenticated
from core.types import Ref
from incidents.outside import outside
from incidents.paging import cursor, read_cursor
from notify import delivery, ledger, queries
from notify.ledger import LedgerLine
from notify.models import Page as Call
from notify.models import PageState
from notify.outside import Outside
from notify.wording import two_lines
from web import woken
from web.languages import gettext as _
from web.page_plan import PlanStep, plan_of
from web.pages import Page, show, then
from web.seen_calls import seen_calls
from web.security import Form, allowed, open_to_all, signed_in
from web.woken import FirstStep, Paged

router = APIRouter(include_in_schema=False)

BY_LINK = (
    "the signed link names the page and the person; it can only say that they have seen it, or pass it on"
)
MANY = 50


@dataclass(kw_only=True)
class CallsPage(Page, template="pages.html", rail="oncall"):
    """Pages that wait, then the others, newest first."""

    waiting: list[Call]
    recent: list[Call]
    mine: set[UUID]
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class CallPage(Page, template="page.html", rail="oncall"):
    """One page: what it is about, the two buttons, and everything that was tried."""

    call: Call
    may_act: bool
    mine: bool
    steps: list[PlanStep]
    ledger: list[LedgerLine]
    paged: list[Paged]
    first: list[FirstStep]
    again_at: datetime | None


@dataclass(kw_only=True)
class AckPage(Page, template="ack.html"):
    """What a signed link shows: what it is, and one large button."""

    problem: str | None
    severity: str
    told: Outside | None
    state: str
    by: str
    at: datetime | None
    mine: bool
    path: str
    inside: bool
    first: list[FirstStep]
    others: list[Paged]
    ledger: list[LedgerLine]
    again_at: datetime | None
    lapsed_at: datetime | None


@router.get("/pages")
def every(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """Pages: first the ones that wait."""
    after = request.query_params.get("after")
    with reading() as session:
        waiting = [] if after else queries.waiting(session)
        found = queries.pages(session, before=read_cursor(after) if after else None, limit=MANY)
        open_calls, mine = seen_calls(session, actor, waiting)
        others, also_mine = seen_calls(session, actor, found)
        page = CallsPage(
            waiting=open_calls,
            recent=[call for call in others if call.id not in {one.id for one in waiting}],
            mine=mine | also_mine,
            next=f"/pages?after={cursor(found[-1].created_at, found[-1].id)}" if len(found) == MANY else None,
            first="/pages" if after else None,
        )
    return show(request, page)


def _find(session: Session, actor: Actor, page_id: UUID) -> tuple[Call, bool]:
    """The page, and whether it went to the actor. Raises NotFound when they may not see what it is about."""
    call = queries.page_by_id(session, page_id)
    seen, mine = seen_calls(session, actor, [call])
    if not seen:
        raise NotFound(_("There is no such page, or you may not see what it is about."))
    return call, bool(mine)


@router.get("/pages/{page_id}")
def one(request: Request, page_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """One page and its ledger."""
    with reading() as session:
        call, mine = _find(session, actor, page_id)
        page = CallPage(
            call=call,
            may_act=mine or actor.may("page.acknowledge"),
            mine=mine,
            steps=plan_of(session, call, clock.now()),
            ledger=ledger.of_page(session, call),
            paged=woken.paged(session, call),
            first=woken.first_steps(session, actor, call),
            again_at=woken.rings_again_at(session, call),
        )
    return show(request, page)


@router.post("/pages/{page_id}/acknowledge")
def acknowledge(page_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """Say that one looks at it."""
    with reading() as session:
        _find(session, actor, page_id)
    with unit_of_work() as uow:
        call = delivery.acknowledge(uow, actor, page_id, "web")
        name, mine = call.acknowledged_name or "", call.acknowledged_by == actor.id
    said = _("You have it. Nobody else is paged.") if mine else _("%(name)s has it already.") % {"name": name}
    return then(f"/pages/{page_id}", said)


@router.post("/pages/{page_id}/escalate")
def escalate(form: Form, page_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """Go on to the next step now."""
    with reading() as session:
        _find(session, actor, page_id)
    with unit_of_work() as uow:
        delivery.escalate(uow, actor, page_id, form.get("reason"))
    return then(f"/pages/{page_id}", _("The next step is being paged."))


# ---------------------------------------------------------------------------------------------- the signed link

GONE = AckPage(
    problem="", severity="unknown", told=None, state="", by="", at=None, mine=False, path="", inside=False, first=[],
    others=[], ledger=[], again_at=None, lapsed_at=None,
)  # fmt: skip


@router.get("/a/{token}")
def link(request: Request, token: str) -> Response:
    """What the link is about; looking changes nothing, so mail scanners may."""
    try:
        held = delivery.from_link(token)
    except Invalid as error:
        return show(request, replace(GONE, problem=error.message), status=410)
    try:
        reader = signed_in(request)
    except Unauthenticated:
        reader = None
    with reading() as session:
        call = queries.page_by_id(session, held.page_id)
        inside = woken.may_see(session, reader, call)
        others = woken.others(woken.paged(session, call), held.user_id)
        had = call.state in (PageState.acknowledged, PageState.closed)
        page = AckPage(
            problem=None,
            severity=call.severity,
            told=_told(session, call, inside=inside),
            state=call.state,
            by=call.acknowledged_name or "",
            at=call.acknowledged_at,
            mine=call.acknowledged_by == str(held.user_id),
            path=call.path,
            inside=inside,
            first=woken.first_steps(session, reader, call),
            others=others if inside else [replace(one, who="", why="") for one in others],
            ledger=ledger.moments(ledger.of_page(session, call)) if had else [],
            again_at=woken.rings_again_at(session, call),
            lapsed_at=call.lapsed_at,
        )
    return show(request, page)


def _told(session: Session, call: Call, *, inside: bool) -> Outside:
    """Its title and two lines: whole for those who have signed in and may see it, else as anybody may read them."""
    if inside:
        return Outside(call.title, tuple(two_lines(call.message).splitlines()), veiled=False)
    return outside(session, Ref(call.subject_kind, call.subject_id), call.title, call.message)


@router.post("/a/{token}", dependencies=[open_to_all(BY_LINK)])
def answer(request: Request, token: str) -> Response:
    """The person of the link has it."""
    return _by_link(request, token, "acknowledge")


@router.post("/a/{token}/pass", dependencies=[open_to_all(BY_LINK)])
def pass_on(request: Request, token: str) -> Response:
    """The person of the link cannot take it: the next step is paged now."""
    return _by_link(request, token, "pass")


def _by_link(request: Request, token: str, wish: str) -> Response:
    try:
        held = delivery.from_link(token)
        with unit_of_work() as uow:
            user = users.get(uow, held.user_id)
            if user.disabled_at is not None:
                raise Invalid(_("This account can no longer answer pages."))
            if wish == "pass":
                delivery.escalate(uow, users.actor_of(user), held.page_id, f"{user.name} cannot take it")
            elif queries.page_by_id(uow, held.page_id).state != PageState.closed:
                delivery.acknowledge(uow, users.actor_of(user), held.page_id, "link")
    except TocsinError as error:
        return show(
            request, replace(GONE, problem=error.message), status=error.status if error.status != 422 else 410
        )
    return then(f"/a/{token}", _("The next person is being paged.") if wish == "pass" else "")
