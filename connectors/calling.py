"""Does what was asked for: intent → commit → call, with no transaction open → outcome → commit; and finds out after a crash."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select

from connectors import blocklist, calls, execute, facts, holds, instances, limits, outcomes, rails, registry
from connectors.contract import Action, ActionFailed
from connectors.execute import Answer, Product
from connectors.outcomes import Job, Outcome
from connectors.products import Heard
from connectors.models import (
    CALLING,
    HELD,
    INTENDED,
    UNKNOWN,
    ActionCall,
    ConnectorInstance,
    SubjectHold,
    Switch,
)
from core import bulk, callbacks, crashpoints, lanes, logs, metrics, side_by_side, stopping, telemetry, work
from core.actors import ActorKind
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Conflict, NotFound, TocsinError, Unavailable
from core.net import patience
from core.secrets import Unsealable
from core.types import Ref
from core.work import Claim, LostLease, WorkKind

log = logs.get(__name__)

SECONDS = metrics.histogram(
    "tocsin_call_seconds", "How long a call to a product takes, by what came of it.", "product", "outcome"
)

MOST_TOGETHER = 120.0  # seconds for everything that one call asks: signing in, pages, a probe
PORTS = {"blocklist": blocklist.Port()}


def handle(claims: list[Claim]) -> None:
    """Do the claimed calls side by side: their intents are committed together, and outcomes that come at about the same time."""
    try:
        jobs = _prepare(claims)
        lanes.begun()
    except Exception as error:  # nothing has been called yet; any call may be the bad one
        if len(claims) == 1:
            raise
        log.info("a batch of calls failed and is taken call by call", extra={"reason": repr(error)[:500]})
        work.one_by_one(KIND, claims)
        return
    if len(jobs) == 1:
        work.write_down(partial(_write, told=[(jobs[0], _called(jobs[0]))]))
    else:
        _side_by_side(jobs)


def _called(job: Job) -> Outcome:
    with telemetry.doing("call", job.claim.correlation, call=job.claim.id) as span:
        span.note(action=job.action.full_name, instance=job.call.instance, run=job.call.run)
        began = time.monotonic()
        with patience.within(MOST_TOGETHER):
            outcome = _do(job)
        span.note(outcome=outcome.kind)
    SECONDS.observe(time.monotonic() - began, job.product.connector.name, outcome.kind)
    return replace(outcome, why=callbacks.hidden(outcome.why))


def _side_by_side(jobs: list[Job]) -> None:
    """Call for all of them, and write each outcome as it comes; they are of one product, which may have too many."""
    left = len(jobs)
    too_many: list[Heard] = []
    for together in side_by_side.done(partial(_unless_too_many, too_many), jobs):
        left -= len(together)
        _write_down([(job, task.result()) for job, task in together if task.exception() is None])
        for job, task in together:
            if (error := task.exception()) is not None:
                _went_wrong(job, error)
        if left:
            work.ended([job.claim for job, _ in together])


def _unless_too_many(said: list[Heard], job: Job) -> Outcome:
    """Call, unless the product has meanwhile answered one of the others that it is called too often."""
    first = not job.began and job.call.polling_until is None  # what has begun is asked about, and never begun anew
    if said and first:
        job.product.heard.limited, job.product.heard.wait = True, said[0].wait
        return Outcome("limited", why="It was not sent: the product had just said that it is called too often.")
    outcome = _called(job)
    if job.product.heard.limited:
        said.append(job.product.heard)
    return outcome


def _write_down(told: Sequence[tuple[Job, Outcome]]) -> None:
    """Write outcomes in one transaction; if that fails, each in its own, so that one stops no other."""
    if not told:
        return
    try:
        work.write_down(partial(_write, told=told))
    except Exception as error:  # noqa: BLE001 - any of them may be the bad one: find it by taking them one at a time
        if len(told) == 1 or isinstance(error, Unavailable):
            for job, _ in told:
                _went_wrong(job, error)
            return
        log.info("outcomes are written one by one", extra={"reason": repr(error)[:500]})
        for one in told:
            _write_down([one])


def _went_wrong(job: Job, error: BaseException) -> None:
    """Keep on its row what went wrong with one call of many, as is done for a call alone."""
    try:
        raise error
    except LostLease as lost:
        work.LOST.add(KIND.name)
        log.warning("lost a lease of %s", KIND.name, extra={"reason": lost.message})
    except Unavailable as away:  # its lease ends, and it is taken up again
        log.warning("the database was away from work of %s", KIND.name, extra={"reason": away.message})
    except Exception as ours:  # whatever it is, it is kept on the call's row
        log.exception("work of %s failed", KIND.name)
        work.failed(KIND, job.claim, ours)


# ------------------------------------------------------------------------------------------------ before the call


@dataclass(frozen=True)
class _Ready:
    """What a call needs, read before its intent is written; `why` when it cannot be made."""

    action: Action | None = None
    product: Product | None = None
    instance: ConnectorInstance | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


def _prepare(claims: Sequence[Claim]) -> list[Job]:
    """Commit the intents of these calls; gives those that are to be made now."""
    with reading() as session:
        rows = session.scalars(
            select(ActionCall).where(bulk.among(session, ActionCall.id, [claim.id for claim in claims]))
        ).all()
        by_id = instances.by_ids(session, {row.instance_id for row in rows if row.instance_id is not None})
    ready = {row.id: _read(row, by_id.get(row.instance_id)) for row in rows}
    jobs = []
    with unit_of_work() as uow:
        switch, mine = rails.held(uow), outcomes.owned(uow, claims)
        resting = limits.resting(uow, [one.id for one in by_id.values()])
        stopped = holds.among(uow, {row.subject for _, row in mine})
        for claim, row in mine:
            with logs.tied(claim.correlation):
                held = _held(row, switch, stopped)
                job = _intend(uow, claim, row, ready.get(row.id) or _Ready(why=_GONE), held, resting)
            if job is not None:
                jobs.append(job)
    return jobs


_GONE = "The product that was to do this is not configured any more."


def _read(call: ActionCall, instance: ConnectorInstance | None) -> _Ready:
    try:
        if instance is None or call.action is None:
            return _Ready(why=_GONE)
        action, product = registry.action(call.action), instances.product_of(instance)
        return _Ready(action, product, instance, execute.show(action, product, call.inputs, call.key))
    except (NotFound, Unsealable, ActionFailed) as error:
        return _Ready(why=error.message)


def _held(row: ActionCall, switch: Switch | None, stopped: Mapping[Ref, SubjectHold]) -> tuple[str, str] | None:
    """The rail that holds a call that has not begun, and why; None when it may begin."""
    if row.effect == "read" or row.undoes is not None:
        return None
    if switch is not None:
        return rails.HOLD_ALL, f"All automation is held ({switch.reason}); this waits until somebody lets it go on."
    hold = stopped.get(row.subject) if row.actor_kind != ActorKind.person else None
    return (holds.RAIL, holds.said(hold)) if hold is not None else None


def _intend(
    uow: UnitOfWork,
    claim: Claim,
    row: ActionCall,
    ready: _Ready,
    held: tuple[str, str] | None,
    resting: set[UUID],
) -> Job | None:
    """Write that a call is about to be made, unless it is held, cannot be made, or has ended."""
    action, product, instance = ready.action, ready.product, ready.instance
    if action is None or product is None or instance is None:
        outcomes.fail(uow, row, claim, ready.why)
        return None
    if row.state not in (INTENDED, CALLING):
        work.finished(row)
        return None
    began = row.state == CALLING and row.polling_until is None
    settled = row.error is not None or _settled(row, action, uow.now)
    if row.state == INTENDED and held is not None:
        _hold(uow, row, *held)
        return None
    if (instance.id in resting or limits.known(instance)) and _wait_for_turn(uow, row, claim, instance):
        return None
    if row.state == INTENDED:
        row.state, row.called_at, row.request, row.tries = CALLING, uow.now, dict(ready.shown), row.tries + 1
        calls.tell(uow, outcomes.actor_of(row), row, facts.ACTION_ATTEMPTED)
    inputs = callbacks.proven(row.inputs, row.run) if row.run is not None else row.inputs
    return Job(claim, row, action, product, began, settled, inputs)


def _settled(row: ActionCall, action: Action, now: datetime) -> bool:
    """Whether a request that a dead worker may have sent is too old to be still at work in the product."""
    most = min(action.request.timeout, execute.MOST_SECONDS) if action.request else execute.MOST_SECONDS
    if action.find:  # it may have been sent last of several requests
        most = MOST_TOGETHER
    return row.called_at is None or now >= row.called_at + timedelta(seconds=most)


def _wait_for_turn(uow: UnitOfWork, row: ActionCall, claim: Claim, instance: ConnectorInstance) -> bool:
    """Put the call off while its product takes no more calls; true when it was. It costs none of its tries."""
    begun = row.state == CALLING
    acts = begun or row.effect != "read"
    wait = limits.ask(uow, instance.id, acts=acts, since=row.limited_since)
    if wait is None:
        return False
    if wait.lost and not begun:
        outcomes.fail(uow, row, claim, f"{wait.why} It would not have had its turn in time.")
        return True
    row.note, row.limited_since = wait.why, row.limited_since or uow.now
    work.postpone(uow, KIND, claim, wait.until)
    return True


def _hold(uow: UnitOfWork, row: ActionCall, rail: str, why: str) -> None:
    """Hold the call back: automation was stopped after it was asked for."""
    row.state, row.rail, row.note = HELD, rail, why
    work.finished(row)
    calls.tell(uow, outcomes.actor_of(row), row, facts.ACTION_HELD)


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
        ((_, row),) = outcomes.owned(uow, [job.claim])
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


def _write(uow: UnitOfWork, told: Sequence[tuple[Job, Outcome]]) -> None:
    by_claim = {job.claim: (job, outcome) for job, outcome in told}
    rows = outcomes.owned(uow, list(by_claim))
    uow.info["calls"] = rows  # who hears of them at the end of this transaction finds them read
    for claim, row in rows:
        with logs.tied(claim.correlation):
            outcomes.write(uow, row, *by_claim[claim])
    crashpoints.reached("call.outcome")


def _parked(uow: UnitOfWork, call_id: UUID, error: str) -> None:
    """Something of ours failed again and again: what has not begun waits to be tried again or given up by a person."""
    row = uow.get(ActionCall, call_id, populate_existing=True)
    if row is None or row.state not in (INTENDED, CALLING):
        return
    row.note = error[:2000]
    if row.state == CALLING:
        row.state = UNKNOWN
        calls.tell(uow, outcomes.actor_of(row), row, facts.ACTION_UNKNOWN)
        calls.finished(uow, outcomes.actor_of(row), row)


def _replayed(uow: UnitOfWork, call_id: UUID) -> None:
    """What has an outcome, or may have happened, is not done again by the press of a button among others."""
    row = uow.get_one(ActionCall, call_id, populate_existing=True)
    if row.state == UNKNOWN:
        raise Conflict(
            "Nobody knows whether this call happened: look at the product, and say so on the call's page."
        )
    if row.state not in (INTENDED, CALLING):
        raise Conflict("This call has ended; ask for it again where it came from.")


KIND = work.register(
    WorkKind(
        name=calls.WORK,
        model=ActionCall,
        handle=handle,
        batch=8,
        max_attempts=8,
        backoff=outcomes.AGAIN_AFTER,
        concurrency=16,
        on_park=_parked,
        on_replay=_replayed,
        lane="instance",
        lane_batches=8,
        lane_rows=8,
        ends_within=stopping.CALLS,
        about=[select(ActionCall.id, ActionCall.subject_kind, ActionCall.subject_id)],
    )
)
