"""An incident by hand: a title and Enter are enough, what the words name is offered, and a playbook starts as for any other."""

import re

import pytest
from at_the_pages import Reader
from people_here import People
from sqlalchemy import select

from cli import assemble
from core.db import reading
from incidents import attachments, observables
from incidents.models import Incident

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()
SAID = "Ana called: LAPTOP-7 talks to 203.0.113.9, she clicked a link"


def newest() -> Incident:
    """The incident opened last."""
    with reading() as session:
        return session.scalars(select(Incident).order_by(Incident.id.desc()).limit(1)).one()


def values(people: People) -> set[str]:
    """What the newest incident's observables are."""
    with reading() as session:
        return {one.value for one in observables.of_incident(session, people.rita, newest().id)}


def test_a_title_is_enough(people: People) -> None:
    rita = Reader(people.rita)
    page = rita.get("/incidents/new")
    assert page.index('id="title"') < page.index('name="severity"')
    fields = {
        "title": SAID,
        "severity": "medium",
        "category": "auto",
        "kind": "incident",
        "mine": "1",
        "offered": "",
    }
    rita.post("/incidents/new", **fields)
    made = newest()
    assert (made.title, made.category, str(made.owner_id)) == (SAID, "phishing", people.rita.id)
    assert values(people) == {"203.0.113.9", "laptop-7"}


def test_what_is_offered_can_be_refused(people: People) -> None:
    rita = Reader(people.rita)
    shown = rita.post("/incidents/new/values", 200, title="A call", description=SAID, category="auto").text
    offered = re.findall(r'name="value" value="([^"]+)" checked', shown)
    assert offered == ["ipv4-addr:203.0.113.9", "host:laptop-7"]
    assert "Sounds like phishing" in shown
    again = rita.post(
        "/incidents/new/values", 200, title="A call", description=SAID, shown=offered, value=offered[1:]
    )
    assert re.findall(r'name="value" value="([^"]+)" checked', again.text) == offered[1:], (
        "what was unticked stays so"
    )
    rita.post(
        "/incidents/new", title="A call", description=SAID + " and FS-ZRH-01", category="login", offered="1",
        shown=offered, value=offered[:1], observables="evil.example", files=[("files", ("note.txt", b"as she said"))],
    )  # fmt: skip
    assert values(people) == {"203.0.113.9", "fs-zrh-01", "evil.example"}
    assert newest().category == "login"
    with reading() as session:
        assert [file.name for file in attachments.of_incident(session, people.rita, newest().id)] == [
            "note.txt"
        ]


def test_what_cannot_be_is_told_and_nothing_is_lost(people: People) -> None:
    rita = Reader(people.rita)
    page = rita.post("/incidents/new", 422, title="A call", description=SAID, observables="!!").text
    assert SAID in page
    assert "is no address" in page
    rita.post("/incidents/new", 422, title="", description=SAID)
    Reader(people.aldo).post("/incidents/new", 403, title="x")
