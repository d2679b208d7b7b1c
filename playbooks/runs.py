"""The door to runs: start one, answer what it waits for, stop it, try a failed step again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult

from core import bulk
from core.actors import Actor, ActorKind
from core.auth import factors, permissions
from core.db import UnitOfWork, is_postgres
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.expressions import render
from core.ids import new_id
from core.journal import Fact, record
from core.types import Ref
from playbooks import alone, driving, facts, ports, storing
from playbooks.advance import Run, fill_inputs
from playbooks.asking import DISRUPTIVE
from playbooks.models import Playbook, PlaybookRun, Vote, Wait
from playbooks.permissions import ANSWER, START
from playbooks.plan import Plan
from playbooks.state import RUN_ENDED, RUN_LIVE
from playbooks.taking_up import AGAIN, taken_up

__all__ = ["answer", "begin", "cancel", "finish_wait", "retry_step", "start"]


def start(
    uow: UnitOfWork,
    actor: Actor,
    *,
    playbook: str,
    subject: Ref,
    inputs: Mapping[str, Any] | None = None,
    trigger: Mapping[str, Any] | None = None,
    trigger_key: str | None = None,
    mode: str | None = None,
) -> PlaybookRun:
    """Start a playbook on an incident, with the version that is published now.

    The same `trigger_key` starts one run only. If a run with the same concurrency key lives, the playbook's policy
    decides: the new one waits (state `queued`), is not started (the living run is returned), replaces the other, or
    runs beside it. Raises NotFound, Forbidden, Invalid.
    """
    permissions.require(actor, START.name)
    found = uow.scalar(select(Playbook).where(Playbook.key == playbook, Playbook.removed_at.is_(None)))
    if found is None:
        raise NotFound(
            f'There is no playbook "{playbook}"; `tocsin playbooks apply` publishes the ones of the file.'
        )
    if not ports.current().visible(uow, actor, subject):
        raise NotFound("There is no such incident, or you may not see it.")
    return begin(
        uow, actor, found, subject=subject, inputs=inputs, trigger=trigger, trigger_key=trigger_key, mode=mode
    )


def begin(
    uow: UnitOfWork,
    actor: Actor,
    found: Playbook,
    *,
    subject: Ref,
    inputs: Mapping[str, Any] | None = None,
    trigger: Mapping[str, Any] | None = None,
    trigger_key: str | None = None,
    mode: str | None = None,
    wait: bool = True,
) -> PlaybookRun:
    """As start(), for whoever has found the playbook and knows that the actor may start it on this.

    Without `wait`, a living run that is being driven just then is not waited for: the database refuses.
    """
    if trigger_key is not None:
        known = uow.scalar(select(PlaybookRun).where(PlaybookRun.trigger_key == trigger_key))
        if known is not None:
            return known
    plan = storing.plan_of(uow, found.version_id)
    given = _checked_inputs(plan, inputs or {})
    key = _concurrency_key(uow, plan, subject, given, trigger or {})
    state, other = _place_in_line(uow, actor, plan, key, wait=wait)
    if other is not None:
        record(uow, actor, Fact(facts.RUN_DROPPED, (other.ref, subject), {"playbook": found.key, "key": key}))
        return other
    row = _insert(
        uow, actor, plan, version_id=found.version_id, mode=mode or found.mode, state=state, subject=subject,
        inputs=storing.storable(given), variables={}, trigger=storing.storable(dict(trigger or {})),
        trigger_key=trigger_key, concurrency_key=key,
    )  # fmt: skip
    verb = facts.RUN_STARTED if state == "running" else facts.RUN_QUEUED
    body = {
        "playbook": found.key,
        "mode": row.mode,
        "version": str(found.version_id),
        "trigger": dict(trigger or {}).get("verb"),
    }
    record(uow, actor, Fact(verb, (row.ref, subject), body))
    uow.wake(driving.KIND.name)
    return row


def answer(uow: UnitOfWork, actor: Actor, wait_id: UUID, decision: Mapping[str, Any]) -> Wait:
    """Vote on an approval: `{"approve": bool, "reason": text, "alone": bool}`.

    One refusal decides; agreement decides when the quorum has agreed, with one each of those who `must`. Each person has one vote. Where the playbook says
    `alone_after`, a second person is called with the first vote, and `alone` goes on without one after that time. Raises
    NotFound, Forbidden (not asked, or the one who started the run under four eyes), NeedsSecondFactor (to agree to what
    disrupts), Conflict (already decided), Invalid.
    """
    permissions.require(actor, ANSWER.name)
    if actor.kind is not ActorKind.person or actor.user_id is None:
        raise Forbidden("Only a person who is signed in can agree or refuse.")
    if not isinstance(decision.get("approve"), bool):
        raise Invalid("Say whether you agree.", [Problem("approve", "must be true or false")])
    wait = uow.scalar(select(Wait).where(Wait.id == wait_id, Wait.kind == "approval").with_for_update())
    run = uow.get(PlaybookRun, wait.run_id) if wait is not None else None
    if wait is None or run is None or not ports.current().visible(uow, actor, run.subject):
        raise NotFound("There is no such question, or you may not see it.")
    if wait.answered_at is not None or wait.closed_at is not None:
        raise Conflict("This has been decided already.")
    if not ports.current().may_answer(uow, actor, list(wait.detail["from"]), run.subject):
        raise Forbidden(f"This is for {', '.join(wait.detail['from'])}.")
    if (
        wait.detail.get("four_eyes")
        and not wait.detail.get("alone_after")
        and run.started_by_kind == ActorKind.person
        and run.started_by_id == actor.id
    ):
        raise Forbidden("You started this playbook; somebody else must agree.")
    mine, by_oneself = alone.vote_of(uow, wait_id, actor.user_id), decision.get("alone") is True
    if mine is not None and not (by_oneself and decision["approve"]):
        raise Conflict("You have answered already; others must agree too.")
    reason = str(decision.get("reason") or "").strip()[:2000] or None
    approve = bool(decision["approve"])
    if approve and any(one.get("effect") in DISRUPTIVE for one in wait.detail.get("what") or ()):
        factors.require_fresh(uow, actor)
    if by_oneself and approve:
        alone.decide(uow, actor, wait, run, mine, reason or "")
        said = {"approved": True, "by": [actor.name], "reason": reason, "alone": True}
        finish_wait(uow, wait.id, wait.run_id, "approval", said)
        return wait
    uow.add(
        Vote(
            wait_id=wait_id,
            user_id=actor.user_id,
            name=actor.name,
            approve=approve,
            speaks_for=[
                one for one in wait.detail.get("must") or () if ports.current().may_answer(uow, actor, [one], run.subject)
            ],
            reason=reason,
            created_at=uow.now,
        )
    )
    uow.flush()
    body = {"wait": str(wait_id), "approve": approve, "question": wait.detail.get("question")}
    refs = (run.ref, run.subject, Ref("step", str(wait.attempt_id)))
    record(
        uow, actor, Fact(facts.STEP_ANSWERED, refs, body, {"ask": wait.detail.get("ask"), "reason": reason})
    )
    votes = list(
        uow.scalars(
            select(Vote).where(Vote.wait_id == wait_id, Vote.approve == approve).order_by(Vote.created_at)
        )
    )
    enough = len(votes) >= alone.needed(wait, run, {str(vote.user_id) for vote in votes}) and not alone.lacking(wait, votes)
    if approve and not enough and wait.detail.get("alone_after"):
        alone.call_second(uow, actor, wait, run)
    if not approve or enough:
        said = {"approved": approve, "by": [vote.name for vote in votes], "reason": reason}
        finish_wait(uow, wait.id, wait.run_id, "approval", said)
    return wait


def finish_wait(uow: UnitOfWork, wait_id: UUID, run_id: UUID, event: str, data: Mapping[str, Any]) -> bool:
    """Write an answer once and wake its run; False when it came too late."""
    done = uow.execute(
        update(Wait)
        .where(Wait.id == wait_id, Wait.answered_at.is_(None), Wait.closed_at.is_(None))
        .values(answered_at=uow.now, answer={"event": event, "data": storing.storable(dict(data))})
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    if done.rowcount != 1:
        return False
    uow.execute(
        update(PlaybookRun)
        .where(PlaybookRun.id == run_id, PlaybookRun.state.in_(RUN_LIVE))
        .values(due_at=uow.now)
        .execution_options(synchronize_session=False)
    )
    uow.wake(driving.KIND.name)
    return True


def finish_waits(uow: UnitOfWork, event: str, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Write answers by what is waited for ("call:<id>"), each once, and wake the runs; what came too late is left alone."""
    if not answers:
        return
    waiting = select(Wait.id, Wait.run_id, Wait.ref).where(
        bulk.among(uow, Wait.ref, answers), Wait.answered_at.is_(None), Wait.closed_at.is_(None)
    )
    found = uow.execute(waiting.order_by(Wait.run_id)).all()
    told = [
        {
            "id": wait_id,
            "answered_at": uow.now,
            "answer": {"event": event, "data": storing.storable(dict(answers[ref or ""]))},
        }
        for wait_id, _run_id, ref in found
    ]
    open_still = "answered_at IS NULL AND waits.closed_at IS NULL"
    if not bulk.update(uow, Wait.__table__, told, only=open_still):
        return
    uow.execute(
        update(PlaybookRun)
        .where(bulk.among(uow, PlaybookRun.id, {run_id for _wait, run_id, _ref in found}))
        .where(PlaybookRun.state.in_(RUN_LIVE))
        .values(due_at=uow.now)
        .execution_options(synchronize_session=False)
    )
    uow.wake(driving.KIND.name)


