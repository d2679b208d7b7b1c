"""What counts as doing something about an incident that somebody was paged for, and what does not."""

from collections.abc import Callable
from uuid import UUID

import pytest
from held_time import HeldClock

from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.types import Ref, Severity
from incident_bench import ANN, BOB, opened
from incidents import closing, comments, following, lifecycle, tasks
from incidents.closing import Closing
from incidents.tasks import TaskDraft
from incidents.working import worked_on

pytestmark = pytest.mark.usefixtures("clock")
PROGRAM = Actor(ActorKind.token, str(UUID(int=11)), "chat bridge", ANN.permissions)


def a_task(incident: UUID) -> UUID:
    with unit_of_work() as uow:
        return tasks.create(uow, SYSTEM, incident, TaskDraft("Phone the user", checklist=["who"])).id


WORK: dict[str, Callable[..., object]] = {
    "a note": lambda uow, incident, _task: comments.add(uow, BOB, incident, "I look at it"),
    "a tick": lambda uow, _incident, task: tasks.tick(uow, BOB, task, 0),
    "a task done": lambda uow, _incident, task: tasks.complete(uow, BOB, task),
    "another stage": lambda uow, incident, _task: lifecycle.move(uow, BOB, incident, "triage"),
    "an owner": lambda uow, incident, _task: lifecycle.assign(uow, BOB, incident, BOB.user_id),
    "closing it": lambda uow, incident, _task: closing.close(uow, BOB, incident, Closing("false_positive")),
}
NO_WORK: dict[str, Callable[..., object]] = {
    "nothing": lambda _uow, _incident, _task: None,
    "watching it": lambda uow, incident, _task: following.watch(uow, BOB, incident),
    "a program's note": lambda uow, incident, _task: comments.add(uow, PROGRAM, incident, "a message was read"),
    "a playbook's task": lambda uow, incident, _task: tasks.create(uow, SYSTEM, incident, TaskDraft("Look")),
}


@pytest.mark.parametrize("what", [*WORK, *NO_WORK])
def test_what_is_work(database: object, clock: HeldClock, what: str) -> None:
    incident = opened(severity=Severity.high)
    task = a_task(incident.id)
    since = clock.now
    clock.advance(seconds=20)
    with unit_of_work() as uow:
        (WORK | NO_WORK)[what](uow, incident.id, task)
    with reading() as session:
        assert worked_on(session, incident.ref, since) is (what in WORK)
        if what != "closing it":
            assert not worked_on(session, incident.ref, clock.now)


def test_what_is_no_incident_needs_no_work(sqlite_database: object, clock: HeldClock) -> None:
    with reading() as session:
        assert worked_on(session, Ref("work", "parked"), clock.now)
        assert worked_on(session, Ref("incident", str(UUID(int=99))), clock.now)
        assert worked_on(session, Ref("incident", "nonsense"), clock.now)
