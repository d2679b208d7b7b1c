"""Two must agree, and one is alone: a second person is called, has time, and then one goes on, and says why."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from at_the_pages import Reader, text_of
from run_bench import attempts_of, publish, waits_of
from sqlalchemy import select

from cli import assemble
from connectors.models import ActionCall
from core import journal
from core.actors import SYSTEM
from core.auth import factors
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NeedsSecondFactor
from core.types import Ref, Severity
from incidents import lifecycle
from incidents.lifecycle import IncidentDraft
from incidents.models import Incident, Task
from notify.escalation import Target
from notify.models import Page
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy
from playbooks import alone, ports, runs
from playbooks.models import Vote, Wait
from reports import incident as reports

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]

WHY = "The shop is being emptied and nobody picks up"
TWO = """
    - id: agree
      approve:
        ask: "Take {{ incident.host }} off the net?"
        from: [role:responder, role:manager]
        quorum: 2
        four_eyes: true
        alone_after: 10m
        expires: 1h
        steps:
          - {id: off, action: edr.isolate_host, with: {host: "{{ incident.host }}"}}
"""


@pytest.fixture(autouse=True)
def assembled(people) -> None:
    assemble.load()
    ports.use(None)
    with unit_of_work() as uow:
        target = (Target("user", people.mara.id),)
        draft = PolicyDraft(
            name="critical", description="", steps=(StepDraft(target, delay=300),), repeat=1, catch_all=target, is_default=True,
        )  # fmt: skip
        create_policy(uow, SYSTEM, draft)


def asked(drain: Drain, actor=SYSTEM) -> tuple[UUID, UUID, UUID]:
    """An incident, its run and the question that waits."""
    publish(TWO)
    with unit_of_work() as uow:
        draft = IncidentDraft(
            title="Web shell",
            severity=Severity.critical,
            category="web_attack",
            observables=[("host", "web-1")],
        )
        incident = lifecycle.open_by_hand(uow, SYSTEM, draft).id
    with unit_of_work() as uow:
        run = runs.start(uow, actor, playbook="p", subject=Ref("incident", str(incident))).id
    drain("core.outbox", "playbooks.runs")
    return incident, run, waits_of(run, "approval")[0].id


def say(actor, wait: UUID, **decision: object) -> None:
    with unit_of_work() as uow:
        runs.answer(uow, actor, wait, {"approve": True, **decision})


def told(incident: UUID) -> dict[str, journal.Entry]:
    with reading() as session:
        return {
            entry.verb: entry
            for entry in journal.entries(session, ref=Ref("incident", str(incident)), limit=200)
        }


def test_one_goes_on_alone_after_a_second_person_was_called(drain: Drain, people, clock) -> None:
    incident, run, wait = asked(drain)
    with pytest.raises(Forbidden, match="Agree first"):
        say(people.rita, wait, alone=True, reason=WHY)
    say(people.rita, wait)
    with reading() as session:
        (page,) = session.scalars(select(Page).where(Page.subject_id == str(incident)))
    assert "Rita agrees; a second person is needed within 10 min: Take web-1 off the net?" in page.message
    assert told(incident)["step.second_called"].body["page"] == f"page:{page.id}"
    assert "A second person has been called" in Reader(people.rita).get(f"/approvals/{wait}")
    with pytest.raises(Conflict, match="until"):
        say(people.rita, wait, alone=True, reason=WHY)
    assert drain("playbooks.runs") == 0, "one is not two"
    clock.advance(minutes=10)
    with pytest.raises(Invalid, match="at least 20 characters"):
        say(people.rita, wait, alone=True, reason="hurry")
    with pytest.raises(Forbidden):  # whoever has not agreed has waited for nobody
        say(people.raul, wait, alone=True, reason=WHY)
    page_now = Reader(people.rita).get(f"/approvals/{wait}")
    assert 'value="alone"' in page_now
    assert 'value="alone"' not in Reader(people.raul).get(f"/approvals/{wait}")
    Reader(people.rita).post(f"/approvals/{wait}", answer="alone", reason=WHY, word="APPROVE")
    drain("core.outbox", "playbooks.runs")
    assert attempts_of(run)["agree/steps/off"] == "waiting"
    entry = told(incident)["step.decided_alone"]
    assert (entry.actor_name, entry.body["alone"], entry.body["waited"]) == ("Rita", True, 600)
    assert (entry.data or {})["reason"] == WHY
    with reading() as session:
        tasks = {
            task.title: task for task in session.scalars(select(Task).where(Task.incident_id == incident))
        }
        look = tasks["Look at what Rita decided alone"]
        assert (look.assign, look.status) == ("role:manager", "open")
        key = session.get_one(Incident, incident).key
        report = reports.build(session, people.mara, key, now=clock.now)
    alone = [one for one in report.decisions if one.decision == "approved, decided alone"]
    assert [(one.by, one.because) for one in alone] == [("Rita", WHY)]


def test_a_second_person_in_time_decides_as_ever(drain: Drain, people, clock) -> None:
    incident, run, wait = asked(drain)
    say(people.rita, wait)
    clock.advance(minutes=4)
    say(people.mara, wait)
    drain("core.outbox", "playbooks.runs")
    assert attempts_of(run)["agree/steps/off"] == "waiting"
    assert "step.decided_alone" not in told(incident)


def test_whoever_started_it_may_agree_but_is_never_enough(drain: Drain, people, clock) -> None:
    incident, run, wait = asked(drain, actor=people.rita)
    say(people.rita, wait)
    assert drain("playbooks.runs") == 0
    clock.advance(minutes=10)
    say(people.rita, wait, alone=True, reason=WHY)
    drain("core.outbox", "playbooks.runs")
    assert attempts_of(run)["agree/steps/off"] == "waiting"
    assert "step.decided_alone" in told(incident)


def test_alone_asks_for_the_second_factor_like_every_agreement(
    drain: Drain, people, clock, monkeypatch
) -> None:
    _incident, run, wait = asked(drain)
    say(people.rita, wait)
    clock.advance(minutes=11)

    def stale(_session: object, _actor: object) -> None:
        raise NeedsSecondFactor("Show your second factor again to go on.", enrolled=True)

    with monkeypatch.context() as patched:
        patched.setattr(factors, "require_fresh", stale)
        with pytest.raises(NeedsSecondFactor):
            say(people.rita, wait, alone=True, reason=WHY)
    with reading() as session:
        assert list(session.scalars(select(ActionCall))) == []
    assert drain("playbooks.runs") == 0
    assert waits_of(run, "approval")[0].due_at > clock.now + timedelta(minutes=30)


def test_a_refusal_ends_it_also_for_who_is_alone(drain: Drain, people, clock) -> None:
    _incident, run, wait = asked(drain)
    say(people.rita, wait)
    clock.advance(minutes=11)
    with unit_of_work() as uow:
        runs.answer(uow, people.mara, wait, {"approve": False, "reason": "not on a sale day"})
    with pytest.raises(Conflict, match="decided already"):
        say(people.rita, wait, alone=True, reason=WHY)
    drain("core.outbox", "playbooks.runs")
    assert attempts_of(run)["agree"] == "refused"


def test_the_lead_and_a_manager_must_be_among_those_who_agree(drain: Drain, people, clock) -> None:
    publish(TWO.replace("quorum: 2", "must: [owner, role:manager]"), key="must")
    with unit_of_work() as uow:
        draft = IncidentDraft("Beacon on dc-1", severity=Severity.critical, category="malware", observables=[("host", "dc-1")])
        incident = lifecycle.open_by_hand(uow, SYSTEM, draft).id
        lifecycle.assign(uow, people.mara, incident, people.mara.user_id)
        run = runs.start(uow, SYSTEM, playbook="must", subject=Ref("incident", str(incident))).id
    drain("core.outbox", "playbooks.runs")
    wait = waits_of(run, "approval")[0].id
    assert "2 must agree · among them: the lead, any manager" in " ".join(text_of(Reader(people.rita).get(f"/approvals/{wait}")).split())
    say(people.rita, wait)
    say(people.mara, wait)
    assert drain("playbooks.runs") == 0, "two have agreed, but who leads and manages is one person and not two"
    with unit_of_work() as uow:
        lifecycle.assign(uow, people.mara, incident, people.raul.user_id)
    say(people.raul, wait)
    drain("core.outbox", "playbooks.runs")
    assert attempts_of(run)["agree/steps/off"] == "waiting"


@pytest.mark.parametrize(
    ("must", "voters", "lacks"),
    [
        ([], [], False),
        (["owner"], [[]], True),
        (["owner", "role:manager"], [["owner", "role:manager"]], True),
        (["owner", "role:manager"], [["owner", "role:manager"], []], True),
        (["owner", "role:manager"], [["owner", "role:manager"], ["owner"]], False),
        (["owner", "role:manager"], [["role:manager"], ["owner"]], False),
    ],
)
def test_nobody_stands_for_two(must: list[str], voters: list[list[str]], lacks: bool) -> None:
    assert alone.lacking(Wait(detail={"must": must}), [Vote(speaks_for=one) for one in voters]) is lacks
