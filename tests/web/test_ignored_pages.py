"""Ignoring alerts for a time from their page, from their source's and while closing an incident as nothing; over the API, too."""

import re
from uuid import UUID

import pytest
from at_the_pages import Reader
from incident_bench import alert, draft, incident, take
from people_here import People
from sqlalchemy import select

from cli import assemble
from core.actors import SYSTEM
from core.auth import tokens
from core.db import reading, unit_of_work
from core.types import Severity
from incidents.acceptance_models import Acceptance
from incidents.models import Incident
from incidents.opening import SourceFacts
from ingest import sources

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()
HOST = "host|target|web01"


def rows() -> list[Acceptance]:
    with reading() as session:
        return list(session.scalars(select(Acceptance).order_by(Acceptance.id)))


def test_from_an_alert_to_the_list_and_back(people: People) -> None:
    (seen,) = take(draft(severity=Severity.low))
    rita, page = Reader(people.rita), f"/alerts/{seen.alert_id}"
    assert f"{page}/ignore" in rita.get(page)
    form = rita.get(f"{page}/ignore")
    assert form.index(HOST) < form.index("ipv4-addr|source|203.0.113.7"), "a host comes first"
    wrong = rita.post(f"{page}/ignore", 422, entity=HOST, days="30", reason="", owner=people.rita.id).text
    assert "Say why" in wrong
    rita.post(f"{page}/ignore", entity=HOST, days="30", reason="our scanner", owner=people.raul.id)
    (made,) = rows()
    assert (made.owner_id, made.reason) == (people.raul.user_id, "our scanner")
    take(draft(severity=Severity.low))
    listed = rita.get("/ignored")
    assert "our scanner" in listed
    assert "Raul" in listed
    assert re.search(rf'href="/alerts\?ignored={made.id}&amp;state=all">1×', listed)
    assert "Brute force" in rita.get(f"/alerts?ignored={made.id}&state=all")
    assert "Brute force" not in rita.get("/alerts?ignored=no&state=all")
    rita.post(f"/ignored/{made.id}/extend", days="90")
    assert rows()[0].until > made.until
    rita.post(f"/ignored/{made.id}/end")
    assert rita.get("/ignored").count("our scanner") == 0
    assert "our scanner" in rita.get("/ignored?state=ended")
    aldo = Reader(people.aldo)
    assert "Ignore for a time" not in aldo.get(page)
    aldo.post(f"{page}/ignore", 403, entity=HOST, days="30", reason="x", owner=people.aldo.id)


def test_one_press_closes_what_was_nothing(people: People) -> None:
    (seen,) = take(draft())
    key = incident(seen.incident_id).key
    rita = Reader(people.rita)
    assert f'href="/incidents/{key}/false-positive" data-key="f"' in rita.get(f"/incidents/{key}")
    rita.get(f"/incidents/{key}/false-positive")
    rita.post(f"/incidents/{key}/false-positive", disposition="false_positive", said="", days="")
    done = incident(seen.incident_id)
    assert (done.disposition, done.summary) == ("false_positive", "The rule or its data is wrong")
    assert rows() == []


def test_closing_and_ignoring_are_one_move_and_critical_asks_twice(people: People) -> None:
    (seen,) = take(draft(severity=Severity.critical))
    key = incident(seen.incident_id).key
    rita, page = Reader(people.rita), f"/incidents/{incident(seen.incident_id).key}/false-positive"
    field = f"{seen.alert_id}|{HOST}"
    assert f'value="{field}"' in rita.get(page)
    given = {"disposition": "authorised_test", "said": "red team", "days": "7", "ignore": field}
    asked = rita.post(page, 422, **given).text
    assert "ignore even critical ones" in asked
    assert incident(seen.incident_id).closed_at is None, "both or neither"
    rita.post(page, **given, criticals="yes")
    assert incident(seen.incident_id).disposition == "authorised_test"
    (made,) = rows()
    assert (made.criticals, made.reason) == (True, "red team")
    (again,) = take(draft(severity=Severity.critical))
    assert again.incident_id is None
    assert "as Rita said: red team" in Reader(people.aldo).get(f"/alerts/{again.alert_id}")
    assert key in rita.get("/incidents?state=closed")


