"""A new source is learned for a while: stored and shown, but only what is critical pages, until its time is over."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Forbidden
from core.types import Ref
from incidents import reaching, rules
from incidents.models import Alert, Incident
from ingest import sources, storing
from ingest.models import Source
from ingest.storing import Arrival, body_key
from notify.escalation import Target
from notify.models import Page
from notify.oncall import policy_editing

pytestmark = pytest.mark.usefixtures("people_on_call")


@pytest.fixture
def people_on_call(database: object) -> None:
    with unit_of_work() as uow:
        rules.seed(uow)
        ana = users.create(uow, SYSTEM, email="ana@example.org", name="Ana", roles=["responder"])
        target = (Target("user", str(ana.id)),)
        steps = (policy_editing.StepDraft(target, delay=300),)
        policy_editing.create_policy(
            uow, SYSTEM, policy_editing.PolicyDraft("default", steps, target, is_default=True)
        )


def deliver(source: Source, **alert: str) -> None:
    raw = json.dumps(alert).encode()
    storing.store([
        Arrival(source_id=source.id, body=raw, content_type="application/json", headers={}, key=body_key(raw))
    ])  # fmt: skip


def paged() -> list[str]:
    """The titles of what somebody was paged for, after a minute's patience."""
    with unit_of_work() as uow:
        reaching.page_unattended(uow)
    with reading() as session:
        return sorted(page.title.partition(": ")[2] for page in session.scalars(select(Page)))


def cases() -> dict[str, Incident]:
    with reading() as session:
        return {case.title: case for case in session.scalars(select(Incident))}


def test_only_critical_incidents_of_a_new_source_page(sender: Any, drain: Any, clock: Any) -> None:
    new = sender("new", learning=timedelta(hours=24)).source
    deliver(new, title="Odd sign-in", severity="high", host="web-1")
    deliver(new, title="Files are encrypted", severity="critical", host="db-1")
    drain("ingest.deliveries")
    clock.advance(minutes=2)
    assert paged() == ["Files are encrypted"]
    assert {title: case.learning for title, case in cases().items()} == {
        "Odd sign-in": True, "Files are encrypted": True,
    }  # fmt: skip
    with reading() as session:
        assert all(alert.learning for alert in session.scalars(select(Alert)))


def test_what_goes_on_after_its_first_day_pages(sender: Any, drain: Any, clock: Any) -> None:
    new = sender("new", learning=timedelta(hours=24)).source
    deliver(new, title="Odd sign-in", severity="high", host="web-1")
    drain("ingest.deliveries")
    clock.advance(hours=23)
    deliver(new, title="Odd sign-in", severity="high", host="web-1", time="again")
    drain("ingest.deliveries")
    assert paged() == []
    clock.advance(hours=2)
    deliver(new, title="Odd sign-in", severity="high", host="web-1", time="once more")
    drain("ingest.deliveries")
    assert paged() == ["Odd sign-in"]
    (case,) = cases().values()
    assert not case.learning
    with reading() as session:
        verbs = [entry.verb for entry in journal.entries(session, ref=case.ref)]
        assert not session.scalars(select(Alert)).one().learning
    assert "incident.became_live" in verbs


def test_an_incident_that_gets_worse_in_the_first_day_pages(sender: Any, drain: Any, clock: Any) -> None:
    new = sender("new", learning=timedelta(hours=24)).source
    deliver(new, title="Odd sign-in", severity="high", host="web-1")
    drain("ingest.deliveries")
    clock.advance(minutes=5)
    assert paged() == []
    deliver(new, title="Files are encrypted", severity="critical", host="web-1")
    drain("ingest.deliveries")
    assert paged() == ["Odd sign-in"], "it is the same case, and critical now"


def test_learning_is_ended_by_somebody_who_may_and_that_is_told(sender: Any, drain: Any, clock: Any) -> None:
    new = sender("new", learning=timedelta(hours=24)).source
    nobody = Actor(ActorKind.person, "00000000-0000-7000-8000-000000000000", "Nobody")
    with pytest.raises(Forbidden), unit_of_work() as uow:
        sources.end_learning(uow, nobody, new.id)
    for _ in range(2):
        with unit_of_work() as uow:
            sources.end_learning(uow, SYSTEM, new.id)
    with reading() as session:
        told = [entry.verb for entry in journal.entries(session, ref=Ref("source", str(new.id)))]
    assert told == ["source.learned", "source.created"]
    deliver(new, title="Odd sign-in", severity="high", host="web-1")
    drain("ingest.deliveries")
    clock.advance(minutes=2)
    assert paged() == ["Odd sign-in"]


def test_an_alert_of_an_old_source_makes_a_learning_case_live(sender: Any, drain: Any, clock: Any) -> None:
    new, old = sender("new", learning=timedelta(hours=24)).source, sender("old").source
    deliver(new, title="Odd sign-in", severity="high", host="web-1")
    drain("ingest.deliveries")
    deliver(old, title="Malware", severity="high", host="web-1")
    drain("ingest.deliveries")
    clock.advance(minutes=2)
    assert paged() == ["Odd sign-in"]


@pytest.mark.parametrize("learning", [None, timedelta(hours=24)])
def test_old_alerts_page_nobody_however_bad_they_are(
    sender: Any, drain: Any, clock: Any, learning: timedelta | None
) -> None:
    tool = sender("tool", learning=learning).source
    deliver(tool, title="Files were encrypted", severity="critical", timestamp="2020-03-02T09:00:00Z")
    drain("ingest.deliveries")
    clock.advance(minutes=2)
    assert paged() == []
    (case,) = cases().values()
    assert (case.late, case.learning) == (True, learning is not None)
