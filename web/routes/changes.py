"""Proposals to loosen a guard rail: all of them, and one with its two buttons."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from core import four_eyes
from core.actors import Actor
from core.db import reading, unit_of_work
from core.four_eyes import Change
from core.journal import entries
from incidents.paging import page as page_of
from web.four_eyes import said
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed
from web.telling import Told, tell_all

router = APIRouter(include_in_schema=False)

HERE = "/settings/changes"


@dataclass(kw_only=True)
class ChangesPage(Page, template="changes.html", rail="settings"):
    """What waits, and what became of earlier ones."""

    waiting: list[Change]
    decided: list[Change]
    agreers: int
    set_up: bool
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class ChangePage(Page, template="change.html", rail="settings"):
    """One proposal."""

    change: Change
    path: str
    agreers: list[str]
    mine: bool
    may_agree: bool
    may_refuse: bool
    story: list[Told]


@router.get("/settings/changes")
def everything(request: Request, after: str | None = None, actor: Actor = allowed("user.read")) -> Response:
    """What waits first, then what was decided, newest first."""
    with reading() as session:
        query = select(Change).where(Change.state != four_eyes.OPEN)
        listed = page_of(session, query, Change, before=after, limit=50)
        page = ChangesPage(
            waiting=list(four_eyes.waiting(session)) if after is None else [],
            decided=listed.items,
            agreers=len(four_eyes.who_may_agree(session, actor)),
            set_up=four_eyes.being_set_up(session),
            next=f"{HERE}?after={listed.next}" if listed.next else None,
            first=HERE if after else None,
        )
    return show(request, page)


@router.get("/settings/changes/{change_id}")
def one(request: Request, change_id: UUID, actor: Actor = allowed("user.read")) -> Response:
    """One proposal: what, by whom, who can agree, and until when."""
    with reading() as session:
        change = four_eyes.get(session, change_id)
        able = four_eyes.who_may_agree(session, change.proposer)
        mine = actor.id == change.actor_id
        page = ChangePage(
            change=change,
            path=four_eyes.kind_of(change).path,
            agreers=[user.name for user in able],
            mine=mine,
            may_agree=actor.user_id in {user.id for user in able},
            may_refuse=mine or actor.may("change.agree"),
            story=tell_all(entries(session, ref=change.ref, limit=10)),
        )
    return show(request, page)


@router.post("/settings/changes/{change_id}/agree")
def agree(change_id: UUID, actor: Actor = allowed("change.agree")) -> Response:
    """Agree, and have it done."""
    with unit_of_work() as uow:
        four_eyes.agree(uow, actor, change_id)
    return then(f"{HERE}/{change_id}", said(None, _("You agreed: it is in effect.")))


@router.post("/settings/changes/{change_id}/refuse")
def refuse(form: Form, change_id: UUID, actor: Actor = allowed("user.read")) -> Response:
    """Refuse it, or withdraw one's own."""
    with unit_of_work() as uow:
        change = four_eyes.refuse(uow, actor, change_id, form.get("reason"))
        own = change.state == "withdrawn"
    return then(f"{HERE}/{change_id}", _("Withdrawn.") if own else _("Refused: everything stays as it is."))
