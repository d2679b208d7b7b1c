"""What people have put in place by hand: kept as countermeasures, so that a sign of its failure raises the same alarm."""

from datetime import timedelta

from sqlalchemy import select

from connectors import applied, facts, registry
from connectors.contract import Effect
from connectors.entities import entity
from connectors.models import ACTIVE, IN_FORCE, REMOVED, SUCCEEDED, ActionCall, Countermeasure
from core.actors import Actor
from core.db import UnitOfWork
from core.errors import Invalid
from core.types import Ref

REVIEW_AFTER = timedelta(hours=24)
_TITLES = {"edr.isolate_host": "Isolation by hand"}


def by_hand(action: str) -> bool:
    """Whether a countermeasure with this action is one that no product has put in place."""
    return action in applied.ENDED_BY


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
    call = ActionCall(
        created_at=uow.now, key=f"by_hand:{key}"[:200], asked=verb, effect=Effect.disruptive.value, state=SUCCEEDED, reason=reason,
        note="A person did this by hand.", subject_kind=subject.kind, subject_id=subject.id, actor_kind=actor.kind.value,
        actor_id=actor.id, actor_name=actor.name, trust="high", tlp="amber", inputs={"host": found.value},
        entities=[[found.type, found.value]],
    )  # fmt: skip
    uow.add(call)
    uow.flush()
    until = uow.now + REVIEW_AFTER
    row = Countermeasure(
        call_id=call.id, subject_kind=subject.kind, subject_id=subject.id, action=verb, entity_type=found.type,
        entity_value=found.value, state=ACTIVE, created_at=uow.now, review_at=until, due_at=until, note=call.note,
    )  # fmt: skip
    uow.add(row)
    uow.flush()
    applied.tell(uow, actor, row, facts.COUNTERMEASURE_APPLIED)
    return row


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


def gone(uow: UnitOfWork, actor: Actor, row: Countermeasure, reason: str) -> None:
    """It is in place no more, as a person says."""
    row.state, row.removed_at, row.due_at, row.review_at, row.note = REMOVED, uow.now, None, None, None
    applied.tell(uow, actor, row, facts.COUNTERMEASURE_REMOVED, note=reason)
