"""Playbook runs over the API: list, read with their steps, start, cancel, and calls back from outside."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import Field
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound, TooLarge
from core.types import Ref
from incidents import queries
from incidents.paging import page
from incidents.visibility import visible_refs
from playbooks import calling_back, runs
from playbooks.models import PlaybookRun, StepAttempt, Wait
from web.calling import may
from web.security import open_to_all
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])

ITS_OWN_PROOF = "the unguessable token in the address is the proof; it works once"


class RunOut(Shape):
    """One run of a playbook, pinned to the version it started with."""

    id: UUID
    created_at: datetime
    playbook: str
    version_id: UUID
    name: str
    mode: str
    state: str
    reason: str | None
    subject_kind: str
    subject_id: str
    started_by: str
    started_at: datetime | None
    ended_at: datetime | None


class StepOut(Shape):
    """One attempt at one step."""

    id: UUID
    path: str
    iteration: str
    attempt: int
    state: str
    started_at: datetime
    ended_at: datetime | None
    output: Any
    error: str | None
    by: list[str]


class WaitOut(Shape):
    """Something the run waits for."""

    id: UUID
    attempt_id: UUID
    kind: str
    due_at: datetime | None
    created_at: datetime


class RunWithSteps(RunOut):
    """A run with its steps in the order they began, and what it waits for now."""

    steps: list[StepOut]
    waits: list[WaitOut]


class RunIn(Shape):
    """A playbook to start on an incident (a key or an id)."""

    playbook: str
    incident: str
    inputs: dict[str, Any] = {}


class Cancel(Shape):
    """Why the run is stopped."""

    reason: str = Field(min_length=1, max_length=2000)


@router.get("")
def list_runs(
    incident: str | None = None,
    playbook: str | None = None,
    state: Annotated[list[str], Query()] = [],
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("playbook.read"),
) -> Listing[RunOut]:
    """Runs, newest first; those on incidents that the actor may not see are left out."""
    query = select(PlaybookRun)
    with reading() as session:
        if incident is not None:
            found = queries.incident(session, actor, incident)
            query = query.where(
                PlaybookRun.subject_kind == "incident", PlaybookRun.subject_id == str(found.id)
            )
        if playbook is not None:
            query = query.where(PlaybookRun.playbook == playbook)
        if state:
            query = query.where(or_(*(PlaybookRun.state == one for one in state)))
        listed = page(session, query, PlaybookRun, before=after, limit=limit)
        seen = visible_refs(session, actor, {run.subject for run in listed.items})
    return Listing(items=rows([run for run in listed.items if run.subject in seen], RunOut), next=listed.next)


@router.post("", status_code=201)
def start_run(wanted: RunIn, actor: Actor = may("playbook.start")) -> RunOut:
    """Start a playbook by hand."""
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, wanted.incident)
        made = runs.start(
            uow, actor, playbook=wanted.playbook, subject=Ref("incident", str(found.id)), inputs=wanted.inputs,
            trigger={"by": "hand"},
        )  # fmt: skip
        uow.flush()
        return RunOut.model_validate(made)


@router.get("/{run_id}")
def read_run(run_id: UUID, actor: Actor = may("playbook.read")) -> RunWithSteps:
    """One run with its steps."""
    with reading() as session:
        run = _visible(session, actor, run_id)
        steps = session.scalars(
            select(StepAttempt).where(StepAttempt.run_id == run_id).order_by(StepAttempt.id)
        ).all()
        waits = session.scalars(
            select(Wait).where(Wait.run_id == run_id, Wait.answered_at.is_(None), Wait.closed_at.is_(None))
        ).all()
    told = RunOut.model_validate(run).model_dump()
    return RunWithSteps(**told, steps=rows(steps, StepOut), waits=rows(waits, WaitOut))


@router.post("/{run_id}/cancel")
def cancel_run(run_id: UUID, why: Cancel, actor: Actor = may("playbook.start")) -> RunOut:
    """Stop a run; what it has done stays done."""
    with unit_of_work() as uow:
        _visible(uow, actor, run_id)
        made = runs.cancel(uow, actor, run_id, why.reason)
        uow.flush()
        return RunOut.model_validate(made)


class CalledBack(Shape):
    """The run that goes on."""

    run: UUID


@router.post("/callbacks/{token}", dependencies=[open_to_all(ITS_OWN_PROOF)])
async def call_back(token: str, request: Request) -> CalledBack:
    """Answer a `wait: {callback: true}` from outside, once; the JSON body becomes the step's output.

    A call that comes before the step waits is kept for it; a second one, or one too late, answers 409.
    """
    payload = await bounded_json(request)
    return CalledBack(run=await run_in_threadpool(_answered, token, payload))


async def bounded_json(request: Request, most: int = 64 * 1024) -> Any:
    """The request's JSON, at most 64 KiB. Raises TooLarge, Invalid."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooLarge(f"At most {most // 1024} KiB can be sent here.")
    if not body:
        return {}
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("The body must be JSON, and not nested as deep as this.") from None


def _answered(token: str, payload: Any) -> UUID:
    with unit_of_work() as uow:
        return calling_back.answer(uow, token, payload)


def _visible(session: Session, actor: Actor, run_id: UUID) -> PlaybookRun:
    run = session.get(PlaybookRun, run_id)
    if run is None or run.subject not in visible_refs(session, actor, {run.subject}):
        raise NotFound("There is no such run, or you may not see it.")
    return run
