"""Serious incidents reach somebody even when no playbook pages, and pages end with the incident."""

from typing import Any

from sqlalchemy import select

from connectors.contract import Entity
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.types import Severity
from incident_bench import ANN, SOURCE, draft, opened, take
from incidents import closing, lifecycle, reaching
from incidents.closing import Closing
from notify.escalation import Target
from notify.models import Page
from notify.oncall import policy_editing


def policy() -> None:
    with unit_of_work() as uow:
        person = users.create(uow, SYSTEM, email="on@call.example", name="Onca", roles=["responder"])
        draft = policy_editing.PolicyDraft(
            name="default", description="", steps=(policy_editing.StepDraft((Target("user", str(person.id)),), delay=300),),
            repeat=1, catch_all=(Target("user", str(person.id)),), is_default=True,
        )  # fmt: skip
        policy_editing.create_policy(uow, SYSTEM, draft)


def pages() -> list[Page]:
    with reading() as session:
        return list(session.scalars(select(Page)))


def page_unattended() -> int:
    with unit_of_work() as uow:
        return reaching.page_unattended(uow)


def test_a_serious_incident_is_paged_for_once_after_a_minute(database: object, clock: Any) -> None:
    policy()
    case = opened(title="Odd binary", severity=Severity.critical)
    opened(severity=Severity.medium)
    opened(severity=Severity.high, exercise=True)
    taken = opened(severity=Severity.high)
    with unit_of_work() as uow:
        lifecycle.assign(uow, ANN, taken.id, ANN.user_id)
    clock.advance(seconds=59)
    assert page_unattended() == 0
    clock.advance(seconds=2)
    assert page_unattended() == 1
    assert page_unattended() == 0
    (page,) = pages()
    assert (page.subject_id, page.title, page.severity) == (
        str(case.id),
        f"{case.key}: Odd binary",
        "critical",
    )


def test_a_restricted_incident_is_named_by_its_key_alone(database: object, clock: Any) -> None:
    policy()
    case = opened(title="The administrator steals", severity=Severity.high, restricted_to=[ANN.id])
    clock.advance(minutes=2)
    page_unattended()
    (page,) = pages()
    assert page.title == f"{case.key}: a restricted incident needs somebody"
    assert "administrator" not in page.message


def test_a_page_says_where_and_of_what_kind_it_is(database: object, clock: Any) -> None:
    policy()
    at = clock.now
    other = (Entity("host", "db01", "target"),)
    take(draft(), draft(fingerprint=(("rule", "1"),), rule_id="1", category="malware", entities=other))
    by_hand = opened(severity=Severity.high, category="phishing")
    assert {page.message.splitlines()[0] for page in pages()} == {"high, and no playbook answers to it."}
    clock.advance(minutes=2)
    assert page_unattended() == 1, "what people open by hand they have a minute to take"
    found = {page.kind: page for page in pages()}
    assert set(found) == {f"alert:{SOURCE.id}:5712", f"alert:{SOURCE.id}:1", "incident:phishing"}
    alerted = found[f"alert:{SOURCE.id}:5712"]
    assert alerted.message.splitlines() == [
        "high, and no playbook answers to it.",
        "On web01; told by wazuh",
    ]
    assert alerted.received_at == at
    assert found["incident:phishing"].received_at is None
    assert found["incident:phishing"].message == "high, and nobody has been reached for it yet."
    assert by_hand.key in found["incident:phishing"].title


def test_without_a_policy_nothing_breaks(database: object, clock: Any) -> None:
    opened(severity=Severity.high)
    clock.advance(minutes=2)
    assert page_unattended() == 0
    assert pages() == []


def test_pages_end_when_the_incident_is_closed(database: object, clock: Any, drain: Any) -> None:
    policy()
    case = opened(severity=Severity.high)
    clock.advance(minutes=2)
    page_unattended()
    with unit_of_work() as uow:
        closing.close(uow, ANN, case.id, Closing("false_positive"))
    drain("core.outbox")
    assert [page.state for page in pages()] == ["closed"]
