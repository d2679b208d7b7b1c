"""Drives claimed runs until each blocks or ends: worked out in memory, written in one transaction."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from core import crashpoints, logs, telemetry, work
from core.actors import Actor, ActorKind
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import TocsinError
from core.journal import Fact, record, verbs
from core.types import Ref
from playbooks import facts as told
from playbooks import ports, storing
from playbooks.advance import Asked, Run, Work
from playbooks.contract import Event
from playbooks.models import PlaybookRun
from playbooks.ports import Request
from playbooks.state import RUN_ENDED
from playbooks.storing import Loaded, storable


log = logs.get(__name__)


@dataclass
class _Driven:
    """One run on its way: what is left of its work, and what it asks for next."""

    claim: work.Claim
    loaded: Loaded
    run: Run
    work: Work
    asked: Asked | None
    stopped: bool = False  # it was worked out as a run for which nothing new begins


def actor_of(run_id: UUID, name: str) -> Actor:
    """The run as the journal's actor."""
    return Actor(ActorKind.playbook, str(run_id), name)


def handle(claims: list[work.Claim]) -> None:
    """Drive these runs. If one of them cannot be written, each is driven in a transaction of its own."""
    try:
        _drive(claims)
    except Exception as error:  # any run may be the bad one: find it by taking them one at a time
        if len(claims) == 1:
            raise
        log.info("a batch of runs failed and is taken run by run", extra={"reason": repr(error)[:500]})
        for claim in claims:
            _alone(claim)


def _alone(claim: work.Claim) -> None:
    try:
        _drive([claim])
    except work.LostLease:
        return  # somebody else has it, or it has ended
    except Exception as error:  # this is the bad one: it is tried again later, and set aside in the end
        log.exception("a run failed", extra={"run": str(claim.id)})
        with unit_of_work() as uow:
            work.retry(uow, KIND, claim, f"{type(error).__name__}: {error}")


def _drive(claims: list[work.Claim]) -> None:
    driven = _worked_out(claims)
    with unit_of_work() as uow:
        _write(uow, driven)
        crashpoints.reached("run.outcome")


def _worked_out(claims: list[work.Claim]) -> list[_Driven]:
    """Everything that can be done without a transaction."""
    given = ports.current()
    with reading() as session:
        # A run that is claimed for the first time has begun nothing, or takes up what another one began.
        fresh = {claim.id for claim in claims if claim.fence == 1}
        found = storing.load(session, [claim.id for claim in claims], fresh)
        is_bound = given.bound(session)
        still = given.held(session)
        stopped = given.stopped(session, {one.subject for one in found.values()})
        facts: dict[Ref, dict[str, Any]] = {}
        for one in found.values():
            if one.subject not in facts:
                facts[one.subject] = given.facts(session, one.subject)
    driven = []
    for claim in claims:
        loaded = found.get(claim.id)
        if loaded is None:
            continue
        run = Run(loaded.plan, loaded.state, dict(facts[loaded.subject]), claim.at, is_bound, still=still)
        held = loaded.subject in stopped
        if held:  # what products were asked to do ends; nothing else is heard or begun
            loaded.answers = [one for one in loaded.answers if one[2]["event"] == "call"]
        work_left = _everything(run, loaded, held=held)
        driven.append(_Driven(claim, loaded, run, work_left, next(work_left, None), held))
    return driven


def _everything(run: Run, loaded: Loaded, *, held: bool = False) -> Work:
    """Hear the answers, then go on."""
    for _wait, attempt, answer in loaded.answers:
        yield from run.deliver(attempt, Event(answer["event"], answer.get("data") or {}))
    if not held:
        yield from run.advance()


def _write(uow: UnitOfWork, driven: list[_Driven]) -> None:
    """Ask the ports what is left to ask, then write the runs and give their leases back."""
    storing.lock(uow, [one.claim for one in driven])
    stopped = ports.current().stopped(uow, {one.loaded.subject for one in driven})
    again = [one for one in driven if (one.loaded.subject in stopped) is not one.stopped]
    if again:  # stopped or let go since they were worked out: nothing of it is kept, and they are worked out anew
        driven = [one for one in driven if one not in again]
        storing.put_off(uow, [one.claim.id for one in again], uow.now)
    for one in driven:
        with telemetry.doing("run", one.claim.correlation, run=one.claim.id, playbook=one.loaded.plan.key):
            _ask_ports(uow, one)
    states = [one.loaded.state for one in driven]
    storing.write_attempts(uow, *states)
    dropped = storing.write_waits(uow, *states)
    storing.take_answers(uow, [wait for one in driven for wait, _attempt, _answer in one.loaded.answers])
    held = {one.loaded.state.id for one in driven if one.stopped}  # whoever lets them go on wakes them
    waiting = [state.id for state in states if state.state not in RUN_ENDED and state.id not in held]
    answered = storing.unheard(uow, waiting) if waiting else set()
    due = {state.id: uow.now if state.id in answered else state.wake_at for state in states}
    due |= dict.fromkeys(held)
    over = [state.id for state in states if state.state in RUN_ENDED]
    storing.write_runs(uow, *states, due=due | dict.fromkeys(over))
    for one in driven:
        with logs.tied(one.claim.correlation):
            _follow_up(uow, one.loaded, [ref for run, ref in dropped if run == one.claim.id])


