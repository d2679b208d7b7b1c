"""What a timer may not take back has a person decide when its review is due: one task each time, and a quiet page."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from cli import assemble
from connectors import applied, countermeasures, registry
from connectors.models import ActionCall, Countermeasure
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.ids import new_id
from core.types import Severity
from incident_bench import ANN, opened
from incidents.models import Task
from notify.escalation import Target
from notify.models import Page
from notify.oncall import policy_editing


@pytest.fixture
def case(database: object, clock: Any) -> UUID:
    """An incident with a disabled account, and somebody on call."""
    assemble.load()
    with unit_of_work() as uow:
        person = (
            Target(
                "user",
                str(users.create(uow, SYSTEM, email="on@call.example", name="Onca", roles=["responder"]).id),
            ),
        )
        draft = policy_editing.PolicyDraft(
            name="default", description="", steps=(policy_editing.StepDraft(person, delay=300),), repeat=1, catch_all=person,
            is_default=True,
        )  # fmt: skip
        policy_editing.create_policy(uow, SYSTEM, draft)
    made = opened(severity=Severity.medium).id
    with unit_of_work() as uow:
        call = ActionCall(
            created_at=uow.now, key=str(new_id()), asked="ldap.disable_account", effect="disruptive", state="succeeded",
            subject_kind="incident", subject_id=str(made), actor_kind="person", actor_id=ANN.id, actor_name=ANN.name,
            trust="high", tlp="amber", inputs={}, entities=[["user", "ana"]], review_after_seconds=3600,
        )  # fmt: skip
        uow.add(call)
        uow.flush()
        assert applied.begin(uow, SYSTEM, call, registry.action("ldap.disable_account"))
    return made


def tasks_of(case: UUID) -> list[Task]:
    with reading() as session:
        return list(
            session.scalars(select(Task).where(Task.incident_id == case).order_by(Task.created_at, Task.id))
        )


def pages() -> list[Page]:
    with reading() as session:
        return list(session.scalars(select(Page)))


def test_a_review_that_is_due_is_a_task_and_a_quiet_page(case: UUID, clock: Any, drain: Any) -> None:
    drain()
    assert tasks_of(case) == []
    clock.advance(hours=1, seconds=1)
    drain()
    (task,) = tasks_of(case)
    assert task.title == "Keep or take back: Disable an account on ana"
    assert "**Keep**" in task.instructions
    assert (task.status, task.urgent) == ("open", False)
    assert [(page.subject_id, page.urgency) for page in pages()] == [(str(case), "low")]


def test_a_decision_ends_the_task_and_what_was_kept_comes_up_again(
    case: UUID, clock: Any, drain: Any
) -> None:
    clock.advance(hours=1, seconds=1)
    drain()
    with unit_of_work() as uow:
        row = uow.scalars(select(Countermeasure)).one()
        countermeasures.review(uow, SYSTEM, row.id, timedelta(hours=2))
    drain()
    (task,) = tasks_of(case)
    assert (task.status, task.reason) == ("skipped", "Tocsin kept it")
    clock.advance(hours=2, seconds=1)
    drain()
    assert [task.status for task in tasks_of(case)] == ["skipped", "open"]
    assert all(task.origin is not None and task.origin.kind == "countermeasure" for task in tasks_of(case))
