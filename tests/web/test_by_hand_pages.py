"""An action by hand in the browser and over the API: shown first, done once, its outcome beside the value."""

import html
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import respx
from at_the_pages import Reader
from incident_bench import draft, take
from people_here import People, unproved
from sqlalchemy import select

from cli import assemble
from connectors import instances, rails
from connectors.contract import Entity
from connectors.models import ActionCall
from core.actors import SYSTEM
from core.auth import tokens
from core.db import reading, unit_of_work
from incidents.models import Incident, Task
from incidents.observables import observable_id

pytestmark = pytest.mark.usefixtures("sqlite_database")
Drain = Callable[..., int]

assemble.load()

IP = observable_id("ipv4-addr", "203.0.113.7")
USER = observable_id("user", "m.ortiz")
HOST = observable_id("host", "web01")
VT = "https://www.virustotal.com/api/v3/ip_addresses/203.0.113.7"


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def key(people: People) -> str:
    """The key of an incident with a host and an address; VirusTotal, the block list and Okta are configured."""
    with unit_of_work() as uow:
        given: list[tuple[str, dict[str, Any], dict[str, str]]] = [
            ("virustotal", {"base_url": "https://www.virustotal.com"}, {"api_key": "00-secret"}),
            ("blocklist", {}, {}),
            ("okta", {"base_url": "https://acme.okta.com"}, {"token": "t"}),
        ]
        for name, settings, secrets in given:
            instances.create(uow, SYSTEM, name=name, connector=name, settings=settings, secrets=secrets)
    user = Entity("user", "m.ortiz", "target")
    (done,) = take(draft(entities=(Entity("host", "web01", "target"), user, Entity("ipv4-addr", "203.0.113.7", "source"))))
    with reading() as session:
        return session.get_one(Incident, done.incident_id).key


def test_a_look_up_is_shown_first_and_its_answer_stands_beside_the_value(
    people: People, key: str, drain: Drain
) -> None:
    rita = Reader(people.rita)
    assert f'href="/incidents/{key}/act?do=intel.ip&amp;of={IP}"' in rita.get(f"/incidents/{key}")
    page = rita.get(f"/incidents/{key}/act?do=intel.ip&of={IP}")
    assert VT in page
    assert "00-secret" not in page
    with reading() as session:
        assert not session.scalars(select(ActionCall)).all(), "looking at it does nothing"
    sent = {"do": "intel.ip", "of": str(IP), "key": "one-form-sent-twice", "bound": "1"}
    with respx.mock:
        answer = {"data": {"attributes": {"last_analysis_stats": {"malicious": 7}, "country": "NL"}}}
        asked = respx.get(VT).respond(200, json=answer)
        first, _ = (rita.post(f"/incidents/{key}/act", **sent) for _ in range(2))
        assert first.headers["Location"] == f"/incidents/{key}#of-{IP}"
        drain("connectors.calls")
        assert asked.call_count == 1
    told = text_of(rita.get(f"/incidents/{key}"))
    assert "intel.ip" in told or "virustotal.ip_report" in told
    assert "malicious 7" in told
    assert "country NL" in told


def test_a_block_says_what_it_touches_and_is_typed(people: People, key: str, drain: Drain) -> None:
    rita = Reader(people.rita)
    path = f"/incidents/{key}/act?do=network.block_ip&of={IP}"
    page = text_of(rita.get(path))
    for said in ("Block an address", "nothing protected is touched", "ends by itself after 1 h", "type APPROVE", "It can be taken back"):
        assert said in page, said
    sent = {"do": "network.block_ip", "of": str(IP), "key": "a-block-by-hand", "bound": "1", "reason": "it scans", "lasts": "4"}
    assert "type APPROVE" in text_of(rita.post(f"/incidents/{key}/act", 422, **sent).text)
    unshown = Reader(unproved(people.rita)).post(f"/incidents/{key}/act", 403, **sent, word="approve")
    assert "second factor" in unshown.text
    rita.post(f"/incidents/{key}/act", **sent, word="approve")
    drain("connectors.calls")
    page = text_of(rita.get(f"/incidents/{key}"))
    assert "1 Proposed" in page or "Proposed" in page, "published; in force once a firewall has fetched it"
    assert "In force already" not in text_of(rita.get(path))
    for who in (people.mara, people.aldo):
        Reader(who).get(path, 403)
        assert "/act?do=" not in Reader(who).get(f"/incidents/{key}")


