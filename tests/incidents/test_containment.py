"""An alert about something that was contained is an alarm, and only then."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from connectors import hand_measures, rails
from connectors.models import ActionCall, Countermeasure
from core import journal
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.ids import new_id
from core.types import Ref, Severity
from incident_bench import ANN, BOB, draft, incident, low, opened, take, verbs
from incidents import closing, containment, lifecycle
from incidents.closing import Closing
from incidents.models import Incident, Task
from notify.escalation import Target
from notify.models import Page
from notify.oncall import policy_editing
from notify.oncall.policy_editing import PolicyDraft, StepDraft
from core.errors import Invalid


def contained(of: UUID, value: str = "web01", kind: str = "host", **values: Any) -> UUID:
    """A countermeasure in force for an incident, as the door to products leaves it."""
    with unit_of_work() as uow:
        call = ActionCall(
            created_at=uow.now, key=str(new_id()), asked="edr.isolate_host", effect="disruptive", state="succeeded",
            subject_kind="incident", subject_id=str(of), actor_kind="person", actor_id=ANN.id, actor_name=ANN.name,
            trust="high", tlp="amber", inputs={},
        )  # fmt: skip
        uow.add(call)
        uow.flush()
        given = {
            "id": new_id(), "created_at": uow.now, "call_id": call.id, "subject_kind": "incident", "subject_id": str(of),
            "action": "edr.isolate_host", "entity_type": kind, "entity_value": value, "state": "active", "probes": 0,
            "fence": 0, "attempts": 0,
        }  # fmt: skip
        row = Countermeasure(**(given | values))
        uow.add(row)
        return row.id


@pytest.fixture
def case(database: object, clock: Any) -> UUID:
    made = opened().id
    with unit_of_work() as uow:
        lifecycle.move(uow, ANN, made, "contain")
    contained(made)
    clock.advance(minutes=10)
    return made


def doubts(of: UUID) -> int:
    return verbs("incident", of).count("alert.containment_doubted")


def test_it_is_told_goes_to_the_front_and_wakes(case: UUID, drain: Any) -> None:
    (done,) = take(low())
    with reading() as session:
        (entry,) = journal.entries(
            session, ref=Ref("incident", str(case)), verbs=["alert.containment_doubted"]
        )
    assert entry.ref("alert") == str(done.alert_id)
    assert entry.body["incident"] == str(case)
    assert entry.data == {"type": "host", "value": "web01"}
    drain("core.outbox")
    assert incident(case).priority == "p1"


@pytest.mark.parametrize("restricted", [True, False])
def test_another_incident_is_not_told_what_was_done_for_a_restricted_one(
    database: object, clock: Any, drain: Any, restricted: bool
) -> None:
    with unit_of_work() as uow:
        lead = users.create(uow, SYSTEM, email="lena@example.org", name="Lena", roles=["responder"])
        target = (Target("user", str(lead.id)),)
        policy = PolicyDraft("default", (StepDraft(target, delay=300),), target, is_default=True)
        policy_editing.create_policy(uow, SYSTEM, policy)
        lead_id = lead.id
    case = opened().id
    contained(case)
    clock.advance(minutes=10)
    (done,) = take(draft())
    assert done.incident_id is not None
    with unit_of_work() as uow:
        if restricted:
            lifecycle.restrict(uow, ANN, case, [])
        lifecycle.assign(uow, SYSTEM, done.incident_id, lead_id)
        uow.get_one(Incident, case).closed_at = uow.now
        key = uow.get_one(Incident, case).key
    drain("core.outbox")
    with reading() as session:
        (page,) = session.scalars(select(Page).where(Page.key.like("containment:%")))
        told = journal.entries(session, ref=Ref("incident", str(done.incident_id)), verbs=["incident.changed"])
    said = f"{page.title} {page.message} {[entry.data for entry in told]}"
    assert (page.subject_id, incident(done.incident_id).priority) == (str(done.incident_id), "p1")
    assert "web01" in said
    assert key not in said
    assert [word in said for word in ("edr.isolate_host", "in force", "ontainment")] == [not restricted] * 3


def test_a_repeat_of_a_known_alert_tells_too_but_not_all_the_time(case: UUID, clock: Any) -> None:
    take(low(), low(), low())
    take(low(), draft(fingerprint=(("a", "2"),)))
    assert doubts(case) == 1
    clock.advance(minutes=31)
    take(low())
    assert doubts(case) == 2


def test_what_a_person_isolated_by_hand_raises_the_same_alarm_until_it_is_ended(database: object, clock: Any, drain: Any) -> None:
    case = opened().id
    of = Ref("incident", str(case))
    with unit_of_work() as uow:
        row = hand_measures.put(uow, ANN, of, "edr.isolate_host", "WEB01", key="1", reason="Its cable is pulled")
        again = hand_measures.put(uow, ANN, of, "edr.isolate_host", "web01", key="2", reason="Again")
        assert (row.id, row.entity_value, row.state) == (again.id, "web01", "active")
        with pytest.raises(Invalid):
            hand_measures.put(uow, ANN, of, "edr.isolate_host", "\n", key="3", reason="No host")
        assert not containment.unreviewed(uow, uow.get_one(Incident, case)), "it comes up for review by itself"
    clock.advance(minutes=10)
    take(low())
    assert doubts(case) == 1
    clock.advance(hours=24)
    drain("connectors.countermeasures", "core.outbox")
    with reading() as session:
        asked = session.scalars(select(Task).where(Task.incident_id == case)).one()
    assert asked.title == "Keep or take back: Isolation by hand on web01"
    with unit_of_work() as uow:
        assert hand_measures.end(uow, ANN, of, "edr.release_host", "web01") == 1
        assert hand_measures.end(uow, ANN, of, "edr.release_host", "web01") == 0
    take(low())
    assert doubts(case) == 1, "it is back, so its alerts are alerts"


@pytest.mark.parametrize("minutes", [-11, -60])
def test_what_occurred_before_is_no_doubt(case: UUID, clock: Any, minutes: int) -> None:
    take(low(occurred_at=clock.now + timedelta(minutes=minutes)))
    assert doubts(case) == 0


def test_what_was_removed_or_only_proposed_or_resolved_is_no_doubt(database: object, clock: Any) -> None:
    made = opened().id
    contained(made, removed_at=clock.now, state="removed")
    contained(made, state="proposed")
    contained(made, value="web01", kind="user")
    contained(made, value="203.0.113.7", kind="ipv4-addr")
    clock.advance(minutes=1)
    take(low())  # within two minutes it may have been on its way
    clock.advance(minutes=10)
    take(low(status="resolved"))
    assert doubts(made) == 0
    take(low())
    assert doubts(made) == 1


def test_a_countermeasure_without_an_end_keeps_a_declared_serious_incident_open(
    database: object, clock: Any
) -> None:
    case = opened(severity=Severity.high)
    contained(case.id, value="db01", review_at=clock.now + timedelta(days=1))
    contained(case.id, value="db02", expires_at=clock.now + timedelta(days=1))
    said = Closing("true_positive", "s", "r")
    with unit_of_work() as uow:
        lifecycle.confirm(uow, ANN, case.id, "declared", because="data left")
    contained(case.id, value="db03")
    with unit_of_work() as uow, pytest.raises(Invalid) as caught:
        closing.close(uow, ANN, case.id, said)
    assert [(p.path, p.message) for p in caught.value.problems] == [
        ("countermeasures", "edr.isolate_host on db03 is still in force: remove it, or say when it ends.")
    ]


def test_an_incident_finds_its_doubt_behind_however_many_of_others(case: UUID, clock: Any) -> None:
    """The newest of others, and what is restricted to others, take no place in the list."""
    take(low())
    clock.advance(minutes=1)
    (other, secret) = (opened(title="Another").id, opened(title="Secret").id)
    for n in range(55):
        contained(other if n % 2 else secret, value=f"host-{n}", kind="host", activity_at=clock.now)
    with unit_of_work() as uow:
        lifecycle.restrict(uow, ANN, secret, [])
    with reading() as session:
        mine = containment.doubts(session, BOB, about=incident(case))
        listed = containment.doubts(session, BOB)
    assert [one.measure.entity_value for one in mine] == ["web01"]
    assert {one.incident.id for one in listed} == {case, other}, "27 of another, and ours"


def watch(case: UUID, *values: str, days: int = 14) -> list[str]:
    with unit_of_work() as uow:
        kept = containment.watch(
            uow, ANN, Ref("incident", str(case)), values, lasting=timedelta(days=days), key=str(new_id()), reason="It comes back"
        )
        return [row.entity_value for row in kept]


@pytest.mark.parametrize("severity", [Severity.high, Severity.medium])
def test_what_is_watched_goes_to_the_front_until_its_time_is_over_and_wakes_where_it_was_serious(
    database: object, clock: Any, drain: Any, severity: Severity
) -> None:
    with unit_of_work() as uow:
        target = (Target("user", str(users.create(uow, SYSTEM, email="lena@example.org", name="Lena", roles=["responder"]).id)),)
        policy = PolicyDraft("default", (StepDraft(target, delay=300),), target, is_default=True)
        policy_editing.create_policy(uow, SYSTEM, policy)
        rails.protect(uow, SYSTEM, kind="network", value="198.18.0.0/15", reason="Our servers", own=True)
    case = opened(severity=severity, observables=[("host", "web01"), ("ipv4-addr", "198.18.0.9"), ("ipv4-addr", "185.220.101.4")]).id
    assert watch(case, "web01", "198.18.0.9", "185.220.101.4", "not-of-it", "") == ["web01", "185.220.101.4"], "neither our own nor strange"
    assert watch(case, "web01", days=1) == ["web01"], "watched already, and for longer"
    clock.advance(days=13)
    (done,) = take(low())
    assert verbs("incident", case).count("alert.watched_seen") == 1
    assert doubts(case) == 0, "nothing was in its way"
    drain("core.outbox")
    assert incident(case).priority == "p1"
    with reading() as session:
        pages = [page.title for page in session.scalars(select(Page)) if page.key.startswith("containment:")]
        (doubt,) = containment.doubts(session, ANN, about=incident(case))
        assert doubt.watched
    assert pages == ([f"{incident(case).key}: web01 was seen again"] if severity == Severity.high else [])
    assert done.outcome
    clock.advance(days=2)
    drain("connectors.countermeasures", "core.outbox")
    with reading() as session:
        rows = session.scalars(select(Countermeasure)).all()
    assert {row.state for row in rows} == {"removed"}, "it ends by itself, although it was seen"
    take(low())
    assert verbs("incident", case).count("alert.watched_seen") == 1
