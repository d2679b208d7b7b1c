"""A storm's incident on the pages: the first of its thousands of values and alerts, and where the others are."""

import re

import pytest

from connectors.contract import Entity
from core.types import Severity
from incident_bench import draft, incident, take
from people_here import People
from web.routes import alerts as alerts_page

from at_the_pages import Reader


def storm(hosts: int) -> str:
    """The key of an incident that has gathered alerts of so many hosts."""
    done = take(
        *[
            draft(
                title=f"Worm on h{number:04}", rule_id="worm", fingerprint=(("host", f"h{number:04}"),),
                entities=(Entity("host", f"h{number:04}", "target"),), severity=Severity.high,
            )
            for number in range(hosts)
        ]
    )  # fmt: skip
    return incident(done[0].incident_id).key


def test_an_incident_shows_the_first_of_many_and_leads_to_the_others(
    sqlite_database: object, people: People
) -> None:
    key = storm(250)
    reader = Reader(people.responder)
    html = reader.get(f"/incidents/{key}")
    assert html.count('class="obs-row"') == 100
    assert "The first 100 of 250" in html
    assert "began to gather a storm of alerts of one kind" in html
    assert "A storm: alerts of one kind gather here" in html
    assert f'href="/alerts?incident={key}&amp;state=all"' in html
    first = reader.get(f"/alerts?incident={key}&state=all")
    assert len(set(re.findall(r"Worm on (h\d+)", first))) >= 25
    (after,) = set(re.findall(r"after=([\w-]+)", first))
    second = reader.get(f"/alerts?incident={key}&state=all&after={after}")
    assert not set(re.findall(r"Worm on (h\d+)", first)) & set(re.findall(r"Worm on (h\d+)", second))
    assert "Worm on" not in reader.get("/alerts?incident=INC-1999-000001&state=all")


def test_an_incident_of_one_host_is_no_storm_s(sqlite_database: object, people: People) -> None:
    key = storm(1)
    assert "A storm:" not in Reader(people.responder).get(f"/incidents/{key}")


def test_a_long_list_is_not_counted_to_its_end(
    sqlite_database: object, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm(30)
    monkeypatch.setattr(alerts_page, "MOST_COUNTED", 20)
    html = Reader(people.responder).get("/alerts")
    assert "More than 20 alerts are firing" in html
    assert "More than 20 began in the last 24 h" in html
