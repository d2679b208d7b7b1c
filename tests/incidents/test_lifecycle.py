"""What people do with an incident, the gate it passes when closed, and what the journal tells of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from core import journal
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from core.journal import Fact
from core.types import Ref, Severity
from incident_bench import ANN, READER, incident, opened
from incident_bench import verbs as told
from incidents import closing, lifecycle, milestones, tasks
from incidents.closing import Closing
from incidents.lifecycle import IncidentDraft
from incidents.models import Incident
from notify.facts import PAGE_ACKNOWLEDGED


def now(of: Incident) -> Incident:
    return incident(of.id)


def verbs(of: Incident) -> list[str]:
    return told("incident", of.id)


def reached(of: Incident) -> dict[str, Any]:
    with reading() as session:
        return {kind: row.at for kind, row in milestones.in_force(session, of.id).items()}


def test_opened_by_hand(database: object, clock: Any) -> None:
    case = opened(
        severity=Severity.high,
        observables=[("auto", "203.0.113.9")],
        confirmation="suspected",
        tags=["theft"],
    )
    assert (case.key, case.stage, case.priority, case.trust) == ("INC-2026-000001", "new", "p2", "high")
    assert now(case).confirmation == "suspected"
    assert verbs(case) == ["observable.added", "incident.confirmation_changed", "incident.opened"]
    assert reached(case) == {"reported": clock.now}


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"title": " "}, "title"), ({"kind": "party"}, "kind"), ({"tlp": "purple"}, "tlp"), ({"tags": ["x" * 101]}, "tags"),
        ({"category": "nope"}, "category"), ({"team_id": UUID(int=5)}, "team_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_says_why(sqlite_database: object, values: dict, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        opened(**values)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_change_is_told_with_before_and_after(database: object, clock: Any) -> None:
    case = opened()
    with unit_of_work() as uow:
        lifecycle.change(
            uow, ANN, case.id, {"category": "policy", "title": "Two laptops", "tags": ["a"]}, version=1
        )
    assert (now(case).category, now(case).version) == ("policy", 2)
    with reading() as session:
        entry = journal.entries(session, ref=case.ref)[0]
    assert entry.body == {"category": {"from": None, "to": "policy"}}
    assert entry.data == {
        "title": {"from": "A laptop is gone", "to": "Two laptops"},
        "tags": {"from": [], "to": ["a"]},
    }
    with unit_of_work() as uow, pytest.raises(Stale):
        lifecycle.change(uow, ANN, case.id, {"category": "other"}, version=1)
    with unit_of_work() as uow, pytest.raises(Invalid):
        lifecycle.change(uow, ANN, case.id, {"closed_at": None})


def test_overriding_the_severity_needs_a_reason_and_holds(database: object, clock: Any) -> None:
    case = opened(severity=Severity.low)
    with unit_of_work() as uow, pytest.raises(Invalid, match="Say why"):
        lifecycle.change(uow, ANN, case.id, {"severity": "critical"})
    with unit_of_work() as uow:
        lifecycle.change(uow, ANN, case.id, {"severity": "critical"}, reason="It is the CEO's.")
    assert (now(case).severity, now(case).severity_reason) == ("critical", "It is the CEO's.")
    assert verbs(case)[:2] == ["incident.changed", "incident.severity_raised"]


def test_stages_go_forth_and_back_and_leave_milestones(database: object, clock: Any) -> None:
    case = opened()
    for stage in ("triage", "contain", "investigate", "contain", "eradicate", "recover", "review"):
        clock.advance(minutes=10)
        with unit_of_work() as uow:
            lifecycle.move(uow, ANN, case.id, stage)
    start = now(case).opened_at
    assert {kind: (at - start) // timedelta(minutes=1) for kind, at in reached(case).items()} == {
        "reported": 0, "acknowledged": 10, "contained": 50, "eradicated": 60, "recovered": 70,
    }  # fmt: skip
    assert verbs(case).count("incident.stage_changed") == 7
    with reading() as session:
        times = milestones.times(milestones.in_force(session, case.id))
    assert (times.to_acknowledge, times.to_contain) == (timedelta(minutes=10), timedelta(minutes=50))
    assert times.to_detect is None  # not known, not zero
    with unit_of_work() as uow, pytest.raises(Invalid, match="use close"):
        lifecycle.move(uow, ANN, case.id, "closed")


def test_a_corrected_milestone_supersedes(database: object, clock: Any) -> None:
    case = opened()
    was = clock.now - timedelta(days=3)
    with unit_of_work() as uow:
        milestones.correct(uow, ANN, case.id, "first_malicious", was, precision="hour", reason="proxy log")
    clock.advance(minutes=1)
    with unit_of_work() as uow:
        milestones.correct(
            uow, ANN, case.id, "first_malicious", was - timedelta(hours=1), precision="hour", reason="VPN log"
        )
    assert reached(case)["first_malicious"] == was - timedelta(hours=1)
    with reading() as session:
        assert milestones.times(milestones.in_force(session, case.id)).to_detect == timedelta(days=3, hours=1)


def test_an_acknowledged_page_acknowledges_the_incident(database: object, clock: Any, drain: Any) -> None:
    case = opened()
    clock.advance(minutes=3)
    with unit_of_work() as uow:
        journal.record(uow, ANN, Fact(PAGE_ACKNOWLEDGED, (Ref("page", "1"), case.ref)))
    drain("core.outbox")
    assert reached(case)["acknowledged"] == clock.now


def test_assigning_waiting_and_confirming(database: object, clock: Any) -> None:
    case = opened()
    with unit_of_work() as uow:
        lifecycle.assign(uow, ANN, case.id, ANN.user_id)
        lifecycle.wait_on(uow, ANN, case.id, "vendor")
        lifecycle.confirm(uow, ANN, case.id, "declared", because="personal data left")
    found = now(case)
    assert (found.owner_id, found.waiting_on, found.confirmation) == (ANN.user_id, "vendor", "declared")
    assert (found.confirmed_by, found.confirmed_because, found.confirmed_at) == (
        "Ann",
        "personal data left",
        clock.now,
    )
    with unit_of_work() as uow, pytest.raises(Invalid, match="criterion"):
        lifecycle.confirm(uow, ANN, case.id, "suspected", because=" ")
    assert verbs(case)[:3] == [
        "incident.confirmation_changed",
        "incident.waiting_changed",
        "incident.owner_changed",
    ]


def test_a_false_positive_closes_with_its_reason_alone(database: object, clock: Any) -> None:
    case = opened(severity=Severity.critical)
    with unit_of_work() as uow:
        closing.close(uow, ANN, case.id, Closing("false_positive", "The rule reads the wrong field."))
    found = now(case)
    assert (found.stage, found.confirmation, found.closed_by) == ("closed", "not_an_incident", "Ann")
    assert found.closed_at == clock.now
    with unit_of_work() as uow, pytest.raises(Conflict, match="closed already"):
        closing.close(uow, ANN, case.id, Closing("false_positive"))


def test_a_serious_true_positive_cannot_slip_past_the_gate_undecided(database: object, clock: Any) -> None:
    case = opened(severity=Severity.high)
    with unit_of_work() as uow, pytest.raises(Invalid) as caught:
        closing.close(uow, ANN, case.id, Closing("true_positive", "s", "r"))
    assert [problem.path for problem in caught.value.problems] == ["confirmation"]
    lesser = opened(severity=Severity.low)
    with unit_of_work() as uow:
        closing.close(uow, ANN, lesser.id, Closing("true_positive"))


def test_a_declared_serious_incident_needs_everything(database: object, clock: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(closing, "_checks", {})
    closing.register_close_check("obligations", lambda _session, _incident: ["NIS2 has no answer."])
    case = opened(severity=Severity.high)
    with unit_of_work() as uow:
        lifecycle.confirm(uow, ANN, case.id, "declared", because="data left")
        tasks.create(uow, ANN, case.id, tasks.TaskDraft("Tell the owner"))
    with unit_of_work() as uow, pytest.raises(Invalid) as caught:
        closing.close(uow, ANN, case.id, Closing("true_positive"))
    assert [problem.path for problem in caught.value.problems] == [
        "summary",
        "root_cause",
        "tasks",
        "obligations",
    ]
    with unit_of_work() as uow, pytest.raises(Invalid) as caught:
        closing.close(uow, ANN, case.id, Closing("false_positive", "s", "r"))
    assert caught.value.problems[0].path == "confirmation"
    monkeypatch.setattr(closing, "_checks", {})
    with unit_of_work() as uow:
        (task,) = uow.query(tasks.Task).all()
        tasks.skip(uow, ANN, task.id, "They know.")
        closing.close(uow, ANN, case.id, Closing("true_positive", "It was stolen.", "An open door."))
    assert (now(case).root_cause, now(case).disposition) == ("An open door.", "true_positive")
    assert reached(case)["closed"] == clock.now


def test_closing_skips_what_is_open_and_reopening_needs_a_reason(database: object, clock: Any) -> None:
    case = opened()
    with unit_of_work() as uow:
        task = tasks.create(uow, ANN, case.id, tasks.TaskDraft("Look"))
        closing.close(uow, ANN, case.id, Closing("benign_expected"))
    with reading() as session:
        found = session.get(tasks.Task, task.id)
        assert found is not None
        assert (found.status, found.reason) == ("skipped", "The incident was closed.")
    with unit_of_work() as uow, pytest.raises(Invalid, match="Say why"):
        closing.reopen(uow, ANN, case.id, reason="")
    with unit_of_work() as uow:
        closing.reopen(uow, ANN, case.id, reason="It was not.")
    assert (now(case).stage, now(case).closed_at, now(case).disposition) == ("investigate", None, None)
    assert verbs(case)[:2] == ["incident.reopened", "incident.closed"]


def test_permission_is_asked_for(sqlite_database: object) -> None:
    case = opened()
    for act in (
        lambda uow: lifecycle.change(uow, READER, case.id, {"title": "x"}),
        lambda uow: lifecycle.move(uow, READER, case.id, "triage"),
        lambda uow: lifecycle.assign(uow, READER, case.id, None),
        lambda uow: lifecycle.confirm(uow, READER, case.id, "declared", because="x"),
        lambda uow: lifecycle.wait_on(uow, READER, case.id, None),
        lambda uow: lifecycle.restrict(uow, READER, case.id, None),
        lambda uow: lifecycle.open_by_hand(uow, READER, IncidentDraft("x")),
        lambda uow: closing.close(uow, READER, case.id, Closing("duplicate")),
        lambda uow: closing.reopen(uow, READER, case.id, reason="x"),
    ):
        with unit_of_work() as uow, pytest.raises(Forbidden):
            act(uow)


def test_what_does_not_exist_is_not_found(sqlite_database: object) -> None:
    with unit_of_work() as uow, pytest.raises(NotFound):
        lifecycle.move(uow, SYSTEM, UUID(int=404), "triage")
