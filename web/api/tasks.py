"""Tasks over the API: list, read, create, tick, complete, skip."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from core.actors import Actor
from core.db import reading, unit_of_work
from incidents import queries, tasks
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])


class TaskOut(Shape):
    """Something that somebody has to do for an incident."""

    id: UUID
    created_at: datetime
    incident_id: UUID
    title: str
    instructions: str
    status: str
    urgent: bool
    assign: str | None
    assignee_id: UUID | None
    assignee_role: str | None
    due_at: datetime | None
    checklist: list[dict[str, Any]]
    form: dict[str, Any] | None
    answers: dict[str, Any] | None
    ended_at: datetime | None
    ended_by: str | None
    reason: str | None


class TaskIn(Shape):
    """A task to create; `incident` is a key or an id, `assign` one of owner, user:<id>, role:<role>, on_call:<schedule>."""

    incident: str
    title: str = Field(min_length=1, max_length=500)
    instructions: str = Field(default="", max_length=50_000)
    assign: str | None = None
    due_at: datetime | None = None
    checklist: list[str] = []
    form: dict[str, Any] | None = None


class Tick(Shape):
    """An item of the checklist, counted from 0."""

    item: int
    done: bool = True


class Completion(Shape):
    """The answers of the task's form."""

    answers: dict[str, Any] = {}


class Skip(Shape):
    """Why it will not be done."""

    reason: str


@router.get("")
def list_tasks(
    incident: UUID | None = None,
    status: Annotated[str | None, Query(pattern="^(open|done|skipped)$")] = "open",
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[TaskOut]:
    """Tasks, newest first."""
    with reading() as session:
        page = queries.tasks(session, actor, incident=incident, status=status, before=after, limit=limit)
    return Listing(items=rows(page.items, TaskOut), next=page.next)


@router.post("", status_code=201)
def create_task(draft: TaskIn, actor: Actor = may("incident.edit")) -> TaskOut:
    """Give somebody something to do."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, draft.incident)
        given = draft.model_dump(exclude={"incident"})
        return TaskOut.model_validate(tasks.create(uow, actor, incident.id, tasks.TaskDraft(**given)))


@router.get("/{task_id}")
def read_task(task_id: UUID, actor: Actor = may("incident.read")) -> TaskOut:
    """One task."""
    with reading() as session:
        return TaskOut.model_validate(queries.task(session, actor, task_id))


@router.post("/{task_id}/tick")
def tick_task(task_id: UUID, item: Tick, actor: Actor = may("task.work")) -> TaskOut:
    """Tick or untick an item of its checklist."""
    with unit_of_work() as uow:
        return TaskOut.model_validate(tasks.tick(uow, actor, task_id, item.item, item.done))


@router.post("/{task_id}/complete")
def complete_task(task_id: UUID, end: Completion, actor: Actor = may("task.work")) -> TaskOut:
    """Say that it is done; 422 lists what is wrong with the answers."""
    with unit_of_work() as uow:
        return TaskOut.model_validate(tasks.complete(uow, actor, task_id, end.answers))


@router.post("/{task_id}/skip")
def skip_task(task_id: UUID, end: Skip, actor: Actor = may("task.work")) -> TaskOut:
    """Say that it will not be done, and why."""
    with unit_of_work() as uow:
        return TaskOut.model_validate(tasks.skip(uow, actor, task_id, end.reason))
