"""The search page and the API's observables: keys, values, words, hostile text, and nobody sees more than they may."""

import json
import re

import pytest
from at_the_pages import Reader, text_of
from incident_bench import draft, take
from people_here import People

from cli import assemble
from connectors.contract import Entity
from connectors.models import ActionCall, Countermeasure
from core.auth import users
from core.db import unit_of_work
from incidents import indexing
from incidents.models import Incident

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()

HOSTILE = "<script>alert(1)</script> \u202eevil https://evil.example/x"


def heading(page: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert found
    return text_of(found[1])


@pytest.fixture
def case(people: People) -> Incident:
    """One incident with an address and a host, findable."""
    (done,) = take(draft(title="Mimikatz on finance-7"))
    with unit_of_work() as uow:
        assert done.incident_id is not None
        indexing.index_alerts(uow)
        indexing.index_incident(uow, done.incident_id)
        found = uow.get(Incident, done.incident_id)
        assert found is not None
        return found


def test_an_empty_search_says_what_can_be_searched(people: People) -> None:
    page = Reader(people.rita).get("/search")
    assert heading(page) == "Search everything"
    assert "2026-42" in page
    assert "A file's hash" in text_of(page)


def test_a_key_goes_straight_to_its_incident(people: People, case: Incident) -> None:
    rita = Reader(people.rita)
    short = f"2026-{int(case.key.rpartition('-')[2])}"
    for asked in (case.key, case.key.lower(), short):
        answer = rita._send("GET", f"/search?q={asked}")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/incidents/{case.key}")
    page = rita.get("/search?q=INC-2026-009999")
    assert "There is no incident INC-2026-009999, or you may not see it" in text_of(page)


def test_an_address_tells_where_it_was_seen(people: People, case: Incident) -> None:
    rita = Reader(people.rita)
    for asked in ("203.0.113.7", "203[.]0[.]113[.]7", "203.0.113[.]7"):
        page = rita.get(f"/search?q={asked}")
        assert heading(page) == "203.0.113[.]7 was seen in 1 incident and 1 alert"
        assert case.key in page
    assert "Never seen" in text_of(rita.get("/search?q=198.51.100.99"))


def test_words_and_hosts_find_titles(people: People, case: Incident) -> None:
    rita = Reader(people.rita)
    assert "Mimikatz on finance-7" in text_of(rita.get("/search?q=mimikatz+fin"))
    assert "in 1 incident" in text_of(rita.get("/search?q=web01"))
    assert "Nothing found for" in heading(rita.get("/search?q=nothing+of+the+kind"))


def test_what_stands_against_a_value_is_told(people: People, case: Incident) -> None:
    with unit_of_work() as uow:
        call = ActionCall(
            key="k", asked="network.block_ip", effect="disruptive", subject_kind="incident", subject_id=str(case.id),
            actor_kind="system", actor_id="tocsin", actor_name="Tocsin", trust="normal", tlp="amber", inputs={},
            created_at=uow.now,
        )  # fmt: skip
        uow.add(call)
        uow.flush()
        stands = Countermeasure(
            call_id=call.id, subject_kind="incident", subject_id=str(case.id), action="blocklist.block_ip",
            entity_type="ipv4-addr", entity_value="203.0.113.7", state="active", created_at=uow.now,
        )  # fmt: skip
        uow.add(stands)
        number = call.id
    assert f"/calls/{number}" in Reader(people.rita).get("/search?q=203.0.113.7")


def test_hostile_text_is_shown_and_never_acts(people: People) -> None:
    (done,) = take(draft(title=HOSTILE, entities=(Entity("user", "evil<b>", "victim"),)))
    with unit_of_work() as uow:
        indexing.index_alerts(uow)
    assert done.incident_id is not None
    page = Reader(people.rita).get("/search?q=evil")
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert not re.search(r'href="[^"]*evil\.example', page)
    asked = Reader(people.rita).get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE")
    assert "<script>alert" not in asked
    assert "\u202e" not in text_of(asked)


def test_a_restricted_incident_is_found_by_nobody_else(people: People, case: Incident) -> None:
    with unit_of_work() as uow:
        row = uow.get(Incident, case.id)
        assert row is not None
        row.restricted_to = [str(people.mara.id)]
    rita, mara = Reader(people.rita), Reader(people.mara)
    assert rita._send("GET", f"/search?q={case.key}").status_code == 200
    for asked in ("203.0.113.7", "mimikatz", case.key):
        assert "Mimikatz on finance-7" not in rita.get(f"/search?q={asked}")
    assert "Never seen" in text_of(rita.get("/search?q=203.0.113.7"))
    assert "Mimikatz on finance-7" in mara.get("/search?q=203.0.113.7")
    (found,) = json.loads(rita.get("/api/v1/observables?q=203.0.113.7"))["items"]
    assert (found["incidents"], found["alerts"], found["incident_keys"], found["first_seen"]) == (
        0,
        0,
        [],
        None,
    )


def test_the_api_tells_where_a_value_was_seen(people: People, case: Incident) -> None:
    rita = Reader(people.rita)
    (found,) = json.loads(rita.get("/api/v1/observables?q=203.0.113[.]7"))["items"]
    assert (found["type"], found["value"], found["defanged"]) == ("ipv4-addr", "203.0.113.7", "203.0.113[.]7")
    assert (found["incidents"], found["alerts"], found["incident_keys"]) == (1, 1, [case.key])
    assert json.loads(rita.get("/api/v1/observables?q=%20%20a%20b"))["items"] == []
    rita.get("/api/v1/observables?q=", 422)
    Reader().get("/api/v1/observables?q=web01", 401)


def test_a_stranger_is_sent_to_sign_in(people: People) -> None:
    with unit_of_work() as uow:
        assert users.everyone(uow)
    Reader().get("/search?q=x", 303)