def test_a_source_says_what_rings_most(people: People) -> None:
    with unit_of_work() as uow:
        made, _ = sources.create(uow, SYSTEM, name="lab", connector="generic_json")
    facts = SourceFacts(made.id, "lab", "generic_json")
    take(*[draft(severity=Severity.low) for _ in range(7)], source=facts)
    rita = Reader(people.rita)
    page = rita.get("/settings/sources/lab")
    assert "7× ·" in page
    found = re.search(r"/alerts/([0-9a-f-]{36})/ignore", page)
    assert found
    rita.post(f"/alerts/{found[1]}/ignore", entity=HOST, days="7", reason="lab", owner="")
    assert "1 thing of it is ignored" in rita.get("/settings/sources/lab")
    assert "7× ·" not in rita.get("/settings/sources/lab")


def test_the_api_can_do_the_same(people: People) -> None:
    (seen,) = take(draft(severity=Severity.low))
    with unit_of_work() as uow:
        given = ["incident.read", "alert.accept"]
        token = tokens.create(uow, people.ana, name="bot", scopes=given)[1]
    api = Reader()
    bearer = {"Authorization": f"Bearer {token}"}

    def ask(method: str, path: str, status: int = 200, **more: object) -> dict[str, object]:
        answer = api._send(method, f"/api/v1{path}", headers=bearer, **more)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    said = {
        "alert": str(seen.alert_id), "entity_type": "host", "entity_value": "web01", "entity_role": "target", "days": 7,
        "reason": "lab",
    }  # fmt: skip
    refused = ask("POST", "/acceptances", 422, json=said | {"days": 8})
    assert {one["path"] for one in refused["problems"]} == {"days", "owner"}  # type: ignore[attr-defined]  # objects
    said["owner_id"] = people.rita.id
    made = ask("POST", "/acceptances", 201, json=said)
    assert ask("GET", f"/acceptances/{made['id']}")["hidden"] == 0
    ask("POST", f"/acceptances/{made['id']}/extend", json={"days": 90})
    take(draft(severity=Severity.low))
    (one,) = ask("GET", "/acceptances")["items"]  # type: ignore[misc]  # a list of objects
    assert one["hidden"] == 1  # type: ignore[index]  # an object
    listed = ask("GET", f"/alerts?acceptance={made['id']}")["items"]
    assert [row["id"] for row in listed] == [str(seen.alert_id)]  # type: ignore[attr-defined]  # as above
    ask("POST", f"/acceptances/{made['id']}/end")
    assert ask("GET", "/acceptances")["items"] == []
    assert len(ask("GET", "/acceptances?state=ended")["items"]) == 1  # type: ignore[arg-type]  # as above
    assert alert(UUID(str(made["alert_id"]))).acceptance_id is not None
    with reading() as session:
        assert session.scalars(select(Incident)).all() == []


def test_the_loudest_of_a_source_lead_to_the_form_with_rule_and_host_filled_in(people: People) -> None:
    with unit_of_work() as uow:
        made, _secret = sources.create(uow, SYSTEM, name="wazuh", connector="wazuh")
    source = SourceFacts(made.id, made.name, made.connector)
    take(*[draft(severity=Severity.low) for _ in range(3)], source=source)
    rita = Reader(people.rita)
    page = rita.get("/settings/sources/wazuh")
    chip = re.search(r'href="(/alerts/[^"]+/ignore)\?([^"]+)">.*?Ignore it from web01 for 30 days, because', page, re.DOTALL)
    assert chip is not None
    form = rita.get(f"{chip[1]}?{chip[2].replace('&amp;', '&')}")
    assert f'value="{HOST}" required checked' in form
    assert 'value="30" required checked' in form
    there = rita.post(chip[1], entity=HOST, days="30", reason="knocks all day", owner=people.rita.id, back="source")
    assert there.headers["location"] == "/settings/sources/wazuh"
    assert "Ignore it from web01" not in rita.get("/settings/sources/wazuh")
    odd = rita.get(f"{chip[1]}?days=9999&entity=host|target|elsewhere&back=//evil.example")
    assert f'value="{HOST}" required checked' in odd
    assert 'value="30" required checked' in odd
    assert rita.post(chip[1], entity="ipv4-addr|source|203.0.113.7", days="7", reason="x", owner=people.rita.id,
                     back="//evil.example").headers["location"] == "/ignored"  # fmt: skip
