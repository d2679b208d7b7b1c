"""Schedules and policies as people enter them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from held_time import HeldClock

from core.actors import SYSTEM, Actor
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, Stale
from notify import contacts, queries
from notify.escalation import Target
from notify.models import Policy
from notify.oncall import editing
from notify.oncall.editing import RotationDraft, WindowDraft
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy, update_policy, warnings

pytestmark = pytest.mark.usefixtures("database", "clock")
STARTS = datetime(2026, 3, 2, 9)


def person(name: str) -> Actor:
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=f"{name}@example.org", name=name.title(), roles=["responder"])
        return users.actor_of(user)


def schedule(*people: Actor, windows: tuple[WindowDraft, ...] = ()) -> UUID:
    ids = tuple(UUID(one.id) for one in people)
    with unit_of_work() as uow:
        rotation = RotationDraft("Base", ids, STARTS, "daily", windows=windows)
        return editing.create_schedule(uow, SYSTEM, name="soc", zone="Europe/Madrid", rotations=[rotation]).id


def test_who_is_on_call_now_and_next(clock: HeldClock) -> None:
    ana, bea = person("ana"), person("bea")
    schedule(ana, bea)
    clock.hold(datetime(2026, 3, 28, 9, tzinfo=UTC))  # the night before the clocks change
    with reading() as session:
        [now] = queries.on_call_now(session, clock.now)
    assert (now.user_name, now.next_user_name) == ("Ana", "Bea")
    assert now.until == datetime(2026, 3, 29, 7, tzinfo=UTC)


def test_overrides_are_for_those_concerned(clock: HeldClock) -> None:
    ana, bea, eve = person("ana"), person("bea"), person("eve")
    number = schedule(ana)
    tomorrow = datetime(2026, 3, 3, 12)
    with unit_of_work() as uow, pytest.raises(Forbidden):
        editing.override(
            uow, eve, number, user_id=UUID(bea.id), start=tomorrow, end=tomorrow + timedelta(hours=1)
        )
    with unit_of_work() as uow:
        row = editing.override(
            uow,
            bea,
            number,
            user_id=UUID(bea.id),
            start=tomorrow,
            end=tomorrow + timedelta(hours=4),
            reason="swap",
        )
        override_id = row.id
    clock.hold(datetime(2026, 3, 3, 13, tzinfo=UTC))
    with reading() as session:
        assert queries.on_call_now(session, clock.now)[0].why == "override: swap"
    with unit_of_work() as uow:
        editing.remove_override(uow, bea, override_id)
    with reading() as session:
        assert queries.on_call_now(session, clock.now)[0].user_name == "Ana"
        assert len(queries.overrides(session, number, STARTS.replace(tzinfo=UTC))) == 1, "what was stays"


def test_times_that_do_not_exist_are_refused() -> None:
    ana = person("ana")
    number = schedule(ana)
    start = datetime(2026, 3, 29, 2, 30)
    with unit_of_work() as uow, pytest.raises(Invalid) as refused:
        editing.override(uow, SYSTEM, number, user_id=uuid4(), start=start, end=start + timedelta(hours=9))
    assert "does not exist in Europe/Madrid" in refused.value.problems[0].message
    assert refused.value.problems[1].path == "user_id"


def test_a_schedule_tells_every_problem() -> None:
    windows = (WindowDraft((9,), "25:00"),)
    draft = RotationDraft(" ", (), STARTS, "monthly", 0, windows=windows)
    with unit_of_work() as uow, pytest.raises(Invalid) as refused:
        editing.create_schedule(uow, SYSTEM, name="", zone="Mars/Olympus", rotations=[draft])
    assert {p.path for p in refused.value.problems} == {
        "name", "zone", "rotations.0.name", "rotations.0.kind", "rotations.0.every", "rotations.0.people",
        "rotations.0.windows.0", "rotations.0.windows.0.weekdays",
    }  # fmt: skip


def test_saving_over_somebody_elses_change_is_refused() -> None:
    number = schedule(person("ana"))
    with unit_of_work() as uow, pytest.raises(Stale):
        editing.update_schedule(uow, SYSTEM, number, name="soc", zone="UTC", version=99)
    with unit_of_work() as uow:
        changed = editing.update_schedule(uow, SYSTEM, number, name="soc", zone="UTC", version=1)
        assert changed.zone == "UTC"
    with reading() as session:
        assert queries.rotations(session, number) == []


def test_a_policy_needs_steps_people_and_a_catch_all() -> None:
    step = StepDraft((Target("user", str(uuid4())), Target("bird", "x")), 5)
    with unit_of_work() as uow, pytest.raises(Invalid) as refused:
        create_policy(uow, SYSTEM, PolicyDraft("", (step,), (), 99))
    assert {p.path for p in refused.value.problems} == {
        "name", "catch_all", "repeat", "steps.0.delay", "steps.0.targets.0", "steps.0.targets.1",
    }  # fmt: skip
    assert "is needed" in next(p.message for p in refused.value.problems if p.path == "catch_all")


def test_the_first_policy_is_the_default_and_there_is_one_default() -> None:
    ana = Target("user", person("ana").id)
    with unit_of_work() as uow:
        first = create_policy(uow, SYSTEM, PolicyDraft("critical", (StepDraft((ana,)),), (ana,))).id
        create_policy(uow, SYSTEM, PolicyDraft("quiet", (StepDraft((ana,)),), (ana,)))
    with unit_of_work() as uow, pytest.raises(Conflict):
        create_policy(uow, SYSTEM, PolicyDraft("quiet", (StepDraft((ana,)),), (ana,)))
    with reading() as session:
        assert [p.name for p, _ in queries.all_policies(session) if p.is_default] == ["critical"]
    with unit_of_work() as uow:
        create_policy(uow, SYSTEM, PolicyDraft("loud", (StepDraft((ana,)),), (ana,), is_default=True))
        update_policy(
            uow, SYSTEM, first, PolicyDraft("critical", (StepDraft((ana,)), StepDraft((ana,))), (ana,))
        )
    with reading() as session:
        assert [p.name for p, _ in queries.all_policies(session) if p.is_default] == ["loud"]
        assert len(next(steps for p, steps in queries.all_policies(session) if p.name == "critical")) == 2
        assert session.get_one(Policy, first).version == 2


def test_a_schedule_in_use_stays() -> None:
    ana = person("ana")
    number = schedule(ana)
    target = Target("schedule", str(number))
    with unit_of_work() as uow:
        create_policy(
            uow, SYSTEM, PolicyDraft("critical", (StepDraft((target,)),), (Target("user", ana.id),))
        )
    with unit_of_work() as uow, pytest.raises(Conflict, match="critical"):
        editing.delete_schedule(uow, SYSTEM, number)


def test_warnings_say_who_would_not_be_reached(clock: HeldClock) -> None:
    ana, bea = person("ana"), person("bea")
    with unit_of_work() as uow:
        contacts.add(uow, SYSTEM, user_id=bea.user_id, channel="email", address={"to": "bea@example.org"})
    number = schedule(ana, windows=(WindowDraft((0, 1, 2, 3, 4), "09:00", "17:00"),))
    target, boss = Target("schedule", str(number)), Target("user", bea.id)
    draft = PolicyDraft("critical", (StepDraft((target,)), StepDraft((target,), 7200)), (boss,))
    with reading() as session:
        said = warnings(session, draft, now=clock.now)
    assert said[0].startswith("Step 1: nobody is on call for soc from Mon 02 Mar 16:00 UTC (and ")
    assert "Step 2 reaches the same as step 1: use repeat instead." in said
    assert "Step 2 waits 120 minutes: what comes after it comes late." in said
    assert said[-1].startswith("Ana has no contact method")
    assert not any("Bea" in sentence for sentence in said)
