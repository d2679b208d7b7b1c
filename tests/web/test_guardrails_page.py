"""Guard rails in the browser: the hold, what is protected, budgets, block lists, and who may move them."""

import re
from collections.abc import Callable

import pytest
from at_the_pages import Reader, text_of, verbs_told
from held_time import HeldClock
from people_here import People
from sqlalchemy import select

from cli import assemble
from connectors import blocklist, rails
from connectors.models import BlocklistFeed
from core.actors import SYSTEM
from core.db import reading, unit_of_work

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()

HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def ana(people: People) -> Reader:
    """The administrator."""
    return Reader(people.ana)


def test_everything_is_held_and_released_with_a_reason(ana: Reader, people: People) -> None:
    rita = Reader(people.rita)
    rita.post("/settings/guardrails/hold", 422, reason=" ")
    rita.post("/settings/guardrails/hold", reason=f"odd answers {HOSTILE}")
    for path in ("/settings/guardrails", "/connectors"):
        page = rita.get(path)
        assert "All automation is on hold" in text_of(page), path
        assert "<script>alert" not in page
        assert "\u202e" not in page
    rita.post("/settings/guardrails/release", 403)
    Reader(people.mara).post("/settings/guardrails/release", reason="all is well")
    assert "Automation may act, within these rails" in text_of(ana.get("/settings/guardrails"))
    assert {"automation.held", "automation.released"} <= set(verbs_told())


def test_what_is_protected_is_added_asked_and_removed(ana: Reader, people: People) -> None:
    path = "/settings/guardrails/protected"
    wrong = text_of(ana.post(path, 422, kind="network", value="not a net", reason="ours").text)
    assert "is not a network such as" in wrong
    ana.post(path, 422, kind="host", value="*", reason="all")
    ana.post(path, 422, kind="host", value="dc*", reason="")
    ana.post(path, kind="host", value="dc*", reason="domain controllers", own="1")
    again = ana.post(path, 422, kind="host", value="dc*", reason="again")
    assert "protected already" in text_of(again.text)
    assert "dc01 is protected: domain controllers" in " ".join(
        text_of(ana.get("/settings/guardrails?probe=dc01")).split()
    )
    assert "is protected: a public DNS resolver" in text_of(ana.get("/settings/guardrails?probe=1.1.1.1"))
    assert "is not protected" in text_of(ana.get("/settings/guardrails?probe=203.0.113.9"))
    with reading() as session:
        (row,) = rails.protected(session)
    Reader(people.rita).post(f"{path}/{row.id}/remove", 403)
    ana.post(f"{path}/{row.id}/remove")
    ana.post(f"{path}/{row.id}/remove", 404)
    assert verbs_told().count("guard.changed") == 2


def test_budgets_are_set_and_given_back(ana: Reader, people: People) -> None:
    path = "/settings/guardrails/budgets"
    ana.post(path, name="okta.suspend_user", per_hour="2")
    ana.post(path, name="disruptive", per_hour="7")
    page = ana.get("/settings/guardrails")
    assert re.search(r'value="okta.suspend_user"><input[^>]*value="2"', page)
    assert re.search(r'value="disruptive"><input[^>]*value="7"', page)
    ana.post(path, name="okta.suspend_user", per_hour="")
    assert 'value="okta.suspend_user"><input' not in ana.get("/settings/guardrails")
    ana.post(path, 422, name="disruptive", per_hour="many")
    ana.post(path, 422, name="nonsense", per_hour="1")
    Reader(people.rita).post(path, 403, name="disruptive", per_hour="1000")


def test_a_block_list_is_published_and_its_address_shown_once(ana: Reader) -> None:
    shown = ana.post("/settings/guardrails/feeds", 200, name="edge firewall", kind="ip").text
    found = re.search(r"/feeds/[\w-]+\.txt", shown)
    assert found
    page = ana.get("/settings/guardrails")
    assert found[0] not in page
    assert "never fetched" in text_of(page)
    ana.post("/settings/guardrails/feeds", 422, name="edge firewall", kind="ip")
    with reading() as session:
        feed = session.scalar(select(BlocklistFeed))
        assert feed is not None
    ana.post(f"/settings/guardrails/feeds/{feed.id}/disable")
    assert "Disabled" in text_of(ana.get("/settings/guardrails"))


def test_a_list_that_is_no_longer_fetched_is_said_on_its_page_the_connectors_page_and_now(
    people: People, clock: HeldClock, drain: Callable[..., int]
) -> None:
    with unit_of_work() as uow:
        _, url = blocklist.create_feed(uow, SYSTEM, name="edge", kind="ip")
    token = url.rpartition("/")[2].removesuffix(".txt")
    for _ in range(3):
        clock.advance(minutes=5)
        blocklist.serve(token, "192.0.2.1")
    ana = Reader(people.ana)
    assert "usually every 5 min" in ana.get("/settings/guardrails")
    assert "no longer fetched" not in ana.get("/settings/guardrails") + ana.get("/connectors") + ana.get("/")
    clock.advance(minutes=16)
    drain("connectors.fetching", "core.outbox")
    assert "what is new on it is not in force" in ana.get("/settings/guardrails")
    assert "1 product does not answer" in ana.get("/connectors")
    assert "No longer fetched: edge" in ana.get("/connectors")
    assert "The block list “edge” is no longer fetched" in ana.get("/")
    alert = re.findall(r"/alerts/[0-9a-f-]{36}", ana.get("/alerts"))[0]
    assert "The block list edge is no longer fetched" in ana.get(alert)
