"""Tasks: created once, ticked, completed with checked answers, skipped with a reason."""

from typing import Any
from uuid import UUID

import pytest

from core import journal
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid
from core.types import Ref
from incident_bench import ANN, READER, opened
from incidents import lifecycle, queries, tasks
from incidents.lifecycle import IncidentDraft
from incidents.models import Task
from incidents.tasks import TaskDraft

FORM = {
    "type": "object",
    "properties": {"typed_password": {"type": "boolean"}, "mails": {"type": "integer", "minimum": 0}},
    "required": ["typed_password"],
    "additionalProperties": False,
}


def made(**values: Any) -> Task:
    case = opened()
    with unit_of_work() as uow:
        return tasks.create(uow, SYSTEM, case.id, TaskDraft(**({"title": "Phone them"} | values)))


def now(of: Task) -> Task:
    with reading() as session:
        return queries.task(session, SYSTEM, of.id)


def test_a_step_that_asks_twice_gets_the_same_task(database: object, clock: Any) -> None:
    case = opened()
    draft = TaskDraft("Phone them", origin=Ref("step", "run1:talk"))
    with unit_of_work() as uow:
        first = tasks.create(uow, SYSTEM, case.id, draft)
    with unit_of_work() as uow:
        assert tasks.create(uow, SYSTEM, case.id, draft).id == first.id
    with reading() as session:
        (entry,) = journal.entries(session, ref=Ref("step", "run1:talk"))
    assert entry.verb == "task.created"
    assert entry.body["origin"] == {"kind": "step", "id": "run1:talk"}


def test_ticking(database: object, clock: Any) -> None:
    task = made(checklist=["What did you see?", "Did you type?"])
    with unit_of_work() as uow:
        tasks.tick(uow, ANN, task.id, 1)
    assert [item["done"] for item in now(task).checklist] == [False, True]
    assert now(task).checklist[1]["by"] == "Ann"
    with unit_of_work() as uow:
        tasks.tick(uow, ANN, task.id, 1, done=False)
        with pytest.raises(Invalid, match="no number 3"):
            tasks.tick(uow, ANN, task.id, 2)
    assert [item["done"] for item in now(task).checklist] == [False, False]


def test_answers_are_checked(database: object, clock: Any) -> None:
    task = made(form=FORM)
    for answers, path in (
        ({}, "typed_password"),
        ({"typed_password": "yes"}, "typed_password"),
        ({"typed_password": True, "mails": -1}, "mails"),
    ):
        with unit_of_work() as uow, pytest.raises(Invalid) as caught:
            tasks.complete(uow, ANN, task.id, answers)
        assert [problem.path for problem in caught.value.problems] == [path]
    with unit_of_work() as uow:
        tasks.complete(uow, ANN, task.id, {"typed_password": True})
    found = now(task)
    assert (found.status, found.answers, found.ended_by, found.ended_at) == (
        "done",
        {"typed_password": True},
        "Ann",
        clock.now,
    )
    with unit_of_work() as uow, pytest.raises(Conflict, match="done already; Ann said so"):
        tasks.skip(uow, ANN, task.id, "late")
    with reading() as session:
        entry = journal.entries(session, ref=task.ref)[0]
    assert entry.verb == "task.completed"
    assert entry.data == {"title": "Phone them", "answers": {"typed_password": True}}


def test_skipping_needs_a_reason(database: object, clock: Any) -> None:
    task = made()
    with unit_of_work() as uow, pytest.raises(Invalid, match="Say why"):
        tasks.skip(uow, ANN, task.id, " ")
    with unit_of_work() as uow:
        tasks.skip(uow, ANN, task.id, "Nobody clicked.")
    assert (now(task).status, now(task).reason) == ("skipped", "Nobody clicked.")


@pytest.mark.parametrize(
    ("assign", "assignee", "role"),
    [
        ("user:" + str(UUID(int=7)), UUID(int=7), None),
        ("role:responder", None, "responder"),
        ("on_call:soc", None, None),
    ],
)
def test_assigning(
    database: object, clock: Any, assign: str, assignee: UUID | None, role: str | None
) -> None:
    task = made()
    with unit_of_work() as uow:
        tasks.reassign(uow, ANN, task.id, assign)
    assert (now(task).assign, now(task).assignee_id, now(task).assignee_role) == (assign, assignee, role)


def test_what_cannot_be_asked_for(sqlite_database: object) -> None:
    for values in (
        {"title": ""},
        {"form": {"type": "array"}},
        {"form": {"type": 3}},
        {"assign": "bob"},
        {"assign": "user:bob"},
    ):
        with pytest.raises(Invalid):
            made(**values)


def test_my_tasks(database: object, clock: Any) -> None:
    case = opened()
    with unit_of_work() as uow:
        lifecycle.assign(uow, ANN, case.id, ANN.user_id)
        for title, assign in (
            ("a", "user:" + ANN.id),
            ("b", "role:responder"),
            ("c", None),
            ("d", "role:manager"),
            ("e", "owner"),
        ):
            tasks.create(uow, SYSTEM, case.id, TaskDraft(title, assign=assign))
    with reading() as session:
        mine = queries.tasks(session, ANN, mine=True, roles=["responder"])
        everything = queries.tasks(session, ANN)
    assert sorted(task.title for task in mine.items) == ["a", "b", "c", "e"]
    assert len(everything.items) == 5


def test_permission_is_asked_for(sqlite_database: object) -> None:
    task = made()
    for act in (
        lambda uow: tasks.create(uow, READER, task.incident_id, TaskDraft("x")),
        lambda uow: tasks.tick(uow, READER, task.id, 0),
        lambda uow: tasks.complete(uow, READER, task.id),
        lambda uow: tasks.skip(uow, READER, task.id, "x"),
        lambda uow: tasks.reassign(uow, READER, task.id, None),
        lambda uow: tasks.change(uow, READER, task.id, urgent=True),
        lambda uow: lifecycle.open_by_hand(uow, READER, IncidentDraft("x")),
    ):
        with unit_of_work() as uow, pytest.raises(Forbidden):
            act(uow)
