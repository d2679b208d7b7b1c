"""What people have to do for an incident: tasks with a checklist and a form, asked for by hand or by a playbook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact, Verb
from core.types import Ref
from incidents import facts, form_formats
from incidents.models import Incident, Task
from incidents.permissions import EDIT, WORK_TASKS
from incidents.visibility import belongs_to_visible, visible_to

MAX_ITEMS = 100
SPEAKER = "communications"
"""Whoever has this part in the incident; the work goes over with it."""
_ASSIGNEES = ("user", "role", "on_call", "team")


@dataclass(frozen=True)
class TaskDraft:
    """A task to be created.

    assign: "owner", "communications" (who speaks for the incident, else its lead), "user:<id>", "role:<role>", "on_call:<schedule>", "team:<slug>" or None for anybody.
    form: the JSON schema (draft 2020-12) of an object; its answers are checked when the task is completed.
    origin: who asked, a step usually; a second task of the same origin is the first one. It is named in
    every fact about the task, so that who asked hears of it.
    """

    title: str
    instructions: str = ""
    assign: str | None = None
    due_at: datetime | None = None
    checklist: Sequence[str] = ()
    form: Mapping[str, Any] | None = None
    origin: Ref | None = None
    urgent: bool = False


def create(uow: UnitOfWork, actor: Actor, incident_id: UUID, draft: TaskDraft) -> Task:
    """Create a task. The same `origin` again returns the task it already has. Raises NotFound, Invalid, Conflict."""
    permissions.require(actor, EDIT.name)
    incident = uow.scalar(select(Incident).where(Incident.id == incident_id, visible_to(actor)))
    if incident is None:
        raise NotFound("There is no such incident, or you may not see it.")
    if draft.origin is not None:
        known = uow.scalar(
            select(Task).where(Task.origin_kind == draft.origin.kind, Task.origin_id == draft.origin.id)
        )
        if known is not None:
            return known
    if incident.closed_at is not None:
        raise Conflict(f"{incident.key} is closed; reopen it before you give it tasks.")
    _check(draft)
    task = Task(
        id=new_id(), created_at=uow.now, incident_id=incident_id, title=draft.title.strip()[:500],
        instructions=draft.instructions, urgent=draft.urgent, due_at=draft.due_at, status="open",
        checklist=[{"text": text, "done": False, "by": None, "at": None} for text in draft.checklist],
        form=dict(draft.form) if draft.form is not None else None,
        origin_kind=draft.origin.kind if draft.origin else None, origin_id=draft.origin.id if draft.origin else None,
    )  # fmt: skip
    _give(task, incident, draft.assign)
    uow.add(task)
    uow.flush()
    body = {
        "assign": task.assign, "due_at": task.due_at.isoformat() if task.due_at else None, "urgent": task.urgent,
        "items": len(task.checklist),
    }  # fmt: skip
    _tell(uow, actor, task, facts.TASK_CREATED, body, {"title": task.title})
    return task


def tick(uow: UnitOfWork, actor: Actor, task_id: UUID, item: int, done: bool = True) -> Task:
    """Tick (or untick) an item of the checklist, counted from 0. Raises NotFound, Conflict, Invalid."""
    permissions.require(actor, WORK_TASKS.name)
    task = _open_task(uow, actor, task_id)
    if not 0 <= item < len(task.checklist):
        raise Invalid(f"The checklist has {len(task.checklist)} items; there is no number {item + 1}.")
    entry = task.checklist[item]
    if entry["done"] != done:
        at = uow.now.isoformat() if done else None
        changed = {"text": entry["text"], "done": done, "by": actor.name if done else None, "at": at}
        task.checklist = [changed if place == item else one for place, one in enumerate(task.checklist)]
        _tell(uow, actor, task, facts.TASK_TICKED, {"item": item, "done": done}, {"text": entry["text"]})
    return task


def complete(uow: UnitOfWork, actor: Actor, task_id: UUID, answers: Mapping[str, Any] | None = None) -> Task:
    """Say that a task is done, with the answers of its form. Raises Invalid with every field that is wrong, Conflict.

    Items of the checklist need not all be ticked: what was left out stays visible.
    """
    permissions.require(actor, WORK_TASKS.name)
    task = _open_task(uow, actor, task_id)
    given = dict(answers or {})
    problems = problems_of(task.form, given) if task.form is not None else []
    if problems:
        raise Invalid(f"The form is not complete: {problems[0].path}: {problems[0].message}", problems)
    task.answers = given if task.form is not None else None
    _end(uow, actor, task, "done")
    left = sum(1 for entry in task.checklist if not entry["done"])
    _tell(
        uow,
        actor,
        task,
        facts.TASK_COMPLETED,
        {"items_left": left},
        {"title": task.title, "answers": task.answers},
    )
    return task


def skip(uow: UnitOfWork, actor: Actor, task_id: UUID, reason: str) -> Task:
    """Say that a task will not be done, and why. Raises Invalid without a reason, Conflict."""
    permissions.require(actor, WORK_TASKS.name)
    task = _open_task(uow, actor, task_id)
    if not reason.strip():
        raise Invalid("Say why the task is skipped.", [Problem("reason", "A reason is needed.")])
    task.reason = reason
    _end(uow, actor, task, "skipped")
    _tell(uow, actor, task, facts.TASK_SKIPPED, {}, {"title": task.title, "reason": reason})
    return task


def reassign(uow: UnitOfWork, actor: Actor, task_id: UUID, to: str | None) -> Task:
    """Give a task to somebody else; `to` as in TaskDraft.assign. Raises Invalid, Conflict."""
    permissions.require(actor, WORK_TASKS.name)
    task = _open_task(uow, actor, task_id)
    incident = uow.get(Incident, task.incident_id)
    assert incident is not None
    was = task.assign
    _give(task, incident, to)
    if task.assign != was:
        _tell(uow, actor, task, facts.TASK_ASSIGNED, {"from": was, "to": task.assign})
    return task


def change(
    uow: UnitOfWork,
    actor: Actor,
    task_id: UUID,
    *,
    due_at: datetime | None = None,
    urgent: bool | None = None,
) -> Task:
    """Change when a task is due, or how urgent it is."""
    permissions.require(actor, EDIT.name)
    task = _open_task(uow, actor, task_id)
    body: dict[str, Any] = {}
    if due_at is not None and due_at != task.due_at:
        body["due_at"] = {"from": task.due_at.isoformat() if task.due_at else None, "to": due_at.isoformat()}
        task.due_at = due_at
    if urgent is not None and urgent != task.urgent:
        body["urgent"], task.urgent = urgent, urgent
    if body:
        _tell(uow, actor, task, facts.TASK_CHANGED, body)
    return task


def problems_of(form: Mapping[str, Any], answers: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the answers to a form, each with the field's path."""
    import jsonschema  # it and what it brings take long to import; few requests need it

    formats = jsonschema.FormatChecker(formats=())
    for name in form_formats.FORMATS:
        formats.checks(name)(partial(form_formats.is_of, name))
    validator = jsonschema.Draft202012Validator(dict(form), format_checker=formats)
    found = []
    for error in sorted(validator.iter_errors(dict(answers)), key=lambda error: error.json_path):
        if error.validator == "required":
            missing = next((name for name in error.validator_value if name not in error.instance), "?")
            found.append(Problem(missing, "An answer is needed."))
        elif error.validator == "format":
            path = ".".join(str(part) for part in error.absolute_path)
            found.append(Problem(path, form_formats.said(str(error.validator_value), error.instance)))
        else:
            found.append(
                Problem(".".join(str(part) for part in error.absolute_path) or "form", error.message[:300])
            )
    return found


