"""Taking the next, watching, saving a view and reading the keys on the pages, without a script."""

import pytest
from at_the_pages import Reader
from incident_bench import opened
from people_here import People

from cli import assemble
from core.types import Severity

assemble.load()
pytestmark = pytest.mark.usefixtures("sqlite_database")


def test_the_next_is_taken_with_one_press(people: People) -> None:
    first, worse = opened(title="first"), opened(title="worse", severity=Severity.high)
    rita = Reader(people.rita)
    assert 'action="/incidents/next"' in rita.get("/incidents")
    assert rita.post("/incidents/next").headers["Location"] == f"/incidents/{worse.key}"
    assert rita.post("/incidents/next").headers["Location"] == f"/incidents/{first.key}"
    assert 'action="/incidents/next"' not in rita.get("/incidents")
    assert rita.post("/incidents/next").headers["Location"] == "/incidents"


def test_an_incident_is_watched_and_not(people: People) -> None:
    case, aldo = opened(), Reader(people.aldo)
    page = f"/incidents/{case.key}"
    assert "Watch it (w)" in aldo.get(page)
    aldo.post(f"{page}/watch", on="yes")
    assert "Watch no longer (w)" in aldo.get(page)
    aldo.post(f"{page}/watch", on="no")
    assert "Watch it (w)" in aldo.get(page)


def test_a_view_is_saved_looked_at_and_forgotten(people: People) -> None:
    rita, raul = Reader(people.rita), Reader(people.raul)
    query = "severity=high&owner=none"
    assert 'value="severity=high&amp;owner=none"' in rita.get(f"/incidents?{query}")
    given = {"list": "incidents", "query": query, "name": "Mine <b>now</b>", "shared": "yes"}
    assert rita.post("/views", **given).headers["Location"] == f"/incidents?{query}"
    shown = raul.get("/incidents")
    assert "Mine &lt;b&gt;now&lt;/b&gt;" in shown
    here = raul.get(f"/incidents?{query}")
    action = here.split('action="/views/')[1].split('"')[0]
    raul.post(f"/views/{action}")
    assert "Mine" not in rita.get("/incidents")
    rita.post("/views", list="alerts", query="state=all", name="All")
    assert "All" in rita.get("/alerts?state=all")


def test_keys_and_places_are_there_for_those_who_may(people: People) -> None:
    assert "what the keys do" in Reader(people.aldo).get("/keys")
    assert 'data-go="/settings/users"' in Reader(people.mara).get("/")
    assert "data-go" not in Reader().get("/login")