def cancel(uow: UnitOfWork, actor: Actor, run_id: UUID, reason: str) -> PlaybookRun:
    """Stop a run here: what it waits for is taken back, what was done stays done. Raises NotFound, Conflict, Invalid."""
    permissions.require(actor, START.name)
    if not reason.strip():
        raise Invalid("Say why it is stopped.", [Problem("reason", "A reason is needed.")])
    row = _locked(uow, actor, run_id)
    if row.state in RUN_ENDED:
        raise Conflict(f"This run is over already: {row.state}.")
    stop(uow, actor, row, reason.strip())
    record(
        uow,
        actor,
        Fact(facts.RUN_CANCELLED, (row.ref, row.subject), {"playbook": row.playbook}, {"reason": reason}),
    )
    return row


def stop(uow: UnitOfWork, actor: Actor, row: PlaybookRun, reason: str) -> None:
    """End a live run whose row is locked; a worker that holds it loses its lease."""
    loaded = storing.load(uow, [row.id])[row.id]
    run = Run(loaded.plan, loaded.state, {}, uow.now, lambda _action: False)
    run.cancel(reason)
    loaded.state.notes.clear()
    storing.write_attempts(uow, loaded.state)
    for _run, ref in storing.write_waits(uow, loaded.state):
        ports.current().withdraw(uow, actor, ref, reason)
    storing.write_runs(uow, loaded.state)
    uow.execute(
        update(PlaybookRun)
        .where(PlaybookRun.id == row.id)
        .values(fence=PlaybookRun.fence + 1, due_at=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    driving.ended(uow, actor, row, "cancelled", reason)
    uow.refresh(row)


def retry_step(uow: UnitOfWork, actor: Actor, run_id: UUID, path: str) -> PlaybookRun:
    """Try a step again that failed in a run that is over: in a new run that has everything else done already.

    The old run stays as it is. Raises NotFound, Conflict.
    """
    permissions.require(actor, START.name)
    old = _locked(uow, actor, run_id)
    if old.state not in ("failed", "refused", "cancelled"):
        raise Conflict(f"This run is {old.state}; only one that has failed can be taken up again.")
    plan = storing.plan_of(uow, old.version_id)
    if path not in plan.steps:
        raise NotFound(f'This playbook has no step "{path}".')
    before = storing.load(uow, [old.id])[old.id].state
    if not any(one.path == path and one.state in AGAIN for one in before.attempts.values()):
        raise Conflict("This step has not failed.")
    state, other = _place_in_line(uow, actor, plan, old.concurrency_key)
    if other is not None or state == "queued":
        raise Conflict("A run of this playbook for the same thing lives; end it first.")
    row = _insert(
        uow, actor, plan, version_id=old.version_id, mode=old.mode, state="running", subject=old.subject,
        inputs=old.inputs, variables=old.variables, trigger=old.trigger, concurrency_key=old.concurrency_key,
        forked_from=old.id,
    )  # fmt: skip
    storing.write_attempts(uow, taken_up(plan, before, path, row.id))
    early = (
        Wait.run_id == old.id,
        Wait.attempt_id.is_(None),
    )  # calls back that came before their step waited
    uow.execute(update(Wait).where(*early).values(run_id=row.id).execution_options(synchronize_session=False))
    body = {"playbook": row.playbook, "step": path, "version": str(row.version_id)}
    record(uow, actor, Fact(facts.RUN_RETRIED, (row.ref, old.ref, row.subject), body))
    uow.wake(driving.KIND.name)
    return row


def _insert(
    uow: UnitOfWork, actor: Actor, plan: Plan, *, state: str, subject: Ref, **values: Any
) -> PlaybookRun:
    """A new run's row; raises Conflict when another one took its place in line a moment ago."""
    begins = uow.now if state == "running" else None
    key = values.get("concurrency_key")
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(PlaybookRun)
    new = insert.values(
        id=new_id(), created_at=uow.now, playbook=plan.key, name=plan.name, state=state, subject_kind=subject.kind,
        subject_id=subject.id, slot=key if begins and plan.concurrency_policy != "allow" else None, actions=0,
        started_by_kind=actor.kind, started_by_id=actor.id, started_by=actor.name, started_at=begins, due_at=begins,
        **values,
    )  # fmt: skip
    row: PlaybookRun | None = uow.scalar(new.on_conflict_do_nothing().returning(PlaybookRun))
    if row is None:
        raise Conflict(f"{plan.name} was started for the same thing a moment ago.")
    return row


def _locked(uow: UnitOfWork, actor: Actor, run_id: UUID) -> PlaybookRun:
    query = select(PlaybookRun).where(PlaybookRun.id == run_id).with_for_update()
    row = uow.scalar(query.execution_options(populate_existing=True))
    if row is None or not ports.current().visible(uow, actor, row.subject):
        raise NotFound("There is no such run, or you may not see it.")
    return row


def _checked_inputs(plan: Plan, given: Mapping[str, Any]) -> dict[str, Any]:
    problems = [Problem(name, f'There is no input "{name}".') for name in given if name not in plan.inputs]
    problems += [
        Problem(name, f'The input "{name}" is needed.')
        for name, wanted in plan.inputs.items()
        if wanted.required and given.get(name) in (None, "")
    ]
    if problems:
        raise Invalid(f"{plan.name} cannot start: {problems[0].message}", problems)
    return fill_inputs(plan.inputs, given)


def _concurrency_key(
    uow: UnitOfWork, plan: Plan, subject: Ref, inputs: Mapping[str, Any], trigger: Mapping[str, Any]
) -> str | None:
    if plan.concurrency_key is None:
        return None
    incident = ports.current().facts(uow, subject)
    return str(render(plan.concurrency_key, {"incident": incident, "inputs": inputs, "trigger": trigger}))[
        :300
    ]


def _place_in_line(
    uow: UnitOfWork, actor: Actor, plan: Plan, key: str | None, *, wait: bool = True
) -> tuple[str, PlaybookRun | None]:
    """The state of a new run, or the living run that stands for it."""
    if key is None or plan.concurrency_policy == "allow":
        return "running", None
    living = select(PlaybookRun).where(PlaybookRun.playbook == plan.key, PlaybookRun.slot == key)
    other = uow.scalar(living.with_for_update(nowait=not wait))
    if other is None:
        return "running", None
    if plan.concurrency_policy == "queue":
        return "queued", None
    if plan.concurrency_policy == "drop":
        return "running", other
    stop(uow, actor, other, "replaced by a newer run")
    return "running", None