def _open_task(uow: UnitOfWork, actor: Actor, task_id: UUID) -> Task:
    query = (
        select(Task).where(Task.id == task_id, belongs_to_visible(actor, Task.incident_id)).with_for_update()
    )
    task = uow.scalar(query.execution_options(populate_existing=True))
    if task is None:
        raise NotFound("There is no such task, or you may not see it.")
    if task.status != "open":
        raise Conflict(f"This task is {task.status} already; {task.ended_by} said so.")
    return task


def _end(uow: UnitOfWork, actor: Actor, task: Task, status: str) -> None:
    task.status, task.ended_at, task.ended_by = status, uow.now, actor.name


def _give(task: Task, incident: Incident, assign: str | None) -> None:
    task.assign, task.assignee_id, task.assignee_role = assign, None, None
    if assign is None:
        return
    if assign == "owner":
        task.assignee_id = incident.owner_id
        return
    if assign == SPEAKER:
        task.assignee_id = incident.communications_id or incident.owner_id
        task.assignee_role = None if task.assignee_id else "responder"
        return
    kind, _, name = assign.partition(":")
    if kind not in _ASSIGNEES or not name:
        raise Invalid(
            f'"{assign}" is nobody: write owner, communications, user:<id>, role:<role>, on_call:<schedule> or team:<slug>.'
        )
    if kind == "user":
        try:
            task.assignee_id = UUID(name)
        except ValueError:
            raise Invalid(f'"{assign}" is nobody: a user is named by id.') from None
    elif kind == "role":
        task.assignee_role = name


def hand_over(uow: UnitOfWork, incident: Incident) -> None:
    """Give the open tasks of whoever speaks for an incident to who does so now; the fact that tells of the part tells of them."""
    theirs = (Task.incident_id == incident.id, Task.status == "open", Task.assign == SPEAKER)
    for task in uow.scalars(select(Task).where(*theirs).limit(MAX_ITEMS)):
        _give(task, incident, SPEAKER)


def _check(draft: TaskDraft) -> None:
    problems = []
    if not draft.title.strip():
        problems.append(Problem("title", "A title is needed."))
    if len(draft.checklist) > MAX_ITEMS:
        problems.append(Problem("checklist", f"A checklist has at most {MAX_ITEMS} items."))
    if draft.form is not None:
        import jsonschema  # as above

        try:
            jsonschema.Draft202012Validator.check_schema(dict(draft.form))
        except jsonschema.SchemaError as error:
            problems.append(Problem("form", f"It is not a JSON schema: {error.message[:300]}"))
        else:
            if draft.form.get("type") != "object":
                problems.append(Problem("form", "A form is the JSON schema of an object."))
    if problems:
        raise Invalid(f"The task cannot be created: {problems[0].message}", problems)


def _tell(
    uow: UnitOfWork,
    actor: Actor,
    task: Task,
    verb: Verb,
    body: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
) -> None:
    uow.flush()
    refs = [task.ref, Ref("incident", str(task.incident_id))]
    if task.origin is not None:
        refs.append(task.origin)
    origin = {"kind": task.origin.kind, "id": task.origin.id} if task.origin else None
    journal.record(uow, actor, Fact(verb, tuple(refs), {**body, "origin": origin}, data))
