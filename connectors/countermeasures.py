"""Watches what is in place: asks the product until it holds, ends it in time, asks for a review, takes it back by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from connectors import applied, calling, calls, execute, facts, hand_measures, instances, limits, registry
from connectors.applied import active_for, seen_active
from connectors.calls import CallContext
from connectors.contract import Action, ActionFailed
from connectors.execute import Product
from connectors.models import (
    ACTIVE,
    EXPIRING,
    FAILED,
    IN_FORCE,
    PROPOSED,
    REFUSED,
    UNBOUND,
    VERIFIED,
    ActionCall,
    Countermeasure,
)
from connectors.permissions import REMOVE_COUNTERMEASURES
from core import stopping, work
from core.actors import SYSTEM, Actor
from core.backoff import Backoff
from core.auth import permissions
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Problem
from core.secrets import Unsealable
from core.types import Ref
from core.work import Claim, LostLease, WorkKind

__all__ = ["active_for", "active_for_subject", "get", "of_subject", "remove", "review", "seen_active"]

MOST_PROBES = 26
_YOUNG = timedelta(minutes=10)
"""For so long the product is asked at least each minute."""
_PROBE_AFTER = Backoff(timedelta(seconds=5), 2.0, timedelta(minutes=15))


@dataclass(frozen=True)
class Seen:
    """What a probe said: it holds (True), it does not (False), or the product gave no answer (None, and why)."""

    holds: bool | None
    why: str = ""


def handle(claims: list[Claim]) -> None:
    """Do what is due about each: probe, end, ask for a review."""
    for claim in claims:
        row, asked = _look(claim)
        if row is None or (asked is not None and _wait_for_turn(claim, asked[2].instance_id)):
            continue
        seen = _probe(row, asked) if asked is not None else None
        with unit_of_work() as uow:
            if asked is not None and asked[2].instance_id is not None:
                limits.heard(uow, asked[2].instance_id, asked[1].heard)
            _decide(uow, claim, seen)


Asked = tuple[Action, Product, ActionCall]


def _look(claim: Claim) -> tuple[Countermeasure | None, Asked | None]:
    with reading() as session:
        row = session.get(Countermeasure, claim.id)
        call = session.get(ActionCall, row.call_id) if row is not None else None
        instance = instances.get(session, call.instance_id) if call is not None and call.instance_id else None
    if row is None or call is None or instance is None:
        return row, None
    action = registry.action(row.action)
    if row.state != ACTIVE or not applied.probed(action):
        return row, None
    try:
        return row, (action, instances.product_of(instance), call)
    except Unsealable:
        return row, None


def _wait_for_turn(claim: Claim, instance_id: UUID | None) -> bool:
    """Put the probe off while the product takes no more calls; true when it was."""
    if instance_id is None:
        return False
    with unit_of_work() as uow:
        if not limits.known(instances.get(uow, instance_id)):
            return False
        wait = limits.ask(uow, instance_id, acts=True, since=uow.now)
        if wait is not None:
            work.postpone(uow, KIND, claim, wait.until)
        return wait is not None


def _probe(row: Countermeasure, asked: Asked) -> Seen:
    """Ask the product; no transaction is open."""
    action, product, call = asked
    try:
        holds = execute.probe(action, product, call.inputs, call.output or {}, calling.PORTS)
    except ActionFailed as error:
        return Seen(None, f"{row.action} could not be checked: {error.message}")
    return Seen(holds, "" if holds else "The product accepted it, but says that it does not hold.")


def _decide(uow: UnitOfWork, claim: Claim, seen: Seen | None) -> None:
    row = uow.get(Countermeasure, claim.id, with_for_update=True, populate_existing=True)
    if row is None or row.fence != claim.fence:
        raise LostLease("This countermeasure was taken over by another worker.")
    if seen is not None:
        _note_probe(uow, row, seen)
    if row.state in (PROPOSED, *IN_FORCE) and row.expires_at is not None and row.expires_at <= uow.now:
        _expire(uow, row)
    if row.removed_at is None and row.review_at is not None and row.review_at <= uow.now:
        row.review_at = None
        applied.tell(uow, SYSTEM, row, facts.COUNTERMEASURE_REVIEW_DUE)
    uow.flush()
    due = applied.next_due(row) if row.state not in (EXPIRING, FAILED) and row.removed_at is None else None
    made_by = registry.actions().get(row.action)
    if row.state == ACTIVE and made_by is not None and applied.probed(made_by):
        wait = _PROBE_AFTER.after(row.probes)
        again = uow.now + (min(wait, timedelta(minutes=1)) if uow.now < row.created_at + _YOUNG else wait)
        due = min(due, again) if due is not None else again
    work.later(uow, KIND, claim, due)


def _note_probe(uow: UnitOfWork, row: Countermeasure, seen: Seen) -> None:
    row.probes += 1
    if row.state != ACTIVE:
        return
    if seen.holds:
        applied.verified(uow, row)
    elif row.probes >= MOST_PROBES:
        row.state, row.note = FAILED, seen.why[:2000]
        applied.tell(uow, SYSTEM, row, facts.COUNTERMEASURE_DOUBTED)
    else:
        row.note = seen.why[:2000]


def _expire(uow: UnitOfWork, row: Countermeasure) -> None:
    """Its time is over: extend it while its entity is still at work, else take it back; what no product holds just ends."""
    if hand_measures.by_hand(row.action):
        hand_measures.gone(uow, SYSTEM, row, "Its time is over.")
        return
    lasted = (row.expires_at or uow.now) - row.created_at
    if row.activity_at is not None and row.activity_at > uow.now - lasted / 2:
        applied.extend(uow, row)
        row.activity_at = None
        return
    _take_back(uow, SYSTEM, row, "Its time is over.")


def _take_back(uow: UnitOfWork, actor: Actor, row: Countermeasure, reason: str) -> ActionCall | None:
    row.expires_at = row.review_at = None
    if _wanted_by_another(uow, row):
        row.note = "It stays in place for another incident."
        applied.remove(uow, actor, row)
        return None
    action = registry.action(row.action)
    call = uow.get(ActionCall, row.call_id)
    if action.undo is None or call is None:
        raise Conflict(f"{action.title} cannot be taken back by Tocsin: {action.no_undo or 'do it by hand'}")
    undo = registry.action(f"{action.connector}.{action.undo.action}")
    inputs = execute.inputs_from(action.undo.inputs, undo, call.inputs, call.output or {}, None)
    row.state, row.due_at = EXPIRING, None
    applied.tell(uow, actor, row, facts.COUNTERMEASURE_REMOVING)
    ctx = CallContext(
        actor, row.subject, trust="high", approved_by=(actor.name,), reason=reason, run=call.run
    )
    given = {name: value for name, value in inputs.items() if value is not None}
    tries = sum(1 for _ in uow.scalars(select(ActionCall.id).where(ActionCall.undoes == row.id)))
    key = f"undo:{row.id}:{tries + 1}"
    asked = calls.request(uow, ctx, undo.full_name, given, instance=row.instance, key=key, undoes=row.id)
    if asked.state in (REFUSED, UNBOUND):
        applied.not_taken_back(uow, actor, asked)
    return asked


def _wanted_by_another(uow: UnitOfWork, row: Countermeasure) -> bool:
    query = select(Countermeasure.id).where(
        Countermeasure.id != row.id,
        Countermeasure.entity_type == row.entity_type,
        Countermeasure.entity_value == row.entity_value,
        Countermeasure.action == row.action,
        Countermeasure.instance == row.instance,
        Countermeasure.removed_at.is_(None),
        Countermeasure.state.in_([PROPOSED, ACTIVE, VERIFIED]),
    )
    return uow.scalar(query.limit(1)) is not None


# ------------------------------------------------------------------------------------------------ people decide


def remove(uow: UnitOfWork, actor: Actor, countermeasure_id: UUID, reason: str = "") -> ActionCall | None:
    """Take a countermeasure back now; the call that does it, or None when it stays for another incident or was done by hand.

    This goes on while all automation is held. Raises Conflict when it is removed already or cannot be undone, NotFound.
    """
    permissions.require(actor, REMOVE_COUNTERMEASURES.name)
    row = get(uow, countermeasure_id)
    if row.removed_at is not None or row.state == EXPIRING:
        raise Conflict(f"This countermeasure is {row.state} already.")
    if hand_measures.by_hand(row.action):
        hand_measures.gone(uow, actor, row, reason.strip() or "A person took it back.")
        return None
    return _take_back(uow, actor, row, reason.strip() or "A person took it back.")


def review(uow: UnitOfWork, actor: Actor, countermeasure_id: UUID, again_in: timedelta) -> Countermeasure:
    """Decide that it stays, and when it is to be looked at again."""
    permissions.require(actor, REMOVE_COUNTERMEASURES.name)
    row = get(uow, countermeasure_id)
    if row.removed_at is not None:
        raise Conflict("This countermeasure is removed already.")
    if row.expires_at is not None:
        row.expires_at = uow.now + again_in
    else:
        row.review_at = uow.now + again_in
    row.due_at = min(row.due_at or uow.now + again_in, uow.now + again_in)
    applied.tell(uow, actor, row, facts.COUNTERMEASURE_EXTENDED, until=(uow.now + again_in).isoformat())
    return row


def reassure(uow: UnitOfWork, actor: Actor, countermeasure_id: UUID, note: str) -> Countermeasure:
    """Say that it holds although its entity was seen at work, and how one knows; the next sign raises the alarm again.

    Raises NotFound, Conflict, Invalid.
    """
    permissions.require(actor, REMOVE_COUNTERMEASURES.name)
    row = get(uow, countermeasure_id)
    if not note.strip():
        raise Invalid("Say what you saw.", [Problem("note", "empty")])
    if row.removed_at is not None or row.activity_at is None:
        raise Conflict("Nobody doubts this countermeasure any more.")
    row.activity_at = None
    applied.tell(uow, actor, row, facts.COUNTERMEASURE_REASSURED, note=note.strip()[:1000])
    return row


# ------------------------------------------------------------------------------------------------ questions


def get(session: Session, countermeasure_id: UUID) -> Countermeasure:
    """The countermeasure with this id. Raises NotFound."""
    row = session.get(Countermeasure, countermeasure_id)
    if row is None:
        raise NotFound("There is no such countermeasure.")
    return row


def of_subject(session: Session, subject: Ref) -> Sequence[Countermeasure]:
    """Everything that was ever put in place for a subject, oldest first."""
    return session.scalars(
        select(Countermeasure)
        .where(Countermeasure.subject_kind == subject.kind, Countermeasure.subject_id == subject.id)
        .order_by(Countermeasure.id)
    ).all()


def active_for_subject(session: Session, subject: Ref) -> Sequence[Countermeasure]:
    """What still stands for a subject: what its closing asks about."""
    return [row for row in of_subject(session, subject) if row.removed_at is None]


def standing(session: Session, states: Iterable[str] = IN_FORCE) -> Sequence[Countermeasure]:
    """Everything that stands in these states, newest first."""
    return session.scalars(
        select(Countermeasure)
        .where(Countermeasure.removed_at.is_(None), Countermeasure.state.in_(list(states)))
        .order_by(Countermeasure.id.desc())
    ).all()


def doubted(session: Session, *conditions: ColumnElement[bool], limit: int = 50) -> Sequence[Countermeasure]:
    """What is in force although its entity was seen at work, and nobody has said that it holds; the latest first."""
    return session.scalars(
        select(Countermeasure)
        .where(Countermeasure.removed_at.is_(None), Countermeasure.state.in_(IN_FORCE))
        .where(Countermeasure.activity_at.is_not(None), *conditions)
        .order_by(Countermeasure.activity_at.desc())
        .limit(limit)
    ).all()


KIND = work.register(
    WorkKind(
        name=applied.WORK,
        model=Countermeasure,
        handle=handle,
        batch=1,
        concurrency=8,
        lane="instance",
        ends_within=stopping.CALLS,
        about=[select(Countermeasure.id, Countermeasure.subject_kind, Countermeasure.subject_id)],
    )
)
