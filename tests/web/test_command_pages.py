"""Parts of an incident, stopping it and letting it go on, in the browser and over the API."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from at_the_pages import Reader
from incident_bench import opened
from people_here import People, unproved
from run_bench import begin, publish

from cli import assemble
from core.actors import SYSTEM
from core.auth import tokens
from core.db import unit_of_work
from core.types import Severity
from incidents import lifecycle
from notify.escalation import Target
from notify.oncall import policy_editing
from playbooks import ports

pytestmark = pytest.mark.usefixtures("sqlite_database")
Drain = Callable[..., int]

assemble.load()


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture(autouse=True)
def on_call(people: People) -> None:
    ports.use(None)
    with unit_of_work() as uow:
        target = (Target("user", str(people.mara.user_id)),)
        draft = policy_editing.PolicyDraft("default", (policy_editing.StepDraft(target, delay=300),), target, is_default=True)
        policy_editing.create_policy(uow, SYSTEM, draft)


def test_parts_stand_in_the_header_and_in_the_report(people: People) -> None:
    case = opened(title="Odd sign-in")
    rita = Reader(people.rita)
    path = f"/incidents/{case.key}"
    assert "Lead nobody" in text_of(rita.get(path))
    for part, who in (("lead", people.raul), ("scribe", people.rita), ("communications", people.mara)):
        rita.post(f"{path}/part", part=part, person=who.id)
    told = text_of(rita.get(path))
    assert "Lead Raul Scribe Rita Communications Mara" in told
    report = text_of(rita.get(f"/reports/{case.key}"))
    assert "Scribe Rita Communications Mara" in report
    rita.post(f"{path}/part", part="communications", person="")
    assert "Communications Mara" not in text_of(rita.get(path))
    rita.post(f"{path}/part", 422, part="scribe", person="somebody")
    Reader(people.aldo).post(f"{path}/part", 403, part="scribe", person=people.rita.id)


def test_a_report_has_all_its_headings_when_nothing_happened(people: People) -> None:
    told = text_of(Reader(people.rita).get(f"/reports/{opened(title='Odd sign-in').key}"))
    for heading, nothing in {
        "What products were asked to do": "No product was asked to do anything.",
        "Countermeasures": "No countermeasure was put in place.",
        "Who was woken": "Nobody was paged.",
        "Messages to others": "No message to others is recorded.",
        "What those who reported it were told": "Nothing was sent to whoever reported it.",
        "Tasks": "There was no task.",
        "Alerts": "No alert belongs to it.",
        "Observables": "No address, host or user is recorded.",
        "Time spent waiting": "It waited for nobody.",
        "Notes": "No note is written down.",
    }.items():
        assert f"{heading} {nothing}" in told, heading


def test_stop_and_call_the_lead_is_on_the_incident_and_on_its_run(people: People, drain: Drain) -> None:
    case = opened(title="Odd sign-in", severity=Severity.high)
    with unit_of_work() as uow:
        lifecycle.assign(uow, people.raul, case.id, people.raul.user_id)
    publish("- {id: ask, task: {title: Look}}\n- {id: then, task: {title: Then}}")
    run = begin(subject=case.ref)
    drain("playbooks.runs")
    rita, aldo = Reader(people.rita), Reader(people.aldo)
    path = f"/incidents/{case.key}"
    for page in (path, f"/runs/{run}"):
        assert f'action="{path}/stop"' in rita.get(page)
        assert f'action="{path}/stop"' not in aldo.get(page)
    done = rita.post(f"{path}/stop", reason="It locks out the <b>board</b>", run=str(run))
    assert done.headers["Location"] == f"/runs/{run}"
    for page in (path, f"/runs/{run}"):
        told = rita.get(page)
        assert "Stopped by Rita" in text_of(told)
        assert "&lt;b&gt;board" in told
        assert f'action="{path}/stop"' not in told
        assert "Held" in text_of(told)
        assert f'action="{path}/let-go"' in told
        assert f'action="{path}/let-go"' not in aldo.get(page)
    assert "stopped, and you are called" in text_of(Reader(people.raul).get("/"))
    rita.post(f"{path}/stop", 409, reason="again")
    assert "second factor" in Reader(unproved(people.rita)).post(f"{path}/let-go", 403, reason="x").text
    rita.post(f"{path}/let-go", 422, reason="")
    back = rita.post(f"{path}/let-go", reason="it was the right account", run=str(begin(subject=opened().ref)))
    assert back.headers["Location"] == path, "a run of another incident is not gone back to"
    assert "Stopped by" not in text_of(rita.get(path))


def test_programs_name_people_and_stop_but_do_not_let_go(people: People) -> None:
    case = opened(title="Odd sign-in")
    with unit_of_work() as uow:
        _, token = tokens.create(uow, people.ana, name="soar", scopes=["role:responder"])
    reader = Reader()

    def send(method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return reader._send(method, f"/api/v1/incidents/{case.key}{path}", json=body, headers=sent)

    made = send("POST", "/part", {"part": "scribe", "user_id": people.rita.id})
    assert made.json() == {"lead": None, "scribe": people.rita.id, "communications": None}
    assert send("GET", "").json()["scribe_id"] == people.rita.id
    assert send("POST", "/part", {"part": "scribe", "user_id": None}, If_Match='"1"').status_code == 412
    assert send("GET", "/hold").json() is None
    stopped = send("POST", "/stop", {"reason": "the wrong account"})
    assert (stopped.status_code, stopped.json()["paged"]) == (200, True)
    assert send("GET", "/hold").json()["reason"] == "the wrong account"
    assert send("POST", "/let-go", {"reason": "fine"}).status_code == 409
