"""The shipped playbooks with the real record, people and products: from the opened incident to its end."""

from collections.abc import Callable
from uuid import UUID

import pytest
from run_bench import SHIPPED, attempts_of, publish, run_of, waits_of
from sqlalchemy import select

from cli import assemble
from connectors import rails
from connectors.contract import Entity
from connectors.models import ActionCall, Countermeasure
from core import journal
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import NotFound
from core.types import Ref, Severity
from incident_bench import draft, low, take
from incidents import closing, lifecycle, reaching, tasks
from incidents import queries as record
from incidents.lifecycle import IncidentDraft
from incidents.models import Incident, Task
from notify import delivery
from notify.escalation import Target
from notify.models import Message, Page, PageTarget
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy
from playbooks import ports, publishing, queries, runs, storing
from playbooks.models import PlaybookRun

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]


@pytest.fixture(autouse=True)
def assembled() -> None:
    assemble.load()
    ports.use(None)


def opened(**changes: object) -> UUID:
    """An incident opened by hand."""
    given = {"title": "Trojan on files-02", "severity": Severity.high, "category": "malware",
             "observables": [("host", "files-02"), ("user", "ana@example.org"), ("ipv4-addr", "203.0.113.9")]}  # fmt: skip
    with unit_of_work() as uow:
        return lifecycle.open_by_hand(uow, SYSTEM, IncidentDraft(**{**given, **changes})).id


def open_tasks(incident: UUID) -> list[Task]:
    with reading() as session:
        query = (
            select(Task)
            .where(Task.incident_id == incident, Task.status == "open")
            .order_by(Task.created_at, Task.id)
        )
        return list(session.scalars(query))


def runs_of(incident: UUID) -> list[PlaybookRun]:
    with reading() as session:
        return list(
            session.scalars(
                select(PlaybookRun).where(PlaybookRun.subject_id == str(incident)).order_by(PlaybookRun.id)
            )
        )


def complete(actor, task: Task, **answers: object) -> None:
    with unit_of_work() as uow:
        tasks.complete(uow, actor, task.id, answers or None)


def test_the_file_is_published_once(drain: Drain) -> None:
    first = publishing.load_at_start()
    assert {one.outcome for one in first} == {"new"}
    assert {one.outcome for one in publishing.load_at_start()} == {"same"}
    assert publishing.check(SHIPPED) == []


def test_an_incident_starts_its_playbook_and_a_task_moves_it_on(drain: Drain, people) -> None:
    publishing.load_at_start()
    incident = opened()
    drain("core.outbox", "playbooks.runs")
    (run,) = runs_of(incident)
    assert (run.playbook, run.state, run.started_by, run.trigger["because"]) == (
        "malware", "waiting", "Tocsin", 'incident.category == "malware"',
    )  # fmt: skip
    (task,) = open_tasks(incident)
    assert task.title == "Look at files-02 in the endpoint console and answer"
    complete(people.rita, task, stopped="no", ran="yes", kind="server")
    drain("core.outbox", "playbooks.runs")
    with reading() as session:
        assert session.get_one(Incident, incident).severity == "critical"
        verbs = {
            entry.verb for entry in journal.entries(session, ref=Ref("incident", str(incident)), limit=200)
        }
    assert {
        "run.started",
        "step.decided",
        "step.failed",
        "incident.changed",
        "task.created",
        "task.completed",
    } <= verbs
    (hands_off,) = open_tasks(incident)
    complete(people.rita, hands_off)
    drain("core.outbox", "playbooks.runs")
    (wait,) = waits_of(run.id, "approval")
    assert (wait.detail["ask"], wait.detail["quorum"]) == (
        "Isolate files-02? Nobody can work on it until it is released.",
        2,
    )
    assert wait.detail["what"] == [
        {"action": "edr.isolate_host", "effect": "disruptive", "name": "Isolate files-02"}
    ]
    with reading() as session:
        asked = {
            name: len(queries.questions(session, getattr(people, name)))
            for name in ("rita", "mara", "aldo", "ana")
        }
        (listed,) = queries.runs(session, people.aldo, state="waiting").items
    assert asked == {"rita": 1, "mara": 1, "aldo": 0, "ana": 1}
    assert listed.id == run.id
    for person in (people.rita, people.mara):
        with unit_of_work() as uow:
            runs.answer(uow, person, wait.id, {"approve": True})
    drain("core.outbox", "playbooks.runs")
    (by_hand,) = open_tasks(incident)
    assert (by_hand.title, by_hand.urgent) == ("Isolate files-02", True)
    assert "Take files-02 off the network" in by_hand.instructions
    assert attempts_of(run.id)["look/0/host_facts"] == "skipped"


