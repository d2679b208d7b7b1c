"""Tasks: ticking, completing with a form, skipping with a reason, adding one by hand."""

from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy import select

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import NotFound
from incidents import tasks
from incidents.models import Incident, Task
from incidents.tasks import TaskDraft
from incidents.visibility import belongs_to_visible, visible_to
from web.forms import answers
from web.languages import gettext as _
from web.pages import then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


def _task(actor: Actor, task_id: UUID) -> tuple[Task, str]:
    """A task the actor may see, and its incident's key."""
    with reading() as session:
        row = session.execute(
            select(Task, Incident.key)
            .join(Incident, Incident.id == Task.incident_id)
            .where(Task.id == task_id, belongs_to_visible(actor, Task.incident_id))
        ).one_or_none()
    if row is None:
        raise NotFound(_("There is no such task, or you may not see it."))
    return row[0], row[1]


@router.post("/tasks/{task_id}/tick")
def tick(form: Form, task_id: UUID, actor: Actor = allowed("task.work")) -> Response:
    """Tick or untick one item of the checklist."""
    _found, key = _task(actor, task_id)
    item = form.get("item")
    with unit_of_work() as uow:
        tasks.tick(uow, actor, task_id, int(item) if item.isdecimal() else -1, form.flag("done"))
    return then(f"/incidents/{key}")


@router.post("/tasks/{task_id}/complete")
def complete(form: Form, task_id: UUID, actor: Actor = allowed("task.work")) -> Response:
    """Say that a task is done."""
    task, key = _task(actor, task_id)
    given = answers(task.form, form.starting("answer."))
    with unit_of_work() as uow:
        tasks.complete(uow, actor, task_id, given)
    return then(f"/incidents/{key}", _("Done: %(title)s") % {"title": task.title})


@router.post("/tasks/{task_id}/skip")
def skip(form: Form, task_id: UUID, actor: Actor = allowed("task.work")) -> Response:
    """Say that a task will not be done, and why."""
    _found, key = _task(actor, task_id)
    with unit_of_work() as uow:
        tasks.skip(uow, actor, task_id, form.get("reason"))
    return then(f"/incidents/{key}")


@router.post("/incidents/{key}/tasks")
def create(form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Add a task by hand."""
    with reading() as session:
        incident_id = session.scalar(select(Incident.id).where(Incident.key == key, visible_to(actor)))
    if incident_id is None:
        raise NotFound(_("There is no such incident, or you may not see it."))
    checklist = [line.strip(" -*") for line in form.get("checklist").splitlines() if line.strip(" -*")]
    draft = TaskDraft(
        title=form.get("title"),
        assign=form.get("assign") or None,
        due_at=form.instant("due"),
        checklist=checklist,
    )
    with unit_of_work() as uow:
        tasks.create(uow, actor, incident_id, draft)
    return then(f"/incidents/{key}")
