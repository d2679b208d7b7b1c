"""What is learnt of an incident: the attacker's timeline, the points of the review, actions followed until done."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import incident_bench as bench
import pytest

from core import journal
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.types import Ref
from incidents import findings, follow_ups, lifecycle, queries, reviewing
from incidents.findings import FindingDraft
from incidents.follow_ups import FollowUpDraft
from incidents.models import Finding, FollowUp
from incidents.reviewing import PointDraft

pytestmark = pytest.mark.usefixtures("database")


def found(incident_id: UUID, minutes: float = 60, **values: Any) -> Finding:
    """A finding of Ann, so many minutes ago."""
    with unit_of_work() as uow:
        given: dict[str, Any] = {
            "says": "The macro started a shell",
            "source": "EDR",
            "technique": "t1059.001",
            "entities": ["WS-7", "203[.]0.113.9"],
        }
        draft = FindingDraft(occurred_at=uow.now - timedelta(minutes=minutes), **(given | values))
        return findings.add(uow, bench.ANN, incident_id, draft)


def test_findings_stand_in_the_order_it_happened_and_page_by_page() -> None:
    incident = bench.opened()
    for minutes in (5, 300, 60, 60, 2):
        found(incident.id, minutes, says=f"{minutes} minutes ago")
    with reading() as session:
        first = findings.of_incident(session, bench.BOB, incident.id, limit=3)
        rest = findings.of_incident(session, bench.BOB, incident.id, after=first.next, limit=3)
        assert (
            len(findings.every(session, bench.BOB, incident.id))
            == findings.number_in(session, bench.BOB, incident.id)
            == 5
        )
    told = [row.says.split()[0] for row in [*first.items, *rest.items]]
    assert told == ["300", "60", "60", "5", "2"]
    assert rest.next is None
    assert first.items[0].technique == "T1059.001"
    assert first.items[0].entities == [
        {"type": "other", "value": "WS-7"},
        {"type": "ipv4-addr", "value": "203.0.113.9"},
    ]


def test_a_correction_keeps_what_it_said_before_in_the_journal() -> None:
    incident = bench.opened()
    row = found(incident.id)
    with unit_of_work() as uow:
        draft = FindingDraft(
            occurred_at=row.occurred_at - timedelta(hours=2),
            says="The macro started PowerShell",
            precision="hour",
        )
        better = findings.correct(
            uow, bench.BOB, row.id, draft, reason="the prefetch file says so", version=1
        )
        assert (better.version, better.changed_by) == (2, "Bob")
    with unit_of_work() as uow, pytest.raises(Conflict, match="meanwhile"):
        findings.correct(uow, bench.ANN, row.id, draft, version=1)
    with unit_of_work() as uow:
        findings.correct(uow, bench.ANN, row.id, draft)
    with reading() as session:
        entries = journal.entries(session, ref=row.ref)
    assert [entry.verb for entry in entries] == ["finding.corrected", "finding.added"], (
        "the same again says nothing"
    )
    changed = (entries[0].data or {})["changed"]
    assert changed["says"] == {"from": "The macro started a shell", "to": "The macro started PowerShell"}
    assert changed["occurred_at"]["from"] == row.occurred_at.isoformat()
    assert entries[0].ref("incident") == str(incident.id)


def test_what_is_withdrawn_is_told_no_more_and_cannot_be_corrected() -> None:
    row = found(bench.opened().id)
    with unit_of_work() as uow, pytest.raises(Invalid, match="why"):
        findings.withdraw(uow, bench.ANN, row.id, " ")
    with unit_of_work() as uow:
        findings.withdraw(uow, bench.ANN, row.id, "it was our own scanner")
    with reading() as session:
        assert findings.every(session, bench.ANN, row.incident_id) == []
        assert findings.one(session, bench.ANN, row.id).withdrawn_because == "it was our own scanner"
    with unit_of_work() as uow, pytest.raises(Conflict, match="Ann has withdrawn"):
        findings.correct(uow, bench.ANN, row.id, FindingDraft(occurred_at=row.occurred_at, says="x"))


def test_an_alert_is_taken_over_once_until_it_is_withdrawn() -> None:
    (taken,) = bench.take(bench.draft(techniques=("T1110", "T1021.004")))
    assert taken.incident_id is not None
    for _ in range(2):
        with unit_of_work() as uow:
            row = findings.from_alert(uow, bench.ANN, taken.alert_id)
    assert (row.says, row.source, row.technique) == ("Brute force against sshd", "wazuh", "T1110")
    assert {"type": "ipv4-addr", "value": "203.0.113.7"} in row.entities
    with reading() as session:
        assert findings.taken(session, taken.incident_id) == {taken.alert_id}
        assert findings.number_in(session, bench.ANN, taken.incident_id) == 1
    with unit_of_work() as uow:
        findings.withdraw(uow, bench.ANN, row.id, "not theirs")
    with unit_of_work() as uow:
        assert findings.from_alert(uow, bench.ANN, taken.alert_id).id != row.id
    loose = next(iter(bench.take(bench.low(fingerprint=(("rule", "1"),)))))
    assert loose.incident_id is None
    with unit_of_work() as uow, pytest.raises(Invalid, match="no incident"):
        findings.from_alert(uow, bench.ANN, loose.alert_id)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"says": " "}, "says"), ({"precision": "second"}, "precision"), ({"confidence": "sure"}, "confidence"),
        ({"technique": "PowerShell"}, "technique"), ({"minutes": -600}, "occurred_at"), ({"attachment_id": uuid4()}, "attachment_id"),
        ({"entities": ["x"] * 51}, "entities"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        found(bench.opened().id, **wrong)
    assert [problem.path for problem in caught.value.problems] == [field]


def test_each_section_of_a_review_takes_its_own_fields() -> None:
    incident = bench.opened()
    with unit_of_work() as uow:
        for draft in (
            PointDraft(
                "impact", "Payroll was down", "services", "estimated", result="40 min", how="the proxy's log"
            ),
            PointDraft("scope", "Domain controllers", "hosts", "not_affected", how="hunted for the hash"),
            PointDraft("well", "The first page was answered in a minute"),
        ):
            row = reviewing.add(uow, bench.ANN, incident.id, draft)
        assert (row.area, row.state, row.who) == ("", "", "")
        checked = reviewing.of_incident(uow, bench.ANN, incident.id)[1]
        assert (checked.state, checked.who) == ("not_affected", "Ann"), "who says nothing else has checked it"
    for wrong in (
        PointDraft("weather", "x"), PointDraft("well", " "), PointDraft("well", "x", area="hosts"),
        PointDraft("impact", "x", state="maybe"), PointDraft("luck", "x", result="y"),
    ):  # fmt: skip
        with unit_of_work() as uow, pytest.raises(Invalid):
            reviewing.add(uow, bench.ANN, incident.id, wrong)
    with unit_of_work() as uow:
        reviewing.withdraw(uow, bench.BOB, row.id)
    with unit_of_work() as uow, pytest.raises(Conflict, match="Bob"):
        reviewing.withdraw(uow, bench.BOB, row.id)
    with reading() as session:
        assert [one.section for one in reviewing.of_incident(session, bench.ANN, incident.id)] == [
            "impact",
            "scope",
        ]
    assert bench.verbs("incident", incident.id)[:2] == ["review.withdrawn", "review.noted"]


def test_an_action_is_followed_until_it_is_done() -> None:
    with unit_of_work() as uow:
        ann = users.actor_of(
            users.create(uow, SYSTEM, email="ann@example.org", name="Ann", roles=["responder"]), uow.now
        )
    incident = bench.opened(category="malware")
    with unit_of_work() as uow:
        for title, days in (("Block macros from the internet", -3), ("Buy a second proxy", 30)):
            draft = FollowUpDraft(
                title, ann.user_id, uow.now + timedelta(days=days), "https://tickets.example/1"
            )
            row = follow_ups.add(uow, ann, incident.id, draft)
        follow_ups.add(uow, ann, incident.id, FollowUpDraft("Think about it"))
        late = follow_ups.overdue_of(uow, ann, uow.now)
        assert [one.title for one in late] == ["Block macros from the internet"]
        assert follow_ups.overdue_count(uow, bench.BOB, uow.now) == 1
        assert follow_ups.overdue_of(uow, bench.BOB, uow.now) == [], "each sees their own on the first screen"
        assert len(follow_ups.listed(uow, ann, overdue_at=uow.now).items) == 1
        assert len(follow_ups.listed(uow, ann, owner_id=ann.user_id).items) == 2
    with unit_of_work() as uow:
        follow_ups.change(
            uow, ann, row.id, FollowUpDraft("Buy a proxy", ann.user_id, row.due_at, row.link), version=1
        )
        with pytest.raises(Invalid, match="why"):
            follow_ups.end(uow, ann, row.id, "dropped")
        follow_ups.end(uow, ann, late[0].id, "done", "group policy 17")
    with unit_of_work() as uow:
        with pytest.raises(Conflict, match="done already"):
            follow_ups.end(uow, ann, late[0].id, "done")
        with pytest.raises(Invalid, match="no such person"):
            follow_ups.change(uow, ann, row.id, FollowUpDraft("x", uuid4()))
        assert {one.title for one in follow_ups.listed(uow, ann).items} == {"Buy a proxy", "Think about it"}
    assert bench.verbs("follow_up", late[0].id) == ["follow_up.ended", "follow_up.added"]


def test_what_earlier_incidents_left_open_comes_up_again() -> None:
    first, other = bench.opened(category="malware"), bench.opened(category="phishing")
    with unit_of_work() as uow:
        for of in (first, other):
            follow_ups.add(uow, bench.ANN, of.id, FollowUpDraft(f"Mend what {of.key} showed"))
    again = bench.opened(category="malware")
    with reading() as session:
        left = follow_ups.earlier(session, bench.ANN, again)
        assert [(one.key, one.row.title) for one in left] == [(first.key, f"Mend what {first.key} showed")]
        assert follow_ups.earlier(session, bench.ANN, first) == [], "what comes later is not earlier"
    with unit_of_work() as uow:
        lifecycle.restrict(uow, bench.BOB, first.id, [])
    with reading() as session:
        assert follow_ups.earlier(session, bench.ANN, again) == []


def test_nothing_of_it_is_seen_by_those_who_may_not_see_the_incident() -> None:
    incident = bench.opened()
    finding = found(incident.id)
    with unit_of_work() as uow:
        point = reviewing.add(uow, bench.ANN, incident.id, PointDraft("well", "quick"))
        action = follow_ups.add(
            uow, bench.ANN, incident.id, FollowUpDraft("Do it", due_at=uow.now - timedelta(days=1))
        )
        lifecycle.restrict(uow, bench.ANN, incident.id, [])
    with unit_of_work() as uow:
        refs = [finding.ref, action.ref, Ref("review_point", str(point.id))]
        assert queries.visible_refs(uow, bench.BOB, refs) == set()
        assert queries.visible_refs(uow, bench.ANN, refs) == set(refs)
        assert findings.every(uow, bench.BOB, incident.id) == []
        assert reviewing.of_incident(uow, bench.BOB, incident.id) == []
        assert (
            follow_ups.of_incident(uow, bench.BOB, incident.id)
            == follow_ups.listed(uow, bench.BOB).items
            == []
        )
        assert follow_ups.overdue_count(uow, bench.BOB, uow.now) == 0
        draft = FindingDraft(occurred_at=uow.now, says="x")
        for ask in (
            lambda: findings.add(uow, bench.BOB, incident.id, draft), lambda: findings.correct(uow, bench.BOB, finding.id, draft),
            lambda: findings.withdraw(uow, bench.BOB, finding.id, "x"), lambda: findings.one(uow, bench.BOB, finding.id),
            lambda: reviewing.add(uow, bench.BOB, incident.id, PointDraft("well", "x")), lambda: reviewing.withdraw(uow, bench.BOB, point.id),
            lambda: follow_ups.add(uow, bench.BOB, incident.id, FollowUpDraft("x")), lambda: follow_ups.one(uow, bench.BOB, action.id),
            lambda: follow_ups.change(uow, bench.BOB, action.id, FollowUpDraft("x")), lambda: follow_ups.end(uow, bench.BOB, action.id, "done"),
        ):  # fmt: skip
            with pytest.raises(NotFound):
                ask()
        for refused in (
            lambda: findings.add(uow, bench.READER, incident.id, draft), lambda: follow_ups.end(uow, bench.READER, action.id, "done"),
            lambda: reviewing.add(uow, bench.READER, incident.id, PointDraft("well", "x")), lambda: findings.from_alert(uow, bench.READER, uuid4()),
        ):  # fmt: skip
            with pytest.raises(Forbidden):
                refused()


def test_every_row_of_it_tells_the_journal() -> None:
    """Nothing is written without a fact; an incident's story has it all."""
    incident = bench.opened()
    row = found(incident.id)
    with unit_of_work() as uow:
        point = reviewing.add(
            uow, bench.ANN, incident.id, PointDraft("decision", "Shut it down?", result="No", how="pay day")
        )
        action = follow_ups.add(uow, bench.ANN, incident.id, FollowUpDraft("Mend it"))
        assert isinstance(action, FollowUp)
    assert bench.verbs("incident", incident.id)[:3] == ["follow_up.added", "review.noted", "finding.added"]
    assert bench.verbs("finding", row.id) == ["finding.added"]
    assert bench.verbs("review_point", point.id) == ["review.noted"]
