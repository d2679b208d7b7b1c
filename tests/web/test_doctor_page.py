"""The doctor's page and the page "What is yours?", as an administrator and others meet them."""

import html
import json
import re
from uuid import UUID

import pytest
from at_the_pages import Reader, text_of
from people_here import People

from cli import assemble, first_steps
from connectors import rails
from core import journal
from core.auth import users
from core.db import reading, unit_of_work
from core.settings import configure, settings
from notify import contacts

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def test_every_light_is_shown_with_what_to_do_and_now_tells_only_of_red(people: People) -> None:
    ana = Reader(people.ana)
    configure(settings().with_(host="0.0.0.0", base_url="http://192.0.2.7:8000"))
    page = text_of(ana.get("/doctor"))
    assert re.search(r"\d things endanger your alarms", page)
    for word in (
        "TLS",
        "Backup",
        "Second responder",
        "Witness for the seal",
        "Outside heartbeat",
        "Secret key",
        "Sources",
    ):
        assert word in page
    assert "TOCSIN_TLS=generate" in page
    assert page.index("travel in the clear") < page.index("No tool is connected")  # the worst stands first
    assert "Act now: TLS, Second responder" in text_of(ana.get("/"))
    answer = json.loads(ana.get("/api/v1/doctor"))
    assert answer["worst"] == "red"
    assert [one["name"] for one in answer["items"]][:2] == ["tls", "backup"]


def test_others_neither_see_it_nor_are_told(people: People) -> None:
    configure(settings().with_(host="0.0.0.0", base_url="http://192.0.2.7:8000"))
    for who in (people.rita, people.mara, people.aldo):
        reader = Reader(who)
        reader.get("/doctor", 403)
        assert "Act now" not in reader.get("/")
        assert "/doctor" not in reader.get("/settings")


def test_whoever_is_alone_is_told_what_happens_when_they_do_not_answer(people: People) -> None:
    ana = Reader(people.ana)
    with unit_of_work() as uow:
        first_steps.on_call(uow, [users.get(uow, UUID(people.ana.id))])
        contacts.add(uow, people.ana, user_id=UUID(people.ana.id), channel="ntfy", address={"topic": "ana-7f31c2"})
    page = text_of(ana.get("/profile"))
    assert "If you do not answer in 5 min" in page
    assert "One person alone is behind the default escalation." in page
    assert "Add a second way" in page
    assert "Add a second person" in page
    assert "If you do not answer" not in text_of(Reader(people.rita).get("/profile"))


def test_what_is_yours_is_asked_kept_and_told_in_the_journal(people: People) -> None:
    ana = Reader(people.ana)
    assert "What is yours?" in ana.get("/settings/yours")
    refused = ana.post("/settings/yours", 422, networks="203.0.113.0/24", domains="<script>alert(1)</script>")
    assert "<script>alert" not in refused.text
    assert "is not a domain such as example.org" in html.unescape(refused.text)
    assert "203.0.113.0/24" in refused.text  # what was typed is still there
    with reading() as session:
        assert not rails.protected(session)
    kept = ana.post("/settings/yours", networks="203.0.113.0/24\n203.0.113.0/24", people="ceo@example.org")
    assert kept.headers["location"] == "/settings/guardrails#protected"
    page = text_of(ana.get("/settings/guardrails"))
    assert "203.0.113.0/24" in page
    assert "must never be locked out" in page
    with reading() as session:
        told = [one for one in journal.entries(session, limit=50) if one.verb == "guard.changed"]
    assert len(told) == 2
    assert 'href="/profile/factor"' in ana.get("/settings/yours?first=1")  # then who they are is asked for
    assert ana.post("/settings/yours", networks="", first="1").headers["location"] == "/profile/factor"


def test_who_owns_what_is_asked_and_kept_or_changes_nothing(people: People) -> None:
    ana = Reader(people.ana)
    refused = ana.post("/settings/yours/owners", 422, owners="shop ana@example.org\nmail <b>Luis</b>")
    assert "is no line such as: shop ana@example.org" in text_of(refused.text)
    assert "<b>Luis</b>" not in refused.text, "what was typed stands there again, as text"
    assert ana.post("/settings/yours/owners", owners="shop Ana@example.org").headers["location"].startswith("/settings/yours#owners")
    assert "shop ana@example.org</textarea>" in ana.get("/settings/yours")
    assert 'id="owners"' not in ana.get("/settings/yours?first=1"), "the first minutes ask for less"


def test_only_who_may_change_guards_is_asked(people: People) -> None:
    Reader(people.mara).get("/settings/yours")
    rita = Reader(people.rita)
    rita.get("/settings/yours", 403)
    rita.post("/settings/yours/owners", 403, owners="shop ana@example.org")
    rita.post("/settings/yours", 403, networks="203.0.113.0/24")
    with unit_of_work() as uow:
        assert not rails.protected(uow)
