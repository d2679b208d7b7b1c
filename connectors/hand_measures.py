"""What stands without a product: put in place by people, or only watched; kept as countermeasures, so that what names it raises an alarm."""

from datetime import datetime, timedelta

from sqlalchemy import select

from connectors import applied, facts, registry
from connectors.contract import Effect
from connectors.entities import entity
from connectors.models import ACTIVE, IN_FORCE, REMOVED, SUCCEEDED, WATCHED, ActionCall, Countermeasure
from core.actors import Actor
from core.db import UnitOfWork
from core.errors import Invalid
from core.types import Ref

REVIEW_AFTER = timedelta(hours=24)
WATCH = "watch"
"""The action of what is only watched: nothing is in its way, and an alert about it is told."""
_TITLES = {"edr.isolate_host": "Isolation by hand", WATCH: "Watch"}


def by_hand(action: str) -> bool:
    """Whether a countermeasure with this action is one that no product has put in place."""
    return action == WATCH or action in applied.ENDED_BY


def title_of(action: str) -> str:
    """A countermeasure's action as a person reads it."""
    known = registry.actions().get(action)
    return known.title if known is not None else _TITLES.get(action, action)


def put(uow: UnitOfWork, actor: Actor, subject: Ref, verb: str, value: str, *, key: str, reason: str) -> Countermeasure:
    """Note that a person has done this to a host; what a product has in force there, or was noted before, is enough.

    It comes up for review after a day. Raises Invalid for what is no host.
    """
    found = entity("host", value, "target")
    if found is None:
        raise Invalid(f"“{value[:80]}” is not a host.")
    in_force = select(Countermeasure).where(
        Countermeasure.entity_type == found.type, Countermeasure.entity_value == found.value,
        Countermeasure.removed_at.is_(None), Countermeasure.state.in_(IN_FORCE),
    )  # fmt: skip
    for row in uow.scalars(in_force):
        known = registry.actions().get(row.action)
        if verb in (row.action, known.verb if known is not None else None):
            return row
    until = uow.now + REVIEW_AFTER
    return _kept(
        uow, actor, subject, verb, found.type, found.value, key=f"by_hand:{key}", effect=Effect.disruptive, reason=reason,
        note="A person did this by hand.", inputs={"host": found.value}, state=ACTIVE, review_at=until, due_at=until,
    )  # fmt: skip


def watch(
    uow: UnitOfWork, actor: Actor, subject: Ref, kind: str, value: str, *, lasting: timedelta, key: str, reason: str
) -> Countermeasure:
    """Tell of every alert about a value for so long; one that is watched for this subject already is watched until then."""
    until = uow.now + lasting
    mine = select(Countermeasure).where(
        Countermeasure.subject_kind == subject.kind, Countermeasure.subject_id == subject.id, Countermeasure.action == WATCH,
        Countermeasure.entity_type == kind, Countermeasure.entity_value == value, Countermeasure.removed_at.is_(None),
    )  # fmt: skip
    if (row := uow.scalars(mine).first()) is not None:
        if row.expires_at is None or row.expires_at < until:
            row.expires_at = row.due_at = until
            applied.tell(uow, actor, row, facts.COUNTERMEASURE_EXTENDED, until=until.isoformat())
        return row
    return _kept(
        uow, actor, subject, WATCH, kind, value, key=f"watch:{key}", effect=Effect.read, reason=reason,
        note="Only watched: nothing is in its way.", inputs={"value": value}, state=WATCHED,
        expires_at=until, due_at=until,
    )  # fmt: skip


def end(uow: UnitOfWork, actor: Actor, subject: Ref, verb: str, value: str) -> int:
    """Note that what was in place by hand for a subject was ended by hand with this verb; how many that were."""
    found = entity("host", value, "target")
    mine = select(Countermeasure).where(
        Countermeasure.subject_kind == subject.kind, Countermeasure.subject_id == subject.id,
        Countermeasure.action.in_([one for one, other in applied.ENDED_BY.items() if other == verb]),
        Countermeasure.entity_value == (found.value if found is not None else value), Countermeasure.removed_at.is_(None),
    )  # fmt: skip
    rows = uow.scalars(mine).all()
    for row in rows:
        gone(uow, actor, row, "It was ended by hand.")
    return len(rows)


def _kept(
    uow: UnitOfWork, actor: Actor, subject: Ref, action: str, kind: str, value: str, *, key: str, effect: Effect, reason: str,
    note: str, inputs: dict[str, str], state: str, **times: datetime,
) -> Countermeasure:  # fmt: skip
    call = ActionCall(
        created_at=uow.now, key=key[:200], asked=action, effect=effect.value, state=SUCCEEDED, reason=reason, note=note,
        subject_kind=subject.kind, subject_id=subject.id, actor_kind=actor.kind.value, actor_id=actor.id,
        actor_name=actor.name, trust="high", tlp="amber", inputs=inputs, entities=[[kind, value]],
    )  # fmt: skip
    uow.add(call)
    uow.flush()
    row = Countermeasure(
        call_id=call.id, subject_kind=subject.kind, subject_id=subject.id, action=action, entity_type=kind,
        entity_value=value, state=state, created_at=uow.now, note=note, **times,
    )  # fmt: skip
    uow.add(row)
    uow.flush()
    applied.tell(uow, actor, row, facts.COUNTERMEASURE_APPLIED)
    return row


def gone(uow: UnitOfWork, actor: Actor, row: Countermeasure, reason: str) -> None:
    """It is in place no more, as a person says."""
    row.state, row.removed_at, row.due_at, row.review_at, row.note = REMOVED, uow.now, None, None, None
    row.expires_at = None
    applied.tell(uow, actor, row, facts.COUNTERMEASURE_REMOVED, note=reason)
