"""Writes what came of a call: done, again, waiting, failed, or unknown; each under the call's fence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from connectors import calls, execute, facts, instances, limits
from connectors.contract import Action
from connectors.execute import Answer, Product
from connectors.models import FAILED, INTENDED, SUCCEEDED, UNKNOWN, ActionCall
from core import bulk, callbacks, work
from core.actors import Actor, ActorKind
from core.backoff import Backoff
from core.db import UnitOfWork
from core.work import Claim, LostLease

_ASK_AFTER = Backoff(timedelta(seconds=2), 2.0, timedelta(minutes=1))
_SETTLING = timedelta(seconds=3)
AGAIN_AFTER = Backoff(timedelta(seconds=2), 2.0, timedelta(minutes=5))
MOST_ASKED = 6  # how often a product is asked whether something happened, before a person is


@dataclass(frozen=True)
class Job:
    """A claimed call with what is needed to do it; `began` when an earlier worker may have done it already.

    `settled`: whatever that worker began must have ended by now, so that "it has not happened" can be believed.

    `inputs` are the call's as they are sent: addresses to call back at have their proof, which is kept nowhere.
    """

    claim: Claim
    call: ActionCall
    action: Action
    product: Product
    began: bool
    settled: bool
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What to write: done, wait (ask again whether it has ended), failed, again (call again), ask (whether it happened),
    settling (it has not happened yet, and still may), limited (the product is called too often), or unknown.
    """

    kind: str
    answer: Answer | None = None
    why: str = ""
    wait: float | None = None
    surely_not: bool = False


def owned(uow: UnitOfWork, claims: Sequence[Claim]) -> list[tuple[Claim, ActionCall]]:
    """The rows of these claims, locked, in the order of their ids. Raises LostLease when one is no longer ours."""
    mine = bulk.among(uow, ActionCall.id, [claim.id for claim in claims])
    query = select(ActionCall).where(mine).order_by(ActionCall.id).with_for_update()
    rows = {row.id: row for row in uow.scalars(query.execution_options(populate_existing=True))}
    owned = [(claim, rows[claim.id]) for claim in sorted(claims, key=lambda one: one.id) if claim.id in rows]
    lost = [claim for claim, row in owned if row.fence != claim.fence or row.lease_until is None]
    if lost or len(owned) != len(claims):
        raise LostLease("This call was taken over by another worker.")
    return owned


def actor_of(row: ActionCall) -> Actor:
    """Whoever asked for the call."""
    return Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name)


def write(uow: UnitOfWork, row: ActionCall, job: Job, outcome: Outcome) -> None:
    """Write what came of one call on its row, which owned() has locked, and let it go or say when it is looked at again."""
    claim = job.claim
    if row.instance_id is not None:
        limits.heard(uow, row.instance_id, job.product.heard)
    if outcome.answer is not None:
        row.output = callbacks.hidden(execute.bounded(outcome.answer.output))
        row.response = callbacks.hidden(outcome.answer.kept) or row.response
    if outcome.kind == "wait":
        _wait(uow, row, job)
    elif outcome.kind == "done":
        row.state, row.finished_at, row.note, row.polling_until = SUCCEEDED, uow.now, None, None
        work.finished(row)
        calls.finished(uow, actor_of(row), row)
    elif outcome.kind == "limited":
        _rest(uow, row, claim, outcome.why)
    elif outcome.kind == "again":
        row.state, row.note, row.limited_since = INTENDED, outcome.why[:2000], None
        wait = timedelta(seconds=outcome.wait) if outcome.wait is not None else AGAIN_AFTER.after(row.tries)
        work.later(uow, work.kinds()[calls.WORK], claim, uow.now + wait)
    elif outcome.kind == "settling":
        row.note = outcome.why
        work.later(uow, work.kinds()[calls.WORK], claim, uow.now + _SETTLING)
    elif outcome.kind == "ask" and claim.attempts < MOST_ASKED:
        row.note = outcome.why[:2000]
        work.retry(uow, work.kinds()[calls.WORK], claim, outcome.why, uow.now + _ASK_AFTER.after(claim.attempts))
    elif outcome.kind == "failed":
        fail(uow, row, claim, outcome.why)
    else:
        _unknown(uow, row, outcome.why)


def _rest(uow: UnitOfWork, row: ActionCall, claim: Claim, why: str) -> None:
    """The product says that it is called too often: the call waits for its turn again, and this was no try."""
    row.state, row.tries, row.limited_since = INTENDED, row.tries - 1, row.limited_since or uow.now
    uow.flush()
    wait = (
        limits.ask(uow, row.instance_id, acts=row.effect != "read", since=row.limited_since)
        if row.instance_id
        else None
    )
    if wait is None or wait.lost:
        fail(uow, row, claim, why)
        return
    row.note = f"{why} {wait.why}"[:2000]
    work.postpone(uow, work.kinds()[calls.WORK], claim, wait.until)


def _wait(uow: UnitOfWork, row: ActionCall, job: Job) -> None:
    """The product has begun and not ended: look again, up to the time it is given."""
    declared = job.action.poll
    if declared is None:
        return
    if row.polling_until is None:
        row.polling_until = uow.now + declared.timeout
    if uow.now >= row.polling_until:
        row.polling_until = None
        _unknown(uow, row, f"The product had not ended after {declared.timeout}.")
        return
    work.later(uow, work.kinds()[calls.WORK], job.claim, uow.now + declared.every)


def fail(uow: UnitOfWork, row: ActionCall, claim: Claim, why: str) -> None:
    """It surely did not happen: turn to the next product that can, or end."""
    row.note = why[:2000]
    if row.alternatives and _turn_to_next(uow, row, claim):
        return
    row.state, row.finished_at = FAILED, uow.now
    work.finished(row)
    calls.finished(uow, actor_of(row), row)


def _turn_to_next(uow: UnitOfWork, row: ActionCall, claim: Claim) -> bool:
    left = list(row.alternatives or [])
    _, targets = instances.resolve(uow, row.asked)
    by_name = {target.instance.name: target for target in targets}
    while left:
        target = by_name.get(left.pop(0))
        if target is not None:
            row.instance, row.instance_id = target.instance.name, target.instance.id
            row.action, row.alternatives, row.state, row.tries = target.action.full_name, left, INTENDED, 0
            row.limited_since = None
            work.later(uow, work.kinds()[calls.WORK], claim, uow.now)
            uow.wake(calls.WORK)
            return True
    return False


def _unknown(uow: UnitOfWork, row: ActionCall, why: str) -> None:
    """Nobody knows: parked for a person, never called a second time by itself."""
    row.state, row.note, row.finished_at = UNKNOWN, why[:2000], None
    work.finished(row)
    calls.tell(uow, actor_of(row), row, facts.ACTION_UNKNOWN)
    calls.finished(uow, actor_of(row), row)