def test_nobody_sees_the_runs_of_what_is_kept_from_them(drain: Drain, people) -> None:
    publishing.load_at_start()
    opened(restricted_to=[str(people.mara.user_id)])
    drain("core.outbox", "playbooks.runs")
    with reading() as session:
        (run,) = queries.runs(session, people.mara).items
        assert queries.runs(session, people.rita).items == []
        with pytest.raises(NotFound):
            queries.run(session, people.rita, run.id)
        assert queries.steps(session, run.id)
    with pytest.raises(NotFound), unit_of_work() as uow:
        runs.cancel(uow, people.rita, run.id, "I am curious")


def test_closing_the_incident_ends_its_runs(drain: Drain, people) -> None:
    publishing.load_at_start()
    incident = opened()
    drain("core.outbox", "playbooks.runs")
    with unit_of_work() as uow:
        closing.close(uow, people.rita, incident, closing.Closing(disposition="false_positive"))
    drain("core.outbox", "playbooks.runs")
    (run,) = runs_of(incident)
    assert (run.state, run.reason) == ("cancelled", "the incident was closed")


def test_an_unbound_verb_is_a_task(drain: Drain) -> None:
    publish("""
        - {id: block, action: identity.disable_user, with: {user: "{{ incident.user }}"}}
        - {id: after, set: {state: "{{ steps.block.state }}"}}
    """)
    incident = opened()
    with unit_of_work() as uow:
        run = runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident))).id
    drain("core.outbox", "playbooks.runs")
    (task,) = open_tasks(incident)
    assert task.title == "Block"
    with reading() as session:
        assert list(session.scalars(select(ActionCall))) == []
    assert run_of(run).state == "waiting"


def test_a_block_goes_through_the_door_and_back(drain: Drain) -> None:
    publish("- {id: block, action: network.block_ip, with: {ip: '{{ incident.ip }}'}, undo_after: 1h}")
    with unit_of_work() as uow:
        from connectors import instances

        instances.create(uow, SYSTEM, connector="blocklist", name="block-list")
    incident = opened()
    with unit_of_work() as uow:
        run = runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident))).id
    drain()
    assert (run_of(run).state, attempts_of(run)) == ("succeeded", {"block": "succeeded"})
    with reading() as session:
        (call,) = session.scalars(select(ActionCall))
        assert (call.state, call.run, call.undo_after_seconds) == ("succeeded", str(run), 3600)
        verbs = [entry.verb for entry in journal.entries(session, ref=Ref("run", str(run)))]
    assert verbs[0] == "run.ended"
    assert {"action.intended", "action.finished"} <= set(verbs)


PAGING = """
    - {id: look, task: "Look at {{ incident.title }}"}
    - {id: wake, page: {policy: critical, message: "{{ incident.key }}: {{ incident.title }} needs a lead"}}
    - {id: again, page: {policy: critical, message: "{{ incident.key }} still needs a lead"}}
    - {id: tell, message: {channel: inbox, to: "user:rita@example.org", title: "{{ incident.title }}", text: "{{ incident.title }}"}}
    - {id: tell_reader, message: {channel: inbox, to: "user:mara@example.org", text: "{{ incident.title }}"}}
"""


@pytest.fixture
def policy(people) -> None:
    with unit_of_work() as uow:
        target = (Target("user", people.rita.id),)
        draft = PolicyDraft(
            name="default", description="", steps=(StepDraft(target, delay=300), StepDraft((Target("user", people.mara.id),), delay=300)),
            repeat=1, catch_all=target, is_default=True,
        )  # fmt: skip
        create_policy(uow, SYSTEM, draft)


