"""Calls: what was asked of products, what the guard rails said, what was sent and answered; settling and releasing."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import calls, rails, registry, settling
from connectors.models import HELD, INTENDED, UNKNOWN, ActionCall, Countermeasure
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound, Problem
from core.journal import entries
from core.types import Ref
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed
from web.subjects import keys_of, seen
from web.telling import Told, tell_all

router = APIRouter(include_in_schema=False)

MOST = 50
WAITING = "waiting"  # for a turn at the product
STATES = (HELD, UNKNOWN, "failed", "refused", "succeeded", "dry_run")


@dataclass(kw_only=True)
class CallsPage(Page, template="calls.html", rail="settings"):
    """Calls newest first."""

    calls: list[tuple[ActionCall, str, str | None]]
    waiting: int
    chips: list[tuple[str, str, bool]]
    state: str
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class CallPage(Page, template="call.html", rail="settings"):
    """One call."""

    call: ActionCall
    title: str
    key: str | None
    inputs: list[tuple[str, Any, str]]
    children: list[ActionCall]
    measures: list[Countermeasure]
    story: list[Told]
    all_held: bool
    problems: list[Problem]
    may_settle: bool
    may_release: bool


@router.get("/calls")
def everything(
    request: Request, state: str = "", after: UUID | None = None, actor: Actor = allowed("connector.read")
) -> Response:
    """Calls newest first, filtered by state."""
    query = select(ActionCall).order_by(ActionCall.id.desc()).limit(MOST + 1)
    if state == WAITING:
        query = query.where(
            ActionCall.due_at.is_not(None),
            ActionCall.state == INTENDED,
            ActionCall.limited_since.is_not(None),
        )
    elif state in STATES:
        query = query.where(ActionCall.state == state)
    if after is not None:
        query = query.where(ActionCall.id < after)
    with reading() as session:
        found = list(session.scalars(query))
        rows = seen(session, actor, found[:MOST])
        keys = keys_of(session, [row.subject for row in rows])
        waiting = len(seen(session, actor, list(calls.aside(session))))
    filters = f"state={state}&" if state else ""
    words = [("", _("All")), (HELD, _("Held")), (UNKNOWN, _("Unknown")), (WAITING, _("Waiting for a turn")), ("failed", _("Failed")), ("refused", _("Refused")),
             ("succeeded", _("Done")), ("dry_run", _("Dry run"))]  # fmt: skip
    page = CallsPage(
        calls=[(row, title_of(row), keys.get(row.subject)) for row in rows],
        waiting=waiting,
        chips=[(f"/calls?state={name}" if name else "/calls", word, name == state) for name, word in words],
        state=state,
        next=f"/calls?{filters}after={found[MOST - 1].id}" if len(found) > MOST else None,
        first=f"/calls?{filters}" if after else None,
    )
    return show(request, page)


@router.get("/calls/{call_id}")
def one(request: Request, call_id: UUID, actor: Actor = allowed("connector.read")) -> Response:
    """One call."""
    return _page(request, actor, call_id)


@router.post("/calls/{call_id}/settle")
def settle(request: Request, form: Form, call_id: UUID, actor: Actor = allowed("action.settle")) -> Response:
    """Say what became of an unknown call."""
    try:
        with unit_of_work() as uow:
            _one(uow, actor, call_id)
            if form.get("happened") not in ("yes", "no"):
                raise Invalid(
                    _("Say whether it happened."), [Problem("happened", _("Say whether it happened."))]
                )
            settling.settle(uow, actor, call_id, form.get("happened") == "yes", form.get("note"))
    except Invalid as error:
        return _page(request, actor, call_id, [Problem("", error.message)])
    return then(f"/calls/{call_id}", _("Settled; the playbook goes on with it."))


@router.post("/calls/{call_id}/resume")
def resume(call_id: UUID, actor: Actor = allowed("automation.release")) -> Response:
    """Let a held call go on, judged anew."""
    with unit_of_work() as uow:
        _one(uow, actor, call_id)
        row = settling.resume(uow, actor, call_id)
        refused = row.state == "refused"
    return then(f"/calls/{call_id}", _("A guard rail refuses it now.") if refused else _("It goes on."))


@router.post("/calls/{call_id}/drop")
def drop(form: Form, call_id: UUID, actor: Actor = allowed("automation.release")) -> Response:
    """Give a held call up."""
    with unit_of_work() as uow:
        _one(uow, actor, call_id)
        settling.drop(uow, actor, call_id, form.get("note"))
    return then(f"/calls/{call_id}", _("Given up: nothing was sent."))


def title_of(call: ActionCall) -> str:
    """What the call does, in the product's words."""
    action = registry.actions().get(call.action or call.asked)
    verbs = registry.verbs().get(call.asked, ())
    return action.title if action else verbs[0].title if verbs else call.asked


def _one(session: Session, actor: Actor, call_id: UUID) -> ActionCall:
    row = calls.get(session, call_id)
    if not seen(session, actor, [row]):
        raise NotFound(_("There is no such action."))
    return row


def _inputs(call: ActionCall) -> list[tuple[str, Any, str]]:
    """What was given: name, value, and which kind of thing the value names ("" when none)."""
    kinds = {value: kind for kind, value in call.entities}
    given = sorted(call.inputs.items())
    return [(name, value, kinds.get(str(value), "")) for name, value in given if value is not None]


def _page(request: Request, actor: Actor, call_id: UUID, problems: list[Problem] | None = None) -> Response:
    with reading() as session:
        row = _one(session, actor, call_id)
        children: Any = select(ActionCall).where(ActionCall.parent_id == row.id).order_by(ActionCall.id)
        measures: Any = (
            select(Countermeasure).where(Countermeasure.call_id == row.id).order_by(Countermeasure.id)
        )
        page = CallPage(
            call=row,
            title=title_of(row),
            key=keys_of(session, [row.subject]).get(row.subject),
            inputs=_inputs(row),
            children=list(session.scalars(children)),
            measures=list(session.scalars(measures)),
            story=tell_all(entries(session, ref=Ref("call", str(row.id)), limit=30)),
            all_held=rails.held(session) is not None,
            problems=problems or [],
            may_settle=actor.may("action.settle"),
            may_release=actor.may("automation.release"),
        )
    return show(request, page, status=422 if problems else 200)
