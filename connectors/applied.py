"""Keeps the rows of what calls have put in place against entities: begun, in force, extended, taken back."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from connectors import facts, registry
from connectors.contract import Action, Effect
from connectors.guards import NETWORK_TYPES, time_to_live
from connectors.models import (
    ACTIVE,
    EXPIRING,
    FAILED,
    IN_FORCE,
    PROPOSED,
    REMOVED,
    VERIFIED,
    ActionCall,
    BlocklistEntry,
    Countermeasure,
)
from core.actors import SYSTEM, Actor
from core.db import UnitOfWork
from core.journal import Fact, Verb, record
from core.types import Ref

WORK = "connectors.countermeasures"
REVIEW_AFTER = timedelta(hours=24)
FIRST_PROBE = timedelta(seconds=5)
PUBLISHED = "blocklist"  # what is only published is not in force before somebody has fetched it
ENDED_BY = {"edr.isolate_host": "edr.release_host"}
"""What people may have put in place by hand, as verbs, and the verb that ends it."""
_RELEASING = ("enable", "release", "restore", "unblock", "unsuspend", "allow")


def contains(action: Action) -> bool:
    """Whether success of this action leaves something in place that can be taken back later."""
    bare = (action.verb or action.name).rpartition(".")[2]
    return (
        action.effect.rank >= Effect.disruptive.rank
        and action.undo is not None
        and not bare.startswith(_RELEASING)
        and not action.name.startswith(_RELEASING)
    )


def default_time(session: Session, entities: Iterable[tuple[str, str]]) -> timedelta | None:
    """How long to block when nobody said: by how often it was blocked before. None for accounts and hosts."""
    values = [value for kind, value in entities if kind in NETWORK_TYPES]
    if not values:
        return None
    before = session.scalar(
        select(func.count()).select_from(Countermeasure).where(Countermeasure.entity_value.in_(values))
    )
    return time_to_live(before or 0)


def begin(uow: UnitOfWork, actor: Actor, call: ActionCall, action: Action) -> list[Countermeasure]:
    """After a call has succeeded: one row for each thing it has acted on, or the end of what it has taken back."""
    if _ended_by_hand(uow, actor, call, action) or not contains(action):
        return []
    begun = []
    for kind, value in call.entities:
        network = kind in NETWORK_TYPES
        row = Countermeasure(
            call_id=call.id,
            subject_kind=call.subject_kind,
            subject_id=call.subject_id,
            action=action.full_name,
            instance=call.instance,
            entity_type=kind,
            entity_value=value,
            state=PROPOSED if action.connector == PUBLISHED else ACTIVE,
            created_at=uow.now,
        )
        if network and call.undo_after_seconds:
            row.expires_at = uow.now + timedelta(seconds=call.undo_after_seconds)
        elif not network:
            seconds = call.review_after_seconds
            row.review_at = uow.now + (timedelta(seconds=seconds) if seconds else REVIEW_AFTER)
        row.due_at = uow.now + FIRST_PROBE if probed(action) else next_due(row)
        uow.add(row)
        uow.flush()
        tell(uow, actor, row, facts.COUNTERMEASURE_APPLIED)
        begun.append(row)
    uow.wake(WORK)
    return begun


def probed(action: Action) -> bool:
    """Whether the product can be asked if it holds."""
    return action.probe is not None and action.connector != PUBLISHED


def proof(session: Session, call_id: UUID) -> str | None:
    """Whether what a call has put in place holds: holds, not, pending (its product is being asked); None when none can be asked."""
    mine = select(ActionCall.id).where(or_(ActionCall.id == call_id, ActionCall.parent_id == call_id))
    rows = session.scalars(select(Countermeasure).where(Countermeasure.call_id.in_(mine))).all()
    asked = [row for row in rows if (made_by := registry.actions().get(row.action)) is not None and probed(made_by)]
    if any(row.state in (FAILED, EXPIRING, REMOVED) for row in asked):
        return "not"
    if any(row.state != VERIFIED for row in asked):
        return "pending"
    return "holds" if asked else None


def next_due(row: Countermeasure) -> datetime | None:
    """When something must be done about it next, its probes aside."""
    return min((at for at in (row.expires_at, row.review_at) if at is not None), default=None)


def active_for(session: Session, entities: Iterable[tuple[str, str]]) -> Sequence[Countermeasure]:
    """The countermeasures in force against any of these (type, value) pairs."""
    pairs = set(entities)
    if not pairs:
        return []
    rows = session.scalars(
        select(Countermeasure)
        .where(Countermeasure.removed_at.is_(None), Countermeasure.state.in_(IN_FORCE))
        .where(Countermeasure.entity_value.in_({value for _, value in pairs}))
    )
    return [row for row in rows if (row.entity_type, row.entity_value) in pairs]


def seen_active(uow: UnitOfWork, ids: Sequence[UUID]) -> None:
    """Their entities were seen at work just now: such blocks do not end by themselves yet."""
    uow.execute(
        update(Countermeasure)
        .where(Countermeasure.id.in_(ids))
        .values(activity_at=uow.now)
        .execution_options(synchronize_session=False)
    )


def fetched(uow: UnitOfWork, action: str, values: Select[str]) -> None:
    """What this action had published among these values was fetched: it is in force now."""
    rows = uow.scalars(
        select(Countermeasure)
        .where(Countermeasure.removed_at.is_(None), Countermeasure.state == PROPOSED)
        .where(Countermeasure.action == action, Countermeasure.entity_value.in_(values))
    ).all()
    for row in rows:
        row.state, row.verified_at = ACTIVE, uow.now
        tell(uow, SYSTEM, row, facts.COUNTERMEASURE_VERIFIED)


def extend(uow: UnitOfWork, row: Countermeasure) -> None:
    """Its entity is still at work: block it for as long again as it has been blocked."""
    until = uow.now + max(uow.now - row.created_at, timedelta(hours=1))
    call = uow.get(ActionCall, row.call_id)
    if call is not None:
        uow.execute(
            update(BlocklistEntry)
            .where(BlocklistEntry.key == call.key, BlocklistEntry.removed_at.is_(None))
            .values(expires_at=until)
            .execution_options(synchronize_session=False)
        )
    row.expires_at = until
    tell(uow, SYSTEM, row, facts.COUNTERMEASURE_EXTENDED, until=until.isoformat())


def taken_back(uow: UnitOfWork, actor: Actor, call: ActionCall) -> None:
    """The call that takes a countermeasure back has succeeded."""
    row = uow.get(Countermeasure, call.undoes)
    if row is not None and row.removed_at is None:
        remove(uow, actor, row)


def not_taken_back(uow: UnitOfWork, actor: Actor, call: ActionCall) -> None:
    """The call that takes a countermeasure back has failed: a person must look."""
    row = uow.get(Countermeasure, call.undoes)
    if row is not None and row.state == EXPIRING:
        row.state, row.due_at = FAILED, None
        row.note = f"It could not be taken back: {call.note or 'no reason given'}"[:2000]
        tell(uow, actor, row, facts.COUNTERMEASURE_DOUBTED)


def verified(uow: UnitOfWork, row: Countermeasure) -> None:
    """The product says that it holds."""
    row.state, row.verified_at, row.note = VERIFIED, uow.now, None
    tell(uow, SYSTEM, row, facts.COUNTERMEASURE_VERIFIED)


def _ended_by_hand(uow: UnitOfWork, actor: Actor, call: ActionCall, action: Action) -> bool:
    """Whether this call, though not asked for as such, takes back what stands: a person enabled the account again."""
    if call.undoes is not None:
        taken_back(uow, actor, call)
        return True
    ended = False
    for kind, value in call.entities:
        rows = uow.scalars(
            select(Countermeasure).where(
                Countermeasure.entity_type == kind,
                Countermeasure.entity_value == value,
                Countermeasure.removed_at.is_(None),
                or_(Countermeasure.instance == call.instance, Countermeasure.instance.is_(None)),
            )
        ).all()
        for row in rows:
            product = registry.actions().get(row.action)  # none: it was put in place by hand, and any product may end it
            undo = product.undo if product is not None else None
            ends = undo is not None and f"{action.connector}.{undo.action}" == action.full_name
            if ends or (product is None and action.verb == ENDED_BY.get(row.action, "")):
                remove(uow, actor, row)
                ended = True
    return ended


def remove(uow: UnitOfWork, actor: Actor, row: Countermeasure) -> None:
    """It is in place no more."""
    row.state, row.removed_at, row.due_at, row.note = REMOVED, uow.now, None, None
    tell(uow, actor, row, facts.COUNTERMEASURE_REMOVED)


def tell(uow: UnitOfWork, actor: Actor, row: Countermeasure, verb: Verb, **more: object) -> None:
    """Record what became of a countermeasure, on it, on its subject and on its call; `note` instead of its own."""
    said = more.pop("note", row.note)
    body = {
        "action": row.action,
        "instance": row.instance,
        "state": row.state,
        "entity_type": row.entity_type,
        **more,
    }
    refs = (Ref("countermeasure", str(row.id)), row.subject, Ref("call", str(row.call_id)))
    data = {"entity": row.entity_value, "note": said}
    record(uow, actor, Fact(verb, refs, body, data))
