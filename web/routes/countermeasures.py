"""What is in force now, since when and until when; keeping it, or taking it back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import calls, countermeasures, execute, hand_measures, instances, registry
from connectors.contract import Action, ActionFailed
from connectors.models import FAILED, PROPOSED, REMOVED, ActionCall, Countermeasure
from core import clock
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import NotFound
from core.secrets import Unsealable
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed
from web.subjects import keys_of, seen

router = APIRouter(include_in_schema=False)

HERE = "/countermeasures"
MOST = 200
LOOK = frozenset({FAILED, PROPOSED})


@dataclass(frozen=True)
class Standing:
    """One countermeasure as a row."""

    row: Countermeasure
    title: str
    key: str | None
    look: bool
    may_undo: bool


@dataclass(kw_only=True)
class CountermeasuresPage(Page, template="countermeasures.html", rail="settings"):
    """What stands, or what was taken back lately."""

    standing: list[Standing]
    in_force: int
    looks: int
    past: bool
    may_remove: bool


@dataclass(kw_only=True)
class UndoPage(Page, template="countermeasure_undo.html", rail="settings"):
    """Exactly what taking it back does, before it is done."""

    row: Countermeasure
    title: str
    by_hand: bool
    undo: Action | None
    call: ActionCall
    key: str | None
    request: dict[str, Any] | None
    unclear: str
    others: int


@router.get("/countermeasures")
def everything(request: Request, state: str = "", actor: Actor = allowed("connector.read")) -> Response:
    """What stands now; `state=removed` for what was taken back."""
    past = state == REMOVED
    with reading() as session:
        query = select(Countermeasure).order_by(Countermeasure.id.desc()).limit(MOST)
        query = query.where(
            Countermeasure.removed_at.is_not(None) if past else Countermeasure.removed_at.is_(None)
        )
        rows = seen(session, actor, list(session.scalars(query)))
        keys = keys_of(session, [row.subject for row in rows])
    now = clock.now()
    standing = [
        Standing(
            row=row,
            title=hand_measures.title_of(row.action),
            key=keys.get(row.subject),
            look=row.state in LOOK or bool(row.review_at and row.review_at <= now),
            may_undo=row.removed_at is None
            and row.state != "expiring"
            and (hand_measures.by_hand(row.action) or _undo(row.action) is not None),
        )
        for row in rows
    ]
    page = CountermeasuresPage(
        standing=standing,
        in_force=sum(one.row.state in ("active", "verified", "expiring") for one in standing),
        looks=sum(one.look for one in standing),
        past=past,
        may_remove=actor.may("countermeasure.remove"),
    )
    return show(request, page)


@router.get("/countermeasures/{row_id}/undo")
def confirm(request: Request, row_id: UUID, actor: Actor = allowed("countermeasure.remove")) -> Response:
    """Say exactly what taking it back will do."""
    with reading() as session:
        row = _one(session, actor, row_id)
        call = calls.get(session, row.call_id)
        key = keys_of(session, [row.subject]).get(row.subject)
        others = [other for other in countermeasures.standing(session) if _same(row, other)]
    undo = _undo(row.action)
    sent, unclear = _rendered(row, call, registry.actions().get(row.action), undo)
    page = UndoPage(
        row=row,
        title=hand_measures.title_of(row.action),
        by_hand=hand_measures.by_hand(row.action),
        undo=undo,
        call=call,
        key=key,
        request=sent,
        unclear=unclear,
        others=len(others),
    )
    return show(request, page)


@router.post("/countermeasures/{row_id}/undo")
def undo(form: Form, row_id: UUID, actor: Actor = allowed("countermeasure.remove")) -> Response:
    """Take it back, once the page that says what this does has been answered."""
    if not form.flag("confirmed"):
        return then(f"{HERE}/{row_id}/undo")
    with unit_of_work() as uow:
        _one(uow, actor, row_id)
        call = countermeasures.remove(uow, actor, row_id, form.get("reason"))
        path = f"/calls/{call.id}" if call is not None else HERE
        noted = call is None and hand_measures.by_hand(countermeasures.get(uow, row_id).action)
    if noted:
        return then(HERE, _("Noted: it is in place no more."))
    said = (
        _("It is being taken back.")
        if path != HERE
        else _("Another incident still wants it: it stays in place for that one.")
    )
    return then(path, said)


@router.post("/countermeasures/{row_id}/keep")
def keep(form: Form, row_id: UUID, actor: Actor = allowed("countermeasure.remove")) -> Response:
    """Decide that it stays, and when to look at it again."""
    hours = form.get("hours")
    span = (
        timedelta(hours=min(int(hours), 24 * 90)) if hours.isdigit() and int(hours) else timedelta(hours=24)
    )
    with unit_of_work() as uow:
        _one(uow, actor, row_id)
        countermeasures.review(uow, actor, row_id, span)
    return then(HERE, _("It stays; the date has moved."))


@router.post("/countermeasures/{row_id}/holds")
def holds(form: Form, row_id: UUID, actor: Actor = allowed("countermeasure.remove")) -> Response:
    """Say that it holds, although its entity was seen at work."""
    with unit_of_work() as uow:
        row = _one(uow, actor, row_id)
        countermeasures.reassure(uow, actor, row_id, form.get("note"))
        key = keys_of(uow, [row.subject]).get(row.subject)
    return then(f"/incidents/{key}" if key else HERE, _("Noted. The next sign raises the alarm again."))


def _one(session: Session, actor: Actor, row_id: UUID) -> Countermeasure:
    row = countermeasures.get(session, row_id)
    if not seen(session, actor, [row]):
        raise NotFound(_("There is no such countermeasure."))
    return row


def _undo(name: str) -> Action | None:
    action = registry.actions().get(name)
    if action is None or action.undo is None:
        return None
    return registry.actions().get(f"{action.connector}.{action.undo.action}")


def _same(row: Countermeasure, other: Countermeasure) -> bool:
    """Whether another countermeasure wants the same thing of the same product."""
    wanted = (row.action, row.instance, row.entity_type, row.entity_value)
    return (
        other.id != row.id and (other.action, other.instance, other.entity_type, other.entity_value) == wanted
    )


def _rendered(
    row: Countermeasure, call: ActionCall, action: Action | None, undo: Action | None
) -> tuple[dict[str, Any] | None, str]:
    """The request that would be sent, or why it cannot be told beforehand."""
    if action is None or undo is None or action.undo is None:
        return None, (action.no_undo if action is not None else "") or _("It declares no way back.")
    try:
        with reading() as session:
            product = instances.product_of(instances.get(session, row.instance or ""))
        given = execute.inputs_from(action.undo.inputs, undo, call.inputs, call.output or {}, product)
        return execute.show(
            undo, product, {name: value for name, value in given.items() if value is not None}, "undo"
        ), ""
    except (ActionFailed, Unsealable, NotFound) as error:
        return None, error.message
