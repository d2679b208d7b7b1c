"""Grouping rules in the browser: order, switch, check on save, trying on recent alerts, and who may."""

import html
from typing import Any
from uuid import UUID

import pytest
from at_the_pages import Reader, text_of
from incident_bench import draft, low, take
from people_here import People

from cli import assemble
from core import journal
from core.db import reading, unit_of_work
from core.types import Ref
from incidents import rules
from incidents.models import GroupingRule

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


@pytest.fixture
def ana(people: People) -> Reader:
    """The administrator, with the default rules in place."""
    with unit_of_work() as uow:
        rules.seed(uow)
    return Reader(people.ana)


def names() -> list[str]:
    with reading() as session:
        return [row.name for row in rules.listed(session)]


def rule(name: str) -> GroupingRule:
    with reading() as session:
        return next(row for row in rules.listed(session) if row.name == name)


GIVEN: dict[str, Any] = {
    "name": "Malware", "when": 'alert.category == "malware"', "action": "open", "key": "host:{{ alert.host }}",
    "why": "it is {{ alert.category }}", "threshold": "1", "window": "30",
}  # fmt: skip


def test_the_list_tells_the_order_and_what_each_does(ana: Reader) -> None:
    page = text_of(ana.get("/settings/rules"))
    assert f"{len(names())} rules decide what becomes an incident" in page
    assert page.index("Tests stay alerts") < page.index("High and above") < page.index("Floods")
    assert "from 10 within 1 hour" in page


def test_a_rule_is_added_changed_moved_left_out_and_removed(ana: Reader) -> None:
    ana.post("/settings/rules/new", **GIVEN)
    assert names()[-1] == "Malware"
    row = rule("Malware")
    path = f"/settings/rules/{row.id}"
    ana.post(f"{path}/move", to="up")
    assert names()[-2] == "Malware"
    ana.post(f"{path}/move", to="down")
    ana.post(f"{path}/move", to="down")
    assert names()[-1] == "Malware"
    ana.post(path, **(GIVEN | {"threshold": "3", "window": "60"}))
    assert (rule("Malware").threshold, rule("Malware").window_seconds) == (3, 3600)
    ana.post(f"{path}/switch", enabled="no")
    assert not rule("Malware").enabled
    assert "left out" in text_of(ana.get("/settings/rules"))
    ana.post(path, **GIVEN)
    assert not rule("Malware").enabled, "saving does not switch a rule on"
    ana.post(f"{path}/switch", enabled="yes")
    ana.post(f"{path}/remove")
    assert "Malware" not in names()
    ana.get(path, 404)
    with reading() as session:
        told = [entry.body["did"] for entry in journal.entries(session, ref=Ref("rule", str(row.id)))]
    assert told == ["removed", "enabled", "changed", "disabled", "changed", "moved", "moved", "added"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"when": "alert.severty_rank > 3"}, "severity_rank"),
        ({"when": "alert.severity =="}, "column"),
        ({"key": ""}, "needs a key"),
        ({"why": "{{ incident.title }}"}, "incident"),
        ({"name": ""}, "Give the rule a name"),
        ({"threshold": "many"}, "is not a number"),
        ({"window": "999999"}, "seven days"),
        ({"name": "Floods"}, "already a rule"),
        ({"action": "explode"}, "must be one of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    ana: Reader, changes: dict[str, str], says: str
) -> None:
    answer = ana.post("/settings/rules/new", 422, **(GIVEN | changes))
    assert says in text_of(answer.text)
    assert 'alert.category == "malware"' in html.unescape(answer.text) or "when" in changes
    assert "Malware" not in names()


def test_a_rule_is_tried_on_recent_alerts_and_nothing_changes(ana: Reader) -> None:
    take(*[low(title=f"Trojan {n}", category="malware", fingerprint=(("n", str(n)),)) for n in range(3)])
    take(low(title="Something else", fingerprint=(("x", "1"),)))
    with reading() as session:
        before = [entry.id for entry in journal.entries(session, limit=200)]
    answer = ana.post("/settings/rules/new", 200, do="try", **GIVEN)
    said = text_of(answer.text)
    assert "Of the last 4 alerts it takes 3, in 1 group" in said
    assert "3 of them are in no incident now" in said
    assert "host:web01 · 3" in said
    assert "Trojan 2" in said
    assert names()[-1] == "Floods"
    with reading() as session:
        assert [entry.id for entry in journal.entries(session, limit=200)] == before


def test_a_failing_rule_is_shown(ana: Reader) -> None:
    take(draft(entities=()))
    answer = ana.post(
        "/settings/rules/new",
        200,
        do="try",
        **(GIVEN | {"when": "alert.severity_rank >= 4", "key": "{{ alert.host or '' }}"}),
    )
    assert "failed once: its key is empty for this alert" in text_of(answer.text)
    with unit_of_work() as uow:
        rules.report(uow, {"Floods": "its key is empty for this alert"})
    page = text_of(ana.get("/settings/rules"))
    assert "1 grouping rule fails" in page
    assert "its key is empty" in page


def test_a_responder_reads_and_changes_nothing(ana: Reader, people: People) -> None:
    rita = Reader(people.rita)
    row = rule("Floods")
    assert "Leave out" not in rita.get("/settings/rules")
    assert ">Save<" not in rita.get(f"/settings/rules/{row.id}")
    for path in ("new", str(row.id), f"{row.id}/switch", f"{row.id}/move", f"{row.id}/remove"):
        rita.post(f"/settings/rules/{path}", 403, **GIVEN)
    ana.get(f"/settings/rules/{UUID(int=5)}", 404)
