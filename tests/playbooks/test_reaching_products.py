"""With products connected, the shipped playbooks look and act there; people only decide and do what no product can."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from held_time import HeldClock
from incident_bench import draft, take
from sqlalchemy import select

from cli import assemble
from connectors import instances
from connectors.models import ActionCall, Countermeasure
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.types import Severity
from incidents import lifecycle, tasks
from incidents.lifecycle import IncidentDraft
from incidents.models import Task
from playbooks import ports, publishing, runs
from playbooks.models import PlaybookRun, StepAttempt, Wait

TENANT = {"tenant": "7d1a0000-0000-4000-8000-000000000001", "client_id": "abc"}
GRAPH = "https://graph.microsoft.com/v1.0"
JO = f"{GRAPH}/users/jo%40acme.example"
DEFENDER = "https://api.security.microsoft.com/api"
SAID = {  # what people answer, by how a task's title begins
    "Attach the original": {"sender": "bad@evil.example", "message_id": "<wave-1@evil.example>", "passed": "fail"},
    "Is it malicious": {"verdict": "malicious"},
    "Write down who may have clicked": {"people": ["jo@acme.example"]},
    "Phone jo@acme.example": {"clicked": True, "typed": True, "approved": False, "file": False},
    "Look at app-07": {"stopped": "no", "ran": "yes", "kind": "workstation"},
    "Does somebody sit": {"hands_on": "no"},
    "How did it get in": {"how": "mail"},
    "Look at what the hunt": {"more": "no"},
    "Reinstall": {"done": "rebuilt"},
}  # fmt: skip
WHATEVER = {"answer": "no", "because": "nothing was reached"}


@pytest.fixture(autouse=True)
def connected(database: object) -> None:
    assemble.load()
    ports.use(None)
    publishing.load_at_start()
    with unit_of_work() as uow:
        secret = {"client_secret": "s3cret-value"}
        instances.create(
            uow, SYSTEM, name="m365", connector="microsoft365", settings=dict(TENANT), secrets=secret
        )
        instances.create(
            uow, SYSTEM, name="mde", connector="defender_xdr", settings=dict(TENANT), secrets=secret
        )
        instances.create(
            uow, SYSTEM, name="logs", connector="opensearch",
            settings={"base_url": "https://indexer.example:9200"}, secrets={"user": "tocsin", "password": "s3cret-value"},
        )  # fmt: skip


@pytest.fixture
def vendors() -> Iterator[respx.MockRouter]:
    mails = [
        {"networkMessageId": "73ca4154", "recipientEmailAddress": f"{who}@acme.example"}
        for who in ("jo", "al")
    ]
    with respx.mock(assert_all_called=False) as router:
        router.post(url__startswith="https://login.microsoftonline.com/").respond(
            json={"access_token": "t0ken", "expires_in": 3600}
        )
        router.post(f"{GRAPH}/security/runHuntingQuery").respond(json={"results": mails})
        router.post(f"{GRAPH}/security/collaboration/analyzedEmails/remediate").respond(202)
        router.post(f"{JO}/revokeSignInSessions").respond(json={"value": True})
        router.patch(JO).respond(204)
        router.get(url__startswith=f"{JO}/authentication").respond(json={"value": []})
        router.get(url__startswith=f"{JO}/mailFolders").respond(
            json={
                "value": [{"id": "AQ==", "displayName": ".", "isEnabled": True, "actions": {"delete": True}}]
            }
        )
        router.get(JO).respond(json={"id": "7d54cb02", "accountEnabled": True})
        router.get(url__startswith=f"{GRAPH}/users/7d54cb02/").respond(json={"value": []})
        router.post(url__startswith="https://indexer.example:9200/").respond(
            json={"timed_out": False, "hits": {"total": {"value": 3}, "hits": []}}
        )
        router.get(f"{DEFENDER}/machines").respond(json={"value": [{"id": "1e5b"}]})
        router.get(f"{DEFENDER}/machines/1e5b").respond(json={"id": "1e5b", "healthStatus": "Active"})
        router.post(f"{DEFENDER}/machines/1e5b/isolate").respond(201, json={"id": "a1", "status": "Pending"})
        router.post(f"{DEFENDER}/machines/1e5b/unisolate").respond(
            201, json={"id": "a2", "status": "Pending"}
        )
        router.get(f"{DEFENDER}/machineactions").respond(
            json={"value": [{"type": "Isolate", "status": "Succeeded"}]}
        )
        router.post(f"{DEFENDER}/indicators").respond(200, json={"id": "995"})
        router.get(f"{DEFENDER}/indicators").respond(json={"value": [{"id": "995", "action": "Block"}]})
        yield router


def opened(title: str, category: str, observables: list[tuple[str, str]]) -> UUID:
    with unit_of_work() as uow:
        draft = IncidentDraft(title=title, severity=Severity.high, category=category, observables=observables)
        return lifecycle.open_by_hand(uow, SYSTEM, draft).id


def waiting(incident: UUID) -> tuple[list[Task], list[Wait]]:
    """The open tasks of an incident, and what its runs ask for approval."""
    with reading() as session:
        mine = select(PlaybookRun.id).where(PlaybookRun.subject_id == str(incident))
        asked = select(Wait).where(
            Wait.run_id.in_(mine),
            Wait.kind == "approval",
            Wait.answered_at.is_(None),
            Wait.closed_at.is_(None),
        )
        todo = select(Task).where(Task.incident_id == incident, Task.status == "open").order_by(Task.id)
        return list(session.scalars(todo)), list(session.scalars(asked))


def work_through(
    incident: UUID, people: Any, drain: Callable[..., int], until: str, clock: HeldClock | None = None
) -> list[str]:
    """Do what the playbooks ask of people, up to the task whose title begins like this; the titles of all tasks done.

    With a clock, a minute passes each time, and what is in place is looked at.
    """
    done: list[str] = []
    for _ in range(60):
        drain("core.outbox", "playbooks.runs", "connectors.calls")
        if clock is not None:
            clock.advance(seconds=60)
            drain("connectors.countermeasures", "playbooks.runs")
        todo, asked = waiting(incident)
        for task in todo:
            if task.title.startswith(until):
                return done
            done.append(task.title)
            with unit_of_work() as uow:
                tasks.complete(uow, people.rita, task.id, answers(task))
        for wait in asked:
            whom = people.rita if "role:responder" in wait.detail["from"] else people.mara
            with unit_of_work() as uow:
                runs.answer(uow, whom, wait.id, {"approve": True})
    raise AssertionError(f"never came to {until}; done were {done}")


def answers(task: Task) -> Mapping[str, Any] | None:
    said = next((form for begin, form in SAID.items() if task.title.startswith(begin)), WHATEVER)
    return dict(said) if task.form else None


def called(incident: UUID) -> dict[str, tuple[str | None, str]]:
    """What was called for an incident: by verb, the product and what came of it."""
    with reading() as session:
        rows = session.scalars(select(ActionCall).where(ActionCall.subject_id == str(incident)))
        return {row.asked: (row.instance, row.state) for row in rows}


def test_phishing_is_searched_pulled_and_its_victims_contained(vendors, people, drain) -> None:
    incident = opened("Reported: your mailbox is full", "phishing", [])
    done = work_through(incident, people, drain, until="Before you close")
    assert called(incident) == dict.fromkeys(("mail.search", "mail.purge", "identity.revoke_sessions", "identity.reset_password", "identity.list_factors", "mail.list_rules", "identity.list_grants"), ("m365", "succeeded"))  # fmt: skip
    by_hand = [
        title for title in done if title.startswith(("Find everybody", "Pull", "End every", "Make jo"))
    ]
    assert by_hand == []
    pulled = [
        request
        for request, _ in vendors.calls
        if request.url.path.endswith("/remediate") and b"softDelete" in request.content
    ]
    assert len(pulled) == 1, "a mail is pulled once"
    with reading() as session:
        (stands,) = session.scalars(select(Countermeasure).where(Countermeasure.subject_id == str(incident)))
    assert (stands.action, stands.entity_value) == ("microsoft365.purge_mail", "wave-1@evil.example")
    with reading() as session:
        tasks_of = session.scalars(select(Task).where(Task.incident_id == incident))
        words = {task.title: task.instructions for task in tasks_of}
    assert (
        "It went to: jo@acme.example, al@acme.example."
        in words["Write down who may have clicked"]
    )
    assert 'AQ== "." if {} then {"delete": true}' in words["Look at what is still open for jo@acme.example"]


def test_malware_is_looked_up_contained_and_blocked(vendors, people, drain, clock) -> None:
    file = "9f2b6c0d1e4a5b7788990a1b2c3d4e5f60718293a4b5c6d7e8f9012a3b4c5d6e"
    incident = opened("Trojan on app-07", "malware", [("host", "app-07"), ("file-hash", file)])
    done = work_through(incident, people, drain, until="Reinstall", clock=clock)
    found = called(incident)
    assert {verb: found[verb] for verb in found if verb != "identity.revoke_sessions"} == {
        "edr.get_host": ("mde", "succeeded"),
        "edr.list_processes": ("m365", "succeeded"),
        "edr.hunt": ("logs", "succeeded"),
        "siem.search": ("logs", "succeeded"),
        "edr.isolate_host": ("mde", "succeeded"),
        "edr.block_hash": ("mde", "succeeded"),
    }
    assert not any(title.startswith(("Isolate", "Unplug", "Make sure that")) for title in done)
    isolated = [request for request, _ in vendors.calls if request.url.path.endswith("/isolate")]
    assert len(isolated) == 1


def test_isolation_that_the_product_never_confirms_wakes_the_lead_and_is_pulled_by_hand(
    vendors, people, drain, clock
) -> None:
    vendors.get(f"{DEFENDER}/machineactions").respond(json={"value": [{"type": "Isolate", "status": "Pending"}]})
    incident = opened("Trojan on app-07", "malware", [("host", "app-07")])
    begun = clock.now
    done = work_through(incident, people, drain, until="Unplug app-07", clock=clock)
    assert timedelta(minutes=10) <= clock.now - begun < timedelta(minutes=20)
    assert "Collect the evidence" not in done, "nothing goes on before somebody has pulled the plug"
    with reading() as session:
        query = select(StepAttempt.error).where(StepAttempt.path.endswith("/isolate"), StepAttempt.state == "failed")
        assert session.scalars(query).one() == "not confirmed within 10 min: it was accepted, but may not have happened"
    probes = [request for request, _ in vendors.calls if request.url.path.endswith("/machineactions")]
    assert len(probes) >= 10, "the product is asked at least each minute"


def test_a_leaked_secret_is_asked_after_where_it_was_reported(vendors, people, drain) -> None:
    with unit_of_work() as uow:
        instances.create(uow, SYSTEM, name="github", connector="github", secrets={"token": "s3cret-value"})
    asked = vendors.get("https://api.github.com/repos/acme/billing/secret-scanning/alerts/17").respond(
        json={"number": 17, "state": "open", "validity": "active"}
    )
    reported = draft(
        title="Exposed secret: a key", category="secret", entities=(), rule_id="aws_access_key_id",
        url="https://github.com/acme/billing/security/secret-scanning/17",
    )  # fmt: skip
    (taken,) = take(reported)
    assert taken.incident_id is not None
    work_through(taken.incident_id, people, drain, until="What kind of secret")
    assert called(taken.incident_id) == {"secret.get_status": ("github", "succeeded")}
    assert asked.call_count == 1
    (task,) = waiting(taken.incident_id)[0]
    assert "It says that it still works." in task.instructions


def test_a_product_that_refuses_leaves_the_work_to_people(vendors, people, drain) -> None:
    vendors.post(f"{DEFENDER}/machines/1e5b/isolate").mock(
        return_value=httpx.Response(403, json={"error": {"code": "Forbidden", "message": "no permission"}})
    )
    incident = opened("Trojan on app-07", "malware", [("host", "app-07")])
    work_through(incident, people, drain, until="Unplug app-07")
    assert called(incident)["edr.isolate_host"] == ("mde", "failed")