def _follow_up(uow: UnitOfWork, loaded: Loaded, dropped: list[str]) -> None:
    """Take back what nobody waits for any more, tell what the run noted, and end it if it is over."""
    state, actor = loaded.state, actor_of(loaded.state.id, loaded.state.name)
    for ref in dropped:
        ports.current().withdraw(uow, actor, ref, state.error or "the playbook went on without it")
    _tell(uow, actor, loaded)
    if state.state in RUN_ENDED:
        ended(uow, actor, loaded.row, state.state, state.error)


def _ask_ports(uow: UnitOfWork, one: _Driven) -> None:
    state = one.loaded.state
    actor = actor_of(state.id, state.name)
    while one.asked is not None:
        answer = _perform(uow, actor, one, one.asked)
        one.asked.attempt.changed = True
        try:
            one.asked = one.work.send(answer)
        except StopIteration:
            one.asked = None


def _perform(uow: UnitOfWork, actor: Actor, one: _Driven, asked: Asked) -> Mapping[str, Any]:
    given = ports.current()
    attempt = asked.attempt
    purpose = asked.perform.arguments.get("purpose")
    # One key for one try: a step is tried again only when the product surely did not do it.
    key = f"step:{attempt.id}" + (f":{purpose}" if purpose else "")
    request = Request(
        actor=actor,
        run_id=one.loaded.state.id,
        step_id=attempt.id,
        subject=one.loaded.subject,
        facts=one.run.facts,
        key=key,
        title=one.loaded.plan.name,
        arguments=asked.perform.arguments,
    )
    try:
        with (
            telemetry.doing("step", run=request.run_id, step=attempt.path, port=asked.perform.port),
            contextlib.nullcontext() if asked.perform.port in given.refuse_first else uow.begin_nested(),
        ):
            answer = given.perform[asked.perform.port](uow, request)
    except TocsinError as error:
        return {"error": error.message}
    if asked.perform.port == "update":
        uow.flush()
        one.run.facts.update(given.facts(uow, one.loaded.subject))
    return answer


def _tell(uow: UnitOfWork, actor: Actor, loaded: Loaded) -> None:
    """Journal what the run noted."""
    words = verbs()
    for note in loaded.state.notes:
        refs = [Ref("run", str(loaded.state.id)), loaded.subject]
        if note.attempt is not None:
            refs.append(Ref("step", str(note.attempt.id)))
        data = storable(note.data) if note.data is not None else None
        record(uow, actor, Fact(words[note.verb], tuple(refs), storable(note.body), data))
    loaded.state.notes.clear()


def ended(uow: UnitOfWork, actor: Actor, row: PlaybookRun, state: str, reason: str | None) -> None:
    """Tell that a run has ended, and let the next one of its queue begin."""
    refs = (row.ref, row.subject)
    body = {"playbook": row.playbook, "state": state}
    record(uow, actor, Fact(told.RUN_ENDED, refs, body, {"reason": reason} if reason else None))
    if row.concurrency_key is None:
        return
    queued = (
        select(PlaybookRun.id)
        .where(
            PlaybookRun.playbook == row.playbook,
            PlaybookRun.concurrency_key == row.concurrency_key,
            PlaybookRun.state == "queued",
        )
        .order_by(PlaybookRun.created_at, PlaybookRun.id)
        .limit(1)
    )
    following = uow.scalar(queued)
    if following is not None:
        uow.execute(
            update(PlaybookRun)
            .where(PlaybookRun.id == following, PlaybookRun.state == "queued")
            .values(state="running", slot=row.concurrency_key, due_at=uow.now, started_at=uow.now)
        )
        uow.wake(KIND.name)


def _parked(uow: UnitOfWork, run_id: UUID, error: str) -> None:
    """A run that cannot go on by itself is told, on the incident too."""
    row = uow.get(PlaybookRun, run_id)
    if row is not None:
        body = {"playbook": row.playbook}
        record(
            uow,
            actor_of(row.id, row.name),
            Fact(told.RUN_PARKED, (row.ref, row.subject), body, {"error": error}),
        )


KIND = work.register(
    work.WorkKind(
        "playbooks.runs",
        PlaybookRun,
        handle,
        batch=20,
        concurrency=2,
        on_park=_parked,
        about=[select(PlaybookRun.id, PlaybookRun.subject_kind, PlaybookRun.subject_id)],
    )
)