def pages_of(incident: UUID) -> list[Page]:
    with reading() as session:
        return list(session.scalars(select(Page).where(Page.subject_id == str(incident)).order_by(Page.id)))


def steps_taken(page: Page) -> list[int]:
    with reading() as session:
        return sorted(session.scalars(select(PageTarget.step).where(PageTarget.page_id == page.id)))


def test_an_incident_that_rings_already_is_not_rung_for_twice(
    drain: Drain, people, policy: None, clock
) -> None:
    publish(PAGING)
    incident = opened()
    with unit_of_work() as uow:
        run = runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident))).id
    drain("core.outbox", "playbooks.runs")
    clock.advance(seconds=61)
    with unit_of_work() as uow:
        assert reaching.page_unattended(uow) == 1
    (first,) = pages_of(incident)
    assert steps_taken(first) == [0]
    complete(people.rita, *open_tasks(incident))
    drain("core.outbox", "playbooks.runs")
    assert run_of(run).state == "succeeded"
    (page,) = pages_of(incident)
    assert (page.id, page.severity, page.step) == (first.id, "critical", 1)
    assert steps_taken(page) == [0, 1]
    assert page.message.startswith(f"{page.title.partition(':')[0]} still needs a lead")
    with reading() as session:
        told = [
            (entry.verb, entry.body.get("worse"))
            for entry in journal.entries(session, ref=Ref("page", str(page.id)))
        ]
    assert ("page.joined", True) in told
    assert ("page.joined", False) in told


def test_what_a_playbook_begins_for_is_left_to_it(policy: None) -> None:
    publish("- {id: note, task: {title: Look}}", head="triggers: [{on: incident.opened}]\n")
    (done,) = take(draft())
    assert done.incident_id is not None
    assert pages_of(done.incident_id) == []


def test_somebody_who_has_acknowledged_hears_of_what_is_new(
    drain: Drain, people, policy: None, clock
) -> None:
    publish("- {id: wake, page: {policy: default, message: It ran}}")
    incident = opened()
    clock.advance(seconds=61)
    with unit_of_work() as uow:
        reaching.page_unattended(uow)
    with unit_of_work() as uow:
        delivery.acknowledge(uow, people.rita, pages_of(incident)[0].id, "web")
    with unit_of_work() as uow:
        runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident)))
    drain("core.outbox", "playbooks.runs")
    assert [page.state for page in pages_of(incident)] == ["acknowledged", "waiting"]


def test_what_is_told_of_a_restricted_incident_names_its_key_alone(
    drain: Drain, people, policy: None
) -> None:
    publish(PAGING)
    incident = opened(title="Secret of the board", restricted_to=[str(people.mara.user_id)])
    with unit_of_work() as uow:
        runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident)))
    drain("core.outbox", "playbooks.runs")
    complete(people.mara, *open_tasks(incident))
    drain("core.outbox", "playbooks.runs")
    (page,) = pages_of(incident)
    with reading() as session:
        key = session.get_one(Incident, incident).key
        to_rita, to_mara = session.scalars(
            select(Message).where(Message.subject_id == str(incident)).order_by(Message.id)
        )
    assert (page.title, page.message) == (
        f"{key}: a restricted incident needs somebody",
        "Ask one of its readers.",
    )
    assert (to_rita.title, to_rita.text) == (page.title, page.message)
    assert to_mara.text == "Secret of the board"


def test_an_update_changes_the_record_and_later_steps_see_it(drain: Drain) -> None:
    publish("""
        - {id: raise, update: {severity: critical, tags_add: [domain-controller], confirmation: suspected, reason: It is one}}
        - {id: seen, when: 'incident.severity == "critical" && "domain-controller" in incident.tags', set: {seen: true}}
    """)
    incident = opened()
    with unit_of_work() as uow:
        run = runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident))).id
    drain("core.outbox", "playbooks.runs")
    with reading() as session:
        row = session.get_one(Incident, incident)
        (kind,) = {step.kind for step in storing.plan_of(session, run_of(run).version_id).steps.values()} - {
            "set"
        }
    assert (row.severity, row.confirmation, row.tags) == ("critical", "suspected", ["domain-controller"])
    assert (kind, run_of(run).variables) == ("update", {"": {"seen": True}})


