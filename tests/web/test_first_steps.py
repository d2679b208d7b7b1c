"""The first steps of an installation: what is done, what comes next, for whom and for how long."""

import re
from datetime import timedelta
from typing import Any

import pytest
from at_the_pages import Reader
from people_here import People

from cli import assemble
from cli import first_steps as first_start
from core.auth import users
from core.db import unit_of_work

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def card(page: str) -> str:
    found = re.search(r'<section class="card part" id="first-steps">.*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def test_each_step_done_leads_to_the_next(people: People) -> None:
    ana = Reader(people.ana)
    assert re.search(r'is-next">.*?Say what is yours', card(ana.get("/")), re.DOTALL)
    ana.post("/settings/yours", networks="198.51.100.0/24")
    now = card(ana.get("/"))
    assert "1 of 6" in now or "2 of 6" in now  # she may have a second factor already
    assert "Networks, servers and people" not in now, "a step that is done says no more why"
    ana.post("/settings/guardrails/feeds", 200, name="edge", kind="ip")
    assert re.search(r'is-done">[^\n]*Let your firewall fetch', card(ana.get("/")))


def test_they_are_for_administrators_in_the_first_week(clock: Any, people: People) -> None:
    assert card(Reader(people.rita).get("/")) == ""
    assert card(Reader(people.ana).get("/"))
    clock.advance(timedelta(days=7, minutes=1))
    assert card(Reader(people.ana).get("/")) == ""


def test_a_test_page_is_sent_from_the_page_of_who_is_on_call(people: People) -> None:
    with unit_of_work() as uow:
        first_start.on_call(uow, [user for user in users.everyone(uow) if user.name == "Ana"])
    ana = Reader(people.ana)
    assert "Send a test page" in ana.get("/oncall")
    page = ana.post("/oncall/test").headers["location"]
    assert "Test page from Ana" in ana.get(page)
    ana.post(f"{page}/acknowledge")
    assert re.search(r'is-done">[^\n]*Send yourself a test page', card(ana.get("/")))
    rita = Reader(people.rita)
    assert "Send a test page" not in rita.get("/oncall")
    rita.post("/oncall/test", 403)


def test_the_inbox_is_no_way_to_be_confirmed(people: People) -> None:
    with unit_of_work() as uow:
        first_start.on_call(uow, [user for user in users.everyone(uow) if user.name == "Rita"])
    assert "confirm how you are reached" not in Reader(people.rita).get("/")
