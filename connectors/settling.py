"""What people decide about calls that wait for them: let go on, given up, or said what became of them."""

from uuid import UUID

from sqlalchemy import select

from connectors import calls, facts, guards, holds, instances, rails
from connectors.contract import Effect
from connectors.guards import Asked
from connectors.models import FAILED, HELD, INTENDED, REFUSED, SUCCEEDED, UNKNOWN, ActionCall
from connectors.permissions import RELEASE_AUTOMATION, SETTLE_ACTIONS
from connectors.suiting import suit
from core.actors import Actor, ActorKind
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.journal import Entry
from core.outbox import subscriber


def resume(uow: UnitOfWork, actor: Actor, call_id: UUID) -> ActionCall:
    """Let a held call go on, judged anew: what has become protected meanwhile is refused. Raises Conflict, NotFound."""
    permissions.require(actor, RELEASE_AUTOMATION.name)
    row = calls.get(uow, call_id, locked=True)
    if row.state != HELD:
        raise Conflict(f"This call is not held any more: it is {row.state}.")
    if rails.held(uow) is not None:
        raise Conflict("All automation is held: release that first.")
    if (hold := holds.of(uow, row.subject)) is not None and row.actor_kind != ActorKind.person:
        raise Conflict(f"{hold.by} stopped the automation of its incident: let that go on first.")
    if Effect(row.effect).rank >= Effect.disruptive.rank:
        calls.answered_for(uow, actor)
    _go_on(uow, actor, row, by_person=True)
    return row


def _go_on(uow: UnitOfWork, actor: Actor, row: ActionCall, *, by_person: bool) -> None:
    """Judge a held call anew and make it due; `by_person`: whoever lets it go on has looked at this very call."""
    mode, targets = instances.resolve(uow, row.asked, row.chosen)
    if row.parent_id is not None:  # one of several products of a verb: each has its own call already
        mode, targets = "one", [target for target in targets if target.instance.name == row.instance]
    elif row.instance is not None and mode == "first":
        targets = sorted(targets, key=lambda target: target.instance.name != row.instance)
    if not targets:
        raise Conflict(f"No configured product can do {row.asked} any more.")
    suited = suit(row.asked, mode, targets, row.inputs)
    model, targets, named = suited.model, suited.targets, suited.named
    person = by_person or row.actor_kind in (ActorKind.person, ActorKind.token)
    asked = Asked(by_person=person, approved_by=tuple(row.approved_by), trust=row.trust, tlp=row.tlp)
    verdict = guards.judge(model, named.entities, asked, rails.standing(uow, model))
    row.note, row.rail = verdict.why or None, verdict.rail or None
    if verdict.state == "refused":
        calls.end(uow, actor, row, REFUSED, facts.ACTION_REFUSED, rail=verdict.rail)
    elif verdict.state == "go":
        calls.tell(uow, actor, row, facts.ACTION_RESUMED)
        calls.start(uow, row, targets, mode)


@subscriber("connectors.holds", verbs=[facts.SUBJECT_LET_GO.name])
def _let_go(uow: UnitOfWork, entry: Entry) -> None:
    """What was held because its subject was stopped goes on, as far as the rails let it now."""
    for subject in entry.refs:
        held = select(ActionCall).where(
            ActionCall.subject_kind == subject.kind, ActionCall.subject_id == subject.id,
            ActionCall.state == HELD, ActionCall.rail == holds.RAIL,
        )  # fmt: skip
        for row in uow.scalars(held.order_by(ActionCall.id).with_for_update()).all():
            try:
                _go_on(uow, entry.actor, row, by_person=False)
            except (Conflict, Invalid) as error:  # its product is gone or asks for something else: a person decides
                row.note = error.message[:2000]
            except NotFound as error:  # nothing of this name exists any more: it can never be done
                row.note, row.state, row.finished_at = error.message[:2000], FAILED, uow.now
                calls.finished(uow, entry.actor, row)


def drop(uow: UnitOfWork, actor: Actor, call_id: UUID, note: str) -> ActionCall:
    """Give a call up that is held, or that is stuck and has not begun. Raises Conflict, NotFound."""
    permissions.require(actor, RELEASE_AUTOMATION.name)
    row = calls.get(uow, call_id, locked=True)
    if row.state == INTENDED and row.parked_at is not None:
        row.note, row.parked_at, row.error = (
            note.strip()[:1000] or f"Given up: {row.error}"[:1000],
            None,
            None,
        )
        row.state, row.finished_at = FAILED, uow.now
        calls.finished(uow, actor, row)
        return row
    if row.state != HELD:
        raise Conflict(f"This call is not held any more: it is {row.state}.")
    row.note = note.strip()[:1000] or "It was held, and then given up."
    calls.end(uow, actor, row, REFUSED, facts.ACTION_REFUSED, rail=row.rail or rails.HOLD_ALL)
    return row


def settle(uow: UnitOfWork, actor: Actor, call_id: UUID, happened: bool, note: str) -> ActionCall:
    """Say what became of an unknown call, having looked in the product. Raises Conflict, NotFound, Invalid."""
    permissions.require(actor, SETTLE_ACTIONS.name)
    row = calls.get(uow, call_id, locked=True)
    if row.state != UNKNOWN:
        raise Conflict(f"This call is not unknown any more: it is {row.state}.")
    if not note.strip():
        raise Invalid("Say how you know.", [Problem("note", "empty")])
    row.note, row.parked_at, row.error = note.strip()[:1000], None, None
    row.state, row.finished_at = SUCCEEDED if happened else FAILED, uow.now
    calls.tell(uow, actor, row, facts.ACTION_SETTLED, happened=happened)
    calls.finished(uow, actor, row)
    return row
