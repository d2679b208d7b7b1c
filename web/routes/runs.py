"""A run, live: its drawing left, the chosen step right; stopping it and taking a failed step up again."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import holds
from connectors.models import ActionCall, SubjectHold
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import NotFound
from core.journal import entries
from incidents import queries as record
from incidents.models import Incident
from playbooks import ports, runs, storing
from playbooks.models import PlaybookRun, StepAttempt, Wait
from playbooks.plan import Step
from web import flow, response
from web.flow import Node
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed
from web.telling import Told, tell_all

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class RunPage(Page, template="run.html", rail="playbooks"):
    """One run."""

    run: PlaybookRun
    incident: Incident | None
    hold: SubjectHold | None
    nodes: list[Node]
    step: Step | None
    step_name: str  # with the values it ran with
    tries: list[StepAttempt]
    calls: dict[str, ActionCall]
    question: UUID | None
    waits: list[Wait]
    story: list[Told]
    chosen: str
    may_start: bool


def find(session: Session, actor: Actor, run_id: UUID) -> PlaybookRun:
    """A run the actor may see. Raises NotFound."""
    run = session.get(PlaybookRun, run_id)
    if run is None or not ports.current().visible(session, actor, run.subject):
        raise NotFound(_("There is no such run, or you may not see it."))
    return run


@router.get("/runs/{run_id}")
def one(request: Request, run_id: UUID, actor: Actor = allowed("playbook.read")) -> Response:
    """One run; `?step=` chooses what stands at the right, else the step it is at."""
    with reading() as session:
        run = find(session, actor, run_id)
        plan = storing.plan_of(session, run.version_id)
        attempts = list(
            session.scalars(
                select(StepAttempt)
                .where(StepAttempt.run_id == run.id)
                .order_by(StepAttempt.started_at, StepAttempt.attempt)
            )
        )
        waits = response.open_waits(session, [run.id]).get(run.id, [])
        chosen = request.query_params.get("step", "")
        if chosen not in plan.steps:
            chosen = _present(attempts)
        tries = [attempt for attempt in attempts if attempt.path == chosen]
        ids = {str(attempt.id) for attempt in tries}
        question = next(
            (wait.id for wait in waits if wait.kind == "approval" and str(wait.attempt_id) in ids), None
        )
        calls = _calls(session, run, tries)
        incident = None
        if run.subject_kind == "incident":
            incident = record.incidents_by_ids(session, actor, [UUID(run.subject_id)]).get(
                UUID(run.subject_id)
            )
        page = RunPage(
            run=run,
            incident=incident,
            hold=holds.of(session, run.subject) if run.ended_at is None else None,
            nodes=flow.tree(plan, flow.latest(attempts)),
            step=plan.steps.get(chosen),
            step_name=flow.titled(plan.steps[chosen], tries) if chosen in plan.steps else "",
            tries=tries[-20:],
            calls=calls,
            question=question,
            waits=waits,
            story=tell_all(entries(session, ref=run.ref, limit=30)),
            chosen=chosen,
            may_start=actor.may("playbook.start"),
        )
    return show(request, page)


def _present(attempts: list[StepAttempt]) -> str:
    """The step a reader wants to see first: what waits or failed, else the latest."""
    for state in ("waiting", "failed", "retrying", "running"):
        here = [attempt.path for attempt in attempts if attempt.state == state]
        if here:
            return max(here, key=len)
    return attempts[-1].path if attempts else ""


def _calls(session: Session, run: PlaybookRun, tries: list[StepAttempt]) -> dict[str, ActionCall]:
    """The calls that attempts made, by the attempt's id."""
    named: dict[str, Any] = {
        str(attempt.id): attempt.detail.get("call") for attempt in tries if attempt.detail.get("call")
    }
    if not named:
        return {}
    rows = {
        str(call.id): call
        for call in session.scalars(select(ActionCall).where(ActionCall.run == str(run.id)))
    }
    return {attempt: rows[str(call)] for attempt, call in named.items() if str(call) in rows}


@router.post("/runs/{run_id}/stop")
def stop(form: Form, run_id: UUID, actor: Actor = allowed("playbook.start")) -> Response:
    """Stop it here."""
    with unit_of_work() as uow:
        runs.cancel(uow, actor, run_id, form.get("reason"))
    return then(f"/runs/{run_id}", _("Stopped. What was done stays done."))


@router.post("/runs/{run_id}/retry")
def retry(form: Form, run_id: UUID, actor: Actor = allowed("playbook.start")) -> Response:
    """Take a failed step up again, in a new run."""
    with unit_of_work() as uow:
        again = runs.retry_step(uow, actor, run_id, form.get("step"))
        new_id = again.id
    return then(f"/runs/{new_id}")
