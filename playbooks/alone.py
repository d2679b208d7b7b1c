"""What follows when one person has agreed and a second one is needed: they are called, and after a time one may go on alone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from core import logs
from core.actors import Actor
from core.db import UnitOfWork
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.journal import Fact, record
from core.types import Ref
from playbooks import facts, ports
from playbooks.answers import in_order
from playbooks.durations import say_duration
from playbooks.models import PlaybookRun, Vote, Wait

log = logs.get(__name__)

LEAST = 20
"""Characters that a reason has: one is read when somebody decides alone."""


def may_from(wait: Wait, mine: Vote | None) -> datetime | None:
    """From when on this person may decide alone; None: never, as the playbook says, or before they have agreed."""
    after = wait.detail.get("alone_after")
    return mine.created_at + timedelta(seconds=float(after)) if after and mine and mine.approve else None


def needed(wait: Wait, run: PlaybookRun, voters: set[str]) -> int:
    """How many must agree: under four eyes whoever has started the run is never enough by themselves."""
    quorum = int(wait.detail.get("quorum") or 1)
    return max(quorum, 2) if wait.detail.get("four_eyes") and run.started_by_id in voters else quorum


def lacking(wait: Wait, votes: Sequence[Vote]) -> bool:
    """Whether somebody of whom one must agree is not among those who have; nobody stands for two of them."""
    return not _covered(list(wait.detail.get("must") or ()), [set(vote.speaks_for) for vote in votes])


def _covered(must: list[str], voters: list[set[str]]) -> bool:
    if not must:
        return True
    first, *rest = must
    return any(first in one and _covered(rest, voters[:at] + voters[at + 1 :]) for at, one in enumerate(voters))


def call_second(uow: UnitOfWork, actor: Actor, wait: Wait, run: PlaybookRun) -> None:
    """Page for whoever can agree beside `actor`; that nobody can be paged is written down and stops nothing."""
    span = say_duration(float(wait.detail["alone_after"]))
    ask = str(wait.detail.get("ask"))
    message = f"{actor.name} agrees; a second person is needed within {span}: {ask}"
    policy = wait.detail.get("escalate_to") or "critical"
    ref = None
    try:
        ref = _ask(uow, actor, wait, run, "page", {"policy": policy, "message": message}).get("ref")
    except NotFound as error:
        log.warning("no second person can be paged", extra={"wait": str(wait.id), "reason": error.message})
    body = {"wait": str(wait.id), "page": ref, "alone_after": wait.detail["alone_after"]}
    record(uow, actor, Fact(facts.SECOND_CALLED, _refs(wait, run), body, {"ask": ask}))


def decide(uow: UnitOfWork, actor: Actor, wait: Wait, run: PlaybookRun, mine: Vote | None, reason: str) -> None:
    """Write down that somebody goes on alone, and ask a manager to look at it. Raises Forbidden, Conflict, Invalid."""
    begins = may_from(wait, mine)
    if begins is None:
        raise Forbidden("Agree first; the second person is then called, and has time to answer.")
    if uow.now < begins:
        raise Conflict(f"A second person has been called and has until {begins:%H:%M:%S} UTC to answer.")
    if len(reason) < LEAST:
        message = f"Say why this cannot wait for a second person, in at least {LEAST} characters."
        raise Invalid(message, [Problem("reason", message)])
    ask = str(wait.detail.get("ask"))
    waited = int((uow.now - begins).total_seconds() + float(wait.detail["alone_after"]))
    body = {"wait": str(wait.id), "alone": True, "waited": waited, "quorum": wait.detail.get("quorum")}
    record(uow, actor, Fact(facts.DECIDED_ALONE, _refs(wait, run), body, {"ask": ask, "reason": reason}))
    task = {
        "title": f"Look at what {actor.name} decided alone",
        "instructions": (
            f"> {ask}\n\nNobody else answered in time, so {actor.name} went on alone: {reason}\n\nRead what was done on the page of the "
            "run. Would you have agreed? Write yes or no and why; if no, take it back today. Somebody else does this, not they."
        ),
        "assign": "role:manager", "due": 86_400, "purpose": "alone",
        "form": in_order({
            "type": "object",
            "required": ["agreed", "because"],
            "properties": {
                "agreed": {"type": "string", "title": "Would you have agreed?", "enum": ["yes", "no"]},
                "because": {"type": "string", "title": "Because"},
            },
        }),
    }  # fmt: skip
    _ask(uow, actor, wait, run, "task", task)


def vote_of(uow: UnitOfWork, wait_id: UUID, user_id: UUID) -> Vote | None:
    """What this person has said already."""
    return uow.scalar(select(Vote).where(Vote.wait_id == wait_id, Vote.user_id == user_id))


def _refs(wait: Wait, run: PlaybookRun) -> tuple[Ref, ...]:
    return (run.ref, run.subject, Ref("step", str(wait.attempt_id)))


def _ask(
    uow: UnitOfWork, actor: Actor, wait: Wait, run: PlaybookRun, port: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Ask a port for something in the name of the step that waits."""
    given = ports.current()
    perform = given.perform.get(port)
    if perform is None or wait.attempt_id is None:
        return {}
    request = ports.Request(
        actor=actor, run_id=run.id, step_id=wait.attempt_id, subject=run.subject, facts=given.facts(uow, run.subject),
        key=f"second:{wait.id}", title=run.name, arguments=arguments,
    )  # fmt: skip
    return dict(perform(uow, request))
