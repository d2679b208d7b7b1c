"""Products in the browser and over the API: configured, checked, bound to verbs, tried; secrets never come out."""

import re
from typing import Any

import pytest
import respx
from at_the_pages import Reader, text_of, verbs_told
from people_here import People
from sqlalchemy import select

from cli import assemble
from connectors import calls, instances, rails
from connectors.calls import CallContext
from connectors.models import ActionCall, ConnectorInstance
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.types import Ref

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()

SECRET = "00-a-token-that-must-not-leak"


@pytest.fixture
def ana(people: People) -> Reader:
    """The administrator."""
    return Reader(people.ana)


@pytest.fixture
def okta(people: People) -> ConnectorInstance:
    """A configured Okta."""
    with unit_of_work() as uow:
        settings = {"base_url": "https://acme.okta.com"}
        return instances.create(
            uow, SYSTEM, name="okta", connector="okta", settings=settings, secrets={"token": SECRET}
        )


def test_every_product_has_a_page(ana: Reader) -> None:
    page = ana.get("/connectors")
    assert "No product is connected for acting yet" in text_of(page)
    for name in set(re.findall(r'href="/connectors/([a-z0-9_]+)"', page)) - {"verbs"}:
        told = text_of(ana.get(f"/connectors/{name}"))
        assert "What it can do" in told or "only listens" in told, name
    assert "Done by hand until a product is connected" in text_of(ana.get("/connectors/verbs"))
    ana.get("/connectors/nothing", 404)


def test_a_product_is_configured_checked_and_switched_without_showing_its_secret(ana: Reader) -> None:
    wrong = ana.post(
        "/connectors/http/instances", 422, name="A b", setting__base_url="ftp://x", secret__token=SECRET
    )
    assert "cannot be a product" in text_of(wrong.text)
    assert SECRET not in wrong.text
    # A port that nobody listens at: saved all the same, and told not to work.
    ana.post(
        "/connectors/http/instances",
        name="ticket-api",
        setting__base_url="http://127.0.0.1:9",
        secret__token=SECRET,
        private="1",
    )
    page = ana.get("/connectors/http")
    assert "does not answer" in text_of(page)
    assert SECRET not in page
    assert "token set" in text_of(page).lower()
    ana.post(
        "/connectors/http/instances/ticket-api", setting__base_url="http://127.0.0.1:10", secret__token=""
    )
    with reading() as session:
        row = instances.get(session, "ticket-api")
        assert row.settings["base_url"] == "http://127.0.0.1:10"
        assert instances.product_of(row).secrets == {"token": SECRET}, "an empty secret stays as it is"
        assert not row.private
        assert row.health == "failing"
    ana.post("/connectors/http/instances/ticket-api/check")
    ana.post("/connectors/http/instances/ticket-api/switch", enabled="no")
    assert "Use it again" in text_of(ana.get("/connectors/http"))
    ana.post("/connectors/slack/instances/ticket-api/check", 404)
    assert "1 product does not answer" not in text_of(ana.get("/connectors"))


def test_the_most_calls_of_a_product_are_shown_changed_and_waited_for(ana: Reader) -> None:
    own = {"setting__base_url": "https://www.virustotal.com", "secret__api_key": SECRET}
    with respx.mock(assert_all_called=False) as vendor:
        vendor.get(url__startswith="https://www.virustotal.com").respond(429, headers={"Retry-After": "600"})
        ana.post("/connectors/virustotal/instances", name="vt", **own)
        told = text_of(ana.get("/connectors/virustotal"))
        assert "4 in 1 min, 500 in 1 d as the vendor documents it" in told
        assert "It answered that it is called too often" in told
        wrong = ana.post("/connectors/virustotal/instances/vt", 422, rate="4 a minute", **own)
        assert "such as 4/1m" in text_of(wrong.text)
        assert 'value="4 a minute"' in wrong.text, "what was typed is not lost"
        ana.post("/connectors/virustotal/instances/vt", rate="600/1h", **own)
    assert "600 in 1 h" in text_of(ana.get("/connectors/virustotal"))
    with unit_of_work() as uow:
        actor = Actor(ActorKind.playbook, "r", "Enrich")
        ctx = CallContext(actor, Ref("setting", "x"))
        call = calls.request(uow, ctx, "virustotal.ip_report", {"ip": "203.0.113.9"}, key="one")
        call.limited_since, call.note = uow.now, "It waits for its turn: vt takes 600 calls in 1h."
    assert "1 call waits for its turn" in text_of(ana.get("/connectors/virustotal"))
    listed = ana.get("/calls?state=waiting")
    assert "waits for its turn" in text_of(listed)
    assert f"/calls/{call.id}" in listed
    told = text_of(ana.get(f"/calls/{call.id}"))
    assert "waits for its turn" in told
    assert "vt takes 600 calls in 1h" in told


def test_an_action_is_tried_and_nothing_is_sent(ana: Reader, okta: ConnectorInstance) -> None:
    answer = ana.post("/connectors/okta/actions/suspend_user", 200, input__user="m.ortiz@example.org")
    said = text_of(answer.text)
    assert "https://acme.okta.com/api/v1/users/m.ortiz%40example.org/lifecycle/suspend" in said
    assert said.count("The guard rails let it through") == 2
    assert SECRET not in answer.text
    with reading() as session:
        (row,) = session.scalars(select(ActionCall)).all()
        assert (row.state, row.due_at, row.called_at) == ("dry_run", None, None)
    assert "action.rehearsed" in verbs_told()
    missing = ana.post("/connectors/okta/actions/suspend_user", 422, input__user="")
    assert "missing" in text_of(missing.text).lower()
    ana.get("/connectors/okta/actions/explode", 404)


