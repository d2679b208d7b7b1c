"""Takes the call of somebody outside to the step that waits for it, or keeps it until the step does."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from core import callbacks
from core.actors import Actor, ActorKind
from core.db import UnitOfWork
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.journal import Fact, record
from core.types import Ref
from playbooks import facts, runs, storing
from playbooks.models import PlaybookRun, Wait
from playbooks.state import RUN_ENDED

OUTSIDE = Actor(ActorKind.source, "callback", "Somebody outside")


def answer(uow: UnitOfWork, token: str, payload: Any) -> UUID:
    """Somebody outside called back with the token of a `wait: {callback: true}`; gives the id of the run that hears it.

    An address works once. A call that comes before its step waits is kept, because few products call twice: the
    step that told the address ends a moment later than the product may answer. A run that was taken up again hears
    the calls of the one before. Raises NotFound for a token that is not ours, Conflict when it comes too late.
    """
    run_id, where = callbacks.read(token)
    run = _newest(uow, run_id)
    if run is None:
        raise NotFound("Nothing waits for this call: its playbook is not here any more.")
    ref = callbacks.ref(where)
    known = uow.scalars(select(Wait).where(Wait.run_id == run.id, Wait.ref == ref).order_by(Wait.id)).all()
    if any(wait.answered_at is not None for wait in known):
        raise Conflict("This address works once, and it has been called already.")
    waiting = next((wait for wait in known if wait.closed_at is None), None)
    if run.state in RUN_ENDED or (known and waiting is None):
        raise Conflict("This call comes too late: the playbook has gone on without it.")
    said = {"payload": storing.storable(payload), "by": []}
    if waiting is not None:
        runs.finish_wait(uow, waiting.id, run.id, "callback", said)
    else:
        early = {"event": "callback", "data": said}
        uow.add(
            Wait(
                id=new_id(),
                created_at=uow.now,
                run_id=run.id,
                kind="callback",
                ref=ref,
                answered_at=uow.now,
                answer=early,
            )
        )
        uow.flush()
    refs = [run.ref, run.subject, *([Ref("step", str(waiting.attempt_id))] if waiting else [])]
    record(uow, OUTSIDE, Fact(facts.STEP_CALLED_BACK, tuple(refs), {"early": waiting is None}))
    return run.id


def _newest(uow: UnitOfWork, run_id: UUID) -> PlaybookRun | None:
    """The run, or the one that took it up again, its row taken: a worker about to wait must see what is kept here."""
    found: PlaybookRun | None = None
    query = select(PlaybookRun.id).where(PlaybookRun.id == run_id)
    while (following := uow.scalar(query)) is not None:
        locked = select(PlaybookRun).where(PlaybookRun.id == following).with_for_update()
        found = uow.scalar(locked.execution_options(populate_existing=True))
        query = (
            select(PlaybookRun.id)
            .where(PlaybookRun.forked_from == following)
            .order_by(PlaybookRun.created_at.desc(), PlaybookRun.id.desc())
            .limit(1)
        )
    return found