def test_what_more_must_be_told_is_asked_for_first(people: People, key: str) -> None:
    rita = Reader(people.rita)
    path = f"/incidents/{key}/act?do=identity.remove_factor&of={USER}"
    page = rita.get(path)
    assert 'name="input.factor"' in page
    assert "type APPROVE" not in page
    told = rita.get(f"{path}&input.factor=opf3hkfocI4JTLAju0g4")
    assert "type APPROVE" in told
    assert '<input type="hidden" name="input.factor" value="opf3hkfocI4JTLAju0g4">' in told


def test_a_protected_value_has_no_button_and_an_unbound_verb_becomes_a_task(people: People, key: str) -> None:
    rita = Reader(people.rita)
    with unit_of_work() as uow:
        rails.protect(uow, people.mara, kind="network", value="203.0.113.0/24", reason="our own range")
    page = text_of(rita.get(f"/incidents/{key}/act?do=network.block_ip&of={IP}"))
    assert "our own range" in page
    assert "Do it" not in page
    path = f"/incidents/{key}/act?do=edr.isolate_host&of={HOST}"
    assert "Take web01 off the network" in text_of(rita.get(path))
    made = rita.post(f"/incidents/{key}/act", do="edr.isolate_host", of=str(HOST), key="a-task-by-hand", reason="x")
    with reading() as session:
        (task,) = session.scalars(select(Task))
    assert made.headers["Location"] == f"/incidents/{key}#task-{task.id}"
    rita.get(f"/incidents/{key}/act?do=edr.isolate_host&of={IP}", 404)
    rita.get(f"/incidents/{key}/act?do=intel.ip&of={UUID(int=5)}", 404)


def test_what_changed_since_it_was_shown_is_not_done(people: People, key: str) -> None:
    rita = Reader(people.rita)
    sent = {"do": "network.block_ip", "of": str(IP), "reason": "it scans"}
    answer = rita.post(f"/incidents/{key}/act", 409, **sent, key="shown-as-a-task")
    page = text_of(answer.text)
    assert "a product does it now" in page
    assert "Look again" in page
    assert "type APPROVE" in page, "what would be done now is shown"
    assert 'value="shown-as-a-task"' not in answer.text
    host = {"do": "edr.isolate_host", "of": str(HOST), "reason": "x", "bound": "1", "word": "APPROVE"}
    page = text_of(rita.post(f"/incidents/{key}/act", 409, **host, key="shown-as-a-call").text)
    assert "no product here can do it any more" in page
    assert "Make it a task" in page
    with reading() as session:
        assert not session.scalars(select(ActionCall)).all()
        assert not session.scalars(select(Task)).all()


def test_programs_look_things_up_and_may_not_disrupt(people: People, key: str) -> None:
    with unit_of_work() as uow:
        _, token = tokens.create(uow, people.ana, name="soar", scopes=["role:responder"])
    reader = Reader()

    def send(method: str, path: str, body: Any = None, idempotency: str = "a-key-of-a-program") -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": idempotency}
        return reader._send(method, f"/api/v1/incidents/{key}/actions{path}", json=body, headers=headers)

    names = [one["name"] for one in send("GET", "/offered?type=ipv4-addr").json()["items"]]
    assert {"intel.ip", "network.block_ip"} <= set(names)
    foreseen = send("GET", "/foreseen?action=intel.ip&type=ipv4-addr&value=203.0.113.7").json()
    assert (foreseen["at"], foreseen["requests"][0]["url"], foreseen["refused"]) == (["virustotal"], VT, None)
    body = {"action": "intel.ip", "type": "ipv4-addr", "value": "203.0.113.7"}
    made, again = (send("POST", "", body) for _ in range(2))
    assert (made.status_code, made.json()["call"]["state"]) == (202, "intended")
    assert made.json()["call"]["id"] == again.json()["call"]["id"]
    assert send("POST", "", {**body, "action": "network.block_ip"}, "another-key").status_code == 403
    assert send("POST", "", {**body, "value": "198.51.100.1"}, "a-third-key").status_code == 404
    task = send("POST", "", {"action": "edr.isolate_host", "type": "host", "value": "WEB01"}, "a-fourth-key")
    assert task.headers["Location"] == f"/api/v1/tasks/{task.json()['task']}"
    assert [one["asked"] for one in send("GET", "").json()["items"]] == ["intel.ip"]