def test_trying_says_what_the_guard_rails_say(ana: Reader, okta: ConnectorInstance) -> None:
    with unit_of_work() as uow:
        rails.protect(uow, SYSTEM, kind="user", value="ceo*", reason="the CEO")
    refused = text_of(ana.post("/connectors/okta/actions/suspend_user", 200, input__user="ceo.smith").text)
    assert "A guard rail refuses it" in refused
    assert refused.count("ceo.smith is protected: the CEO") == 2
    with unit_of_work() as uow:
        rails.hold_all(uow, SYSTEM, "we look first")
    held = text_of(ana.post("/connectors/okta/actions/suspend_user", 200, input__user="m.ortiz").text)
    assert held.count("All automation is held (we look first)") == 2
    unbound = text_of(
        ana.post(
            "/connectors/wazuh/actions/block_ip", 200, input__ip="203.0.113.9", input__agent_id="001"
        ).text
    )
    assert "A person would have to do it" in unbound
    own = text_of(ana.post("/connectors/blocklist/actions/block_ip", 200, input__ip="10.0.0.5").text)
    assert "10.0.0[.]5 is protected" in own


def test_a_verb_is_bound_to_products(ana: Reader, okta: ConnectorInstance) -> None:
    with unit_of_work() as uow:
        settings = {"base_url": "https://second.okta.com"}
        instances.create(
            uow, SYSTEM, name="okta-2", connector="okta", settings=settings, secrets={"token": SECRET}
        )
    fields: dict[str, Any] = {"place.okta": "2", "place.okta-2": "1"}
    ana.post("/connectors/verbs", verb="identity.disable_user", mode="first", **fields)
    with reading() as session:
        _mode, targets = instances.resolve(session, "identity.disable_user")
    assert [target.instance.name for target in targets] == ["okta-2", "okta"]
    assert "→ okta-2 the next one if it surely did not do it" in text_of(ana.get("/connectors/verbs"))
    ana.post("/connectors/verbs", 422, verb="identity.disable_user", mode="one", **fields)


def test_the_api_configures_products_and_never_tells_a_secret(ana: Reader, people: People) -> None:
    given = {
        "name": "okta",
        "connector": "okta",
        "settings": {"base_url": "https://acme.okta.com"},
        "secrets": {"token": SECRET},
    }

    def call(reader: Reader, method: str, path: str, body: Any = None) -> Any:
        return reader._send(
            method, f"/api/v1/connectors{path}", json=body, headers={"X-CSRF-Token": reader.csrf}
        )

    made = call(ana, "POST", "/instances", given)
    assert made.status_code == 201, made.text
    assert made.headers["Location"] == "/api/v1/connectors/instances/okta"
    assert made.json()["secrets"] == ["token"]
    changed = call(ana, "PATCH", "/instances/okta", {"enabled": False, "rate": "50/1m"})
    assert (changed.json()["enabled"], changed.json()["rate"]) == (False, "50/1m")
    assert call(ana, "PATCH", "/instances/okta", {"rate": "many"}).status_code == 422
    assert call(ana, "PATCH", "/instances/okta", {"rate": ""}).json()["rate"] is None
    wrong = call(ana, "POST", "/instances", given | {"name": "b", "settings": {"base_ulr": "x"}})
    assert wrong.status_code == 422
    assert {problem["path"] for problem in wrong.json()["problems"]} >= {"base_ulr", "base_url"}
    assert call(ana, "POST", "/instances", given).status_code == 409
    assert call(ana, "GET", "/instances/nothing").status_code == 404
    products = call(ana, "GET", "").json()["items"]
    suspend = next(
        a for p in products if p["name"] == "okta" for a in p["actions"] if a["name"] == "okta.suspend_user"
    )
    assert (suspend["effect"], suspend["can_undo"], suspend["verb"]) == (
        "disruptive",
        True,
        "identity.disable_user",
    )
    for answer in (made, changed, wrong, call(ana, "GET", "/instances"), call(ana, "GET", "/instances/okta")):
        assert SECRET not in answer.text
    rita = Reader(people.rita)
    assert call(rita, "POST", "/instances", given | {"name": "c"}).status_code == 403
    assert call(rita, "GET", "/instances").status_code == 200


def test_who_may_look_and_change(people: People, okta: ConnectorInstance) -> None:
    aldo = Reader(people.aldo)
    for path in (
        "/connectors",
        "/connectors/okta",
        "/connectors/verbs",
        "/settings/guardrails",
        "/countermeasures",
        "/calls",
        "/settings/work",
    ):
        assert "csrf" in aldo.get(path)
        Reader().get(path, 303)
    for path in ("/connectors/okta/instances", "/connectors/okta/instances/okta/check", "/connectors/okta/actions/suspend_user",
                 "/connectors/verbs", "/settings/guardrails/hold", "/settings/guardrails/feeds"):  # fmt: skip
        aldo.post(path, 403)