def test_no_template_closes_an_incident_by_an_update(drain: Drain) -> None:
    publish("- {id: close, update: {stage: \"{{ 'closed' }}\"}, on_error: continue}")
    incident = opened()
    with unit_of_work() as uow:
        run = runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident))).id
    drain("core.outbox", "playbooks.runs")
    assert (run_of(run).state, attempts_of(run)) == ("succeeded", {"close": "failed"})


FIRST = """
    - {id: wake, page: {policy: default, first: [communications, owner, "user:ana@example.org", "user:nobody"], message: "The update is overdue"}}
"""


def test_a_page_reaches_those_with_a_part_before_the_policy(drain: Drain, people, policy: None) -> None:
    publish(FIRST)
    incident = opened()
    with unit_of_work() as uow:
        row = uow.get_one(Incident, incident)
        row.communications_id, row.owner_id = people.raul.user_id, people.mara.user_id
    with unit_of_work() as uow:
        runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident)))
    drain("core.outbox", "playbooks.runs")
    (page,) = pages_of(incident)
    reached = [target["id"] for step in page.plan["steps"] for target in step["targets"]]
    assert reached == [str(one.id) for one in (people.raul, people.mara, people.ana, people.rita, people.mara)]
    assert steps_taken(page) == [0], "one after the other"


def test_an_outage_knows_what_else_rang_in_the_same_minute(people) -> None:
    incident, other = opened(category="availability", title="Shop is down"), opened()
    take(low(title="Disk full"), low(title="Database is down", rule_id="2", fingerprint=(("rule", "2"),)))
    with reading() as session:
        assert sorted(record.facts(session, incident)["same_minute"]) == ["Database is down (wazuh)", "Disk full (wazuh)"]
        assert record.facts(session, other)["same_minute"] == []


def test_an_outage_is_over_when_every_source_says_so(people) -> None:
    (done,) = take(draft(severity=Severity.high, category="availability"))
    incident = done.incident_id
    assert incident is not None
    with reading() as session:
        assert record.facts(session, incident)["recovered"] is False
    take(draft(severity=Severity.high, category="availability", status="resolved"))
    by_hand = opened(category="availability")
    with reading() as session:
        assert record.facts(session, incident)["recovered"] is True
        assert record.facts(session, by_hand)["recovered"] is False, "nobody watches it but people"


def test_an_update_watches_values_for_a_time(drain: Drain, people) -> None:
    publish("""
    - {id: keep, update: {watch: ["{{ incident.observables.ip }}", "{{ incident.host or '' }}"], watch_for: 14d, reason: They come back}}
""")
    incident = opened(observables=[("host", "web01"), ("ipv4-addr", "185.220.101.4")])
    with unit_of_work() as uow:
        runs.start(uow, SYSTEM, playbook="p", subject=Ref("incident", str(incident)))
    drain("core.outbox", "playbooks.runs")
    with reading() as session:
        kept = [(row.entity_value, row.state, (row.expires_at - row.created_at).days) for row in session.scalars(select(Countermeasure))]
    assert sorted(kept) == [("185.220.101.4", "watched", 14), ("web01", "watched", 14)]


def test_malware_knows_the_week_of_its_host_and_whether_it_is_protected(people) -> None:
    incident, other = opened(observables=[("host", "web01")]), opened(category="availability", observables=[("host", "web01")])
    take(low(title="Macro opened"), low(title="Elsewhere", rule_id="3", fingerprint=(("rule", "3"),), entities=(Entity("host", "web02", "victim"),)))
    with unit_of_work() as uow:
        rails.protect(uow, SYSTEM, kind="host", value="web*", reason="The shop runs on it")
    with reading() as session:
        known = record.facts(session, incident)
        assert [one.partition(",")[0] for one in known["host_alerts"]] == ["Macro opened (low"]
        assert known["host_protected"] == "The shop runs on it"
        assert [record.facts(session, other)[name] for name in ("host_alerts", "host_protected")] == [[], None]
