"""Sources on the pages: connected, learned, told what they need; secrets shown once."""

import html
import re

import pytest
from at_the_pages import Reader
from people_here import People

from cli import assemble
from core.db import reading, unit_of_work
from ingest import sources

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def ana(people: People) -> Reader:
    """The administrator."""
    return Reader(people.ana)


def add(ana: Reader, name: str, connector: str = "suricata", **fields: str) -> str:
    """Add a source; returns the page that shows its secret."""
    return ana.post(f"/settings/sources/new/{connector}", status=200, name=name, **fields).text


def test_a_source_added_here_learns_unless_told_otherwise(ana: Reader) -> None:
    add(ana, "eager", learn="")
    page = add(ana, "careful", learn="yes")
    assert "It is still being learned" in text_of(page)
    assert "It is still being learned" not in text_of(ana.get("/settings/sources/eager"))
    listed = text_of(ana.get("/settings/sources"))
    assert "careful learning" in listed
    assert "eager learning" not in listed
    ana.post("/settings/sources/careful/learned")
    assert "It is still being learned" not in text_of(ana.get("/settings/sources/careful"))
    assert "ended the learning of the source" in text_of(ana.get("/journal"))


def test_who_may_not_manage_sources_cannot_end_learning(ana: Reader, people: People) -> None:
    add(ana, "careful", learn="yes")
    rita = Reader(people.rita)
    assert "End learning now" not in rita.get("/settings/sources/careful")
    rita.post("/settings/sources/careful/learned", status=403)
    with reading() as session, unit_of_work() as uow:
        assert sources.get(session, "careful").learning(uow.now)
