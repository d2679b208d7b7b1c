"""Does what was asked for: intent → commit → call, with no transaction open → outcome → commit; and finds out after a crash."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from connectors import blocklist, calls, execute, facts, instances, limits, rails, registry
from connectors.contract import Action, ActionFailed
from connectors.execute import Answer, Product
from connectors.models import (
    CALLING,
    FAILED,
    HELD,
    INTENDED,
    SUCCEEDED,
    UNKNOWN,
    ActionCall,
    ConnectorInstance,
)
from core import callbacks, crashpoints, logs, metrics, telemetry, work
from core.actors import Actor, ActorKind
from core.backoff import Backoff
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Conflict, NotFound, TocsinError
from core.net import patience
from core.secrets import Unsealable
from core.work import Claim, LostLease, WorkKind

log = logs.get(__name__)

SECONDS = metrics.histogram(
    "tocsin_call_seconds", "How long a call to a product takes, by what came of it.", "product", "outcome"
)

MOST_TOGETHER = 120.0  # seconds for everything that one call asks: signing in, pages, a probe
MOST_ASKED = 6  # how often a product is asked whether something happened, before a person is
_ASK_AFTER = Backoff(timedelta(seconds=2), 2.0, timedelta(minutes=1))
_SETTLING = timedelta(seconds=3)
_AGAIN_AFTER = Backoff(timedelta(seconds=2), 2.0, timedelta(minutes=5))
PORTS = {"blocklist": blocklist.Port()}


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


def handle(claims: list[Claim]) -> None:
    """Do each claimed call."""
    for claim in claims:
        with telemetry.doing("call", claim.correlation, call=claim.id) as span:
            _one(claim, span)


def _one(claim: Claim, span: telemetry.Span) -> None:
    job = _prepare(claim)
    if job is None:
        return
    span.note(action=job.action.full_name, instance=job.call.instance, run=job.call.run)
    began = time.monotonic()
    with patience.within(MOST_TOGETHER):
        outcome = _do(job)
    span.note(outcome=outcome.kind)
    SECONDS.observe(time.monotonic() - began, job.product.connector.name, outcome.kind)
    outcome = replace(outcome, why=callbacks.hidden(outcome.why))
    work.write_down(partial(_write, job=job, outcome=outcome))


# ------------------------------------------------------------------------------------------------ before the call


def _prepare(claim: Claim) -> Job | None:
    with reading() as session:
        call = session.get(ActionCall, claim.id)
        instance = None
        if call is not None and call.instance_id is not None:
            instance = instances.get(session, call.instance_id)
    if call is None:
        return None
    try:
        if instance is None or call.action is None:
            raise NotFound("The product that was to do this is not configured any more.")
        action, product = registry.action(call.action), instances.product_of(instance)
        shown = execute.show(action, product, call.inputs, call.key)
    except (NotFound, Unsealable, ActionFailed) as error:
        with unit_of_work() as uow:
            _fail(uow, _owned(uow, claim), claim, error.message)
        return None
    with unit_of_work() as uow:
        row = _owned(uow, claim)
        if row.state not in (INTENDED, CALLING):
            work.finish(uow, KIND, claim)
            return None
        began = row.state == CALLING and row.polling_until is None
        settled = row.error is not None or _settled(row, action, uow.now)
        if (row.state == INTENDED and _hold(uow, row, claim)) or _wait_for_turn(uow, row, claim, instance):
            return None
        if row.state == INTENDED:
            row.state, row.called_at, row.request, row.tries = CALLING, uow.now, shown, row.tries + 1
            calls.tell(uow, actor_of(row), row, facts.ACTION_ATTEMPTED)
            uow.flush()
    inputs = callbacks.proven(row.inputs, row.run) if row.run is not None else row.inputs
    return Job(claim, row, action, product, began, settled, inputs)


def _settled(row: ActionCall, action: Action, now: datetime) -> bool:
    """Whether a request that a dead worker may have sent is too old to be still at work in the product."""
    most = min(action.request.timeout, execute.MOST_SECONDS) if action.request else execute.MOST_SECONDS
    return row.called_at is None or now >= row.called_at + timedelta(seconds=most)


def _owned(uow: UnitOfWork, claim: Claim) -> ActionCall:
    row = uow.get(ActionCall, claim.id, with_for_update=True, populate_existing=True)
    if row is None or row.fence != claim.fence:
        raise LostLease("This call was taken over by another worker.")
    return row


def _wait_for_turn(uow: UnitOfWork, row: ActionCall, claim: Claim, instance: ConnectorInstance) -> bool:
    """Put the call off while its product takes no more calls; true when it was. It costs none of its tries."""
    if not limits.known(instance):
        return False
    begun = row.state == CALLING
    acts = begun or row.effect != "read"
    wait = limits.ask(uow, instance.id, acts=acts, since=row.limited_since)
    if wait is None:
        return False
    if wait.lost and not begun:
        _fail(uow, row, claim, f"{wait.why} It would not have had its turn in time.")
        return True
    row.note, row.limited_since = wait.why, row.limited_since or uow.now
    work.postpone(uow, KIND, claim, wait.until)
    return True


def _hold(uow: UnitOfWork, row: ActionCall, claim: Claim) -> bool:
    """Hold the call back when the switch was thrown after it was asked for."""
    switch = rails.held(uow)
    if switch is None or row.effect == "read" or row.undoes is not None:
        return False
    row.state = HELD
    row.note = f"All automation is held ({switch.reason}); this waits until somebody lets it go on."
    calls.tell(uow, actor_of(row), row, facts.ACTION_HELD)
    work.finish(uow, KIND, claim)
    return True


# ------------------------------------------------------------------------------------------------ the call


def _do(job: Job) -> Outcome:
    """Call the product, or ask it; no transaction is open here."""
    call, action = job.call, job.action
    try:
        if call.polling_until is not None:
            answer = execute.poll(action, job.product, job.inputs, call.output or {}, call.key)
            return Outcome("done", answer) if answer is not None else Outcome("wait")
        if job.began and not action.idempotent:
            if action.probe is None:
                why = "The worker that called the product died before it knew the outcome, and the product cannot be asked."
                return Outcome("unknown", why=why)
            if _happened(job):
                return Outcome("done", Answer(dict(call.output or {}), {"probe": "It had happened."}))
            if not job.settled:
                return Outcome(
                    "settling", why="It has not happened yet, but what was begun may still be on its way."
                )
            _begin_anew(job)
        crashpoints.reached("call.before")
        answer = execute.perform(action, job.product, job.inputs, call.key, PORTS)
        crashpoints.reached("call.after")
    except _Unanswered as error:
        return Outcome("ask", why=error.message)
    except ActionFailed as error:
        if job.product.heard.limited and error.retryable and error.done is False:
            return Outcome("limited", why=error.message)
        return judge(error, action, call.tries, call.most_tries)
    return Outcome("wait" if action.poll is not None else "done", answer)


def _begin_anew(job: Job) -> None:
    """It had not happened: it is called once more, and this is a new beginning for whoever has to find out."""
    with unit_of_work() as uow:
        row = _owned(uow, job.claim)
        row.called_at, row.error = uow.now, None


class _Unanswered(TocsinError):
    """The product did not say whether it happened."""

    code, status = "unanswered", 502


def _happened(job: Job) -> bool:
    try:
        return execute.probe(job.action, job.product, job.inputs, job.call.output or {}, PORTS)
    except ActionFailed as error:
        raise _Unanswered(
            f"It is not known whether it happened, and asking failed: {error.message}"
        ) from error


def judge(error: ActionFailed, action: Action, tries: int, most_tries: int) -> Outcome:
    """What a failure means: call again only when that can do no harm, else find out, else leave it to a person."""
    wait = error.fields.get("retry_after")
    surely_not = error.done is False
    if error.retryable and tries < most_tries and (surely_not or action.idempotent):
        return Outcome("again", why=error.message, wait=wait, surely_not=surely_not)
    if surely_not or action.effect.value == "read":
        return Outcome("failed", why=error.message, surely_not=True)
    if action.probe is not None:
        return Outcome("ask", why=error.message)
    return Outcome("unknown", why=error.message)


# ------------------------------------------------------------------------------------------------ after the call


def _write(uow: UnitOfWork, job: Job, outcome: Outcome) -> None:
    row, claim = _owned(uow, job.claim), job.claim
    if row.instance_id is not None:
        limits.heard(uow, row.instance_id, job.product.heard)
    if outcome.answer is not None:
        row.output = callbacks.hidden(execute.bounded(outcome.answer.output))
        row.response = callbacks.hidden(outcome.answer.kept) or row.response
    if outcome.kind == "wait":
        _wait(uow, row, job)
    elif outcome.kind == "done":
        row.state, row.finished_at, row.note, row.polling_until = SUCCEEDED, uow.now, None, None
        work.finish(uow, KIND, claim)
        calls.finished(uow, actor_of(row), row)
    elif outcome.kind == "limited":
        _rest(uow, row, claim, outcome.why)
    elif outcome.kind == "again":
        row.state, row.note, row.limited_since = INTENDED, outcome.why[:2000], None
        wait = timedelta(seconds=outcome.wait) if outcome.wait is not None else _AGAIN_AFTER.after(row.tries)
        work.later(uow, KIND, claim, uow.now + wait)
    elif outcome.kind == "settling":
        row.note = outcome.why
        work.later(uow, KIND, claim, uow.now + _SETTLING)
    elif outcome.kind == "ask" and claim.attempts < MOST_ASKED:
        row.note = outcome.why[:2000]
        work.retry(uow, KIND, claim, outcome.why, uow.now + _ASK_AFTER.after(claim.attempts))
    elif outcome.kind == "failed":
        _fail(uow, row, claim, outcome.why)
    else:
        _unknown(uow, row, claim, outcome.why)
    crashpoints.reached("call.outcome")


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
        _fail(uow, row, claim, why)
        return
    row.note = f"{why} {wait.why}"[:2000]
    work.postpone(uow, KIND, claim, wait.until)


def _wait(uow: UnitOfWork, row: ActionCall, job: Job) -> None:
    """The product has begun and not ended: look again, up to the time it is given."""
    declared = job.action.poll
    if declared is None:
        return
    if row.polling_until is None:
        row.polling_until = uow.now + declared.timeout
    if uow.now >= row.polling_until:
        row.polling_until = None
        _unknown(uow, row, job.claim, f"The product had not ended after {declared.timeout}.")
        return
    work.later(uow, KIND, job.claim, uow.now + declared.every)


def _fail(uow: UnitOfWork, row: ActionCall, claim: Claim, why: str) -> None:
    """It surely did not happen: turn to the next product that can, or end."""
    row.note = why[:2000]
    if row.alternatives and _turn_to_next(uow, row, claim):
        return
    row.state, row.finished_at = FAILED, uow.now
    work.finish(uow, KIND, claim)
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
            work.later(uow, KIND, claim, uow.now)
            uow.wake(KIND.name)
            return True
    return False


def _unknown(uow: UnitOfWork, row: ActionCall, claim: Claim, why: str) -> None:
    """Nobody knows: parked for a person, never called a second time by itself."""
    row.state, row.note, row.finished_at = UNKNOWN, why[:2000], None
    work.finish(uow, KIND, claim)
    calls.tell(uow, actor_of(row), row, facts.ACTION_UNKNOWN)
    calls.finished(uow, actor_of(row), row)


def _parked(uow: UnitOfWork, call_id: UUID, error: str) -> None:
    """Something of ours failed again and again: what has not begun waits to be tried again or given up by a person."""
    row = uow.get(ActionCall, call_id, populate_existing=True)
    if row is None or row.state not in (INTENDED, CALLING):
        return
    row.note = error[:2000]
    if row.state == CALLING:
        row.state = UNKNOWN
        calls.tell(uow, actor_of(row), row, facts.ACTION_UNKNOWN)
        calls.finished(uow, actor_of(row), row)


def _replayed(uow: UnitOfWork, call_id: UUID) -> None:
    """What has an outcome, or may have happened, is not done again by the press of a button among others."""
    row = uow.get_one(ActionCall, call_id, populate_existing=True)
    if row.state == UNKNOWN:
        raise Conflict(
            "Nobody knows whether this call happened: look at the product, and say so on the call's page."
        )
    if row.state not in (INTENDED, CALLING):
        raise Conflict("This call has ended; ask for it again where it came from.")


def actor_of(row: ActionCall) -> Actor:
    """Whoever asked for the call."""
    return Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name)


KIND = work.register(
    WorkKind(
        name=calls.WORK,
        model=ActionCall,
        handle=handle,
        batch=1,  # a slow product must not hold up calls to others
        max_attempts=8,
        backoff=_AGAIN_AFTER,
        concurrency=16,
        on_park=_parked,
        on_replay=_replayed,
        lane="instance",
        lane_batches=4,
    )
)
