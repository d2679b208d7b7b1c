"""What was decided about telling others: the answers to the playbooks' steps that ask whether somebody must be told."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import bulk
from core.actors import Actor
from incidents import queries
from incidents.models import Task
from playbooks.models import StepAttempt
from reports.model import Decision, Obligation

STEP = "obligations"
"""A task of a step with this id asks whether somebody must be told, in whatever playbook."""
_APPLIES = {"yes": "applies", "no": "does not apply", "not sure": "not decided"}


def of(
    session: Session, actor: Actor, incident_id: UUID, names: Mapping[UUID, str]
) -> tuple[Obligation, ...]:
    """Each question that was asked, with what was answered, by whom and why; what nobody has answered is not decided."""
    tasks = [
        task
        for task in queries.tasks(session, actor, incident=incident_id, status=None, limit=200).items
        if task.origin_kind == "step" and task.origin_id
    ]
    steps = {task.id: step for task in tasks if (step := _uuid(task.origin_id or "")) is not None}
    paths: dict[UUID, str] = {}
    if steps:
        asked = select(StepAttempt.id, StepAttempt.path).where(
            bulk.among(session, StepAttempt.id, list(steps.values()))
        )
        paths = {row.id: row.path for row in session.execute(asked)}
    return tuple(
        _told(task, names)
        for task in reversed(tasks)
        if task.id in steps and _last(paths.get(steps[task.id], "")) == STEP
    )


def decided(owed: Sequence[Obligation]) -> tuple[Decision, ...]:
    """Those that were answered, for the decision log."""
    return tuple(
        Decision(one.at, one.question, one.state, one.by, one.because or None)
        for one in owed
        if one.at is not None and one.state != "not decided"
    )


def _told(task: Task, names: Mapping[UUID, str]) -> Obligation:
    answers = task.answers or {}
    given = str(answers.get("answer", "")).strip()
    return Obligation(
        question=task.title,
        state=_APPLIES.get(given.casefold(), given or "not decided"),
        because=str(answers.get("because") or task.reason or ""),
        by=task.ended_by or (names.get(task.assignee_id, "") if task.assignee_id else ""),
        at=task.ended_at,
        due_at=task.due_at,
    )


def _last(path: str) -> str:
    return path.replace("/", ".").rpartition(".")[2]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.partition(":")[0])
    except ValueError:
        return None
