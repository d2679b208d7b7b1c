"""The attacker's timeline, the review and the actions for afterwards, at the pages and over the API, from the first click to Now."""

import re
from datetime import timedelta

import incident_bench as bench
import pytest
from at_the_pages import Reader
from people_here import People

from cli import assemble
from core.db import unit_of_work
from incidents import lifecycle
from incidents.lifecycle import IncidentDraft

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def test_what_the_attacker_did_is_entered_taken_over_corrected_and_withdrawn(people: People) -> None:
    (taken,) = bench.take(bench.draft())
    key = bench.incident(taken.incident_id).key
    rita, aldo = Reader(people.rita), Reader(people.aldo)
    page = f"/incidents/{key}/findings"
    assert "Nothing is known of the attacker yet" in rita.get(page)
    rita.post(f"/alerts/{taken.alert_id}/finding")
    assert "on the attack timeline" in rita.get(f"/incidents/{key}")
    rita.post(page, says="Opened <b>invoice.docm</b>", occurred_at="2026-11-01 03:12", precision="minute", confidence="high",
              source="EDR", technique="T1204.002", entities="203.0.113.9")  # fmt: skip
    shown = rita.get(page)
    assert shown.index("Opened &lt;b&gt;invoice.docm") < shown.index("Brute force against sshd"), (
        "by when it happened"
    )
    assert "203.0.113[.]9" in shown
    wrong = rita.post(page, 422, says="x", occurred_at="yesterday").text
    assert "not a date" in wrong
    assert "yesterday" in wrong, "what was entered stays"
    (first, *_rest) = re.findall(r'href="(/findings/[0-9a-f-]{36})"', shown)
    given = {
        "says": "Opened invoice.docm",
        "occurred_at": "2026-11-01 02:12:00",
        "precision": "hour",
        "confidence": "low",
    }
    assert "invoice.docm" in rita.get(first)
    rita.post(f"{first}/correct", **given, version="1", reason="the clock was an hour ahead")
    rita.post(f"{first}/correct", 422, **(given | {"says": ""}))
    assert "corrected by Rita" in rita.get(first)
    assert "corrected the attacker" in rita.get(f"/incidents/{key}")
    rita.post(f"{first}/withdraw", 422, reason="")
    rita.post(f"{first}/withdraw", reason="it was the backup")
    assert first not in rita.get(page)
    assert "Withdrawn finding" in rita.get(first)
    aldo.get(page)
    aldo.post(page, 403, says="x", occurred_at="2026-11-01 03:12")


def test_a_review_says_what_is_known_and_its_actions_come_back(people: People) -> None:
    incidents = []
    for _ in range(2):
        with unit_of_work() as uow:
            incidents.append(
                lifecycle.open_by_hand(uow, people.rita, IncidentDraft("Macro", category="malware")).key
            )
            yesterday = (uow.now - timedelta(days=1)).date().isoformat()
    rita, aldo = Reader(people.rita), Reader(people.aldo)
    page = f"/incidents/{incidents[0]}/review"
    assert "How much (minutes" in rita.get(page)
    rita.post(
        page,
        section="impact",
        area="money",
        state="estimated",
        says="Two days of work",
        result="9,000 EUR",
        how="hours × rate",
    )
    rita.post(
        page,
        section="scope",
        area="hosts",
        state="not_affected",
        says="All other laptops",
        how="hunted",
        who="Raul",
    )
    assert "One sentence" in rita.post(page, 422, section="well", says=" ").text
    shown = rita.get(page)
    assert "9,000 EUR" in shown
    assert "not affected" in shown
    (point, *_rest) = re.findall(rf'action="({page}/[0-9a-f-]{{36}}/withdraw)"', shown)
    rita.post(point)
    assert "9,000 EUR" not in rita.get(page)
    aldo.post(page, 403, section="well", says="x")

    owner = str(people.rita.user_id)
    rita.post(
        f"/incidents/{incidents[0]}/follow-ups",
        title="Block macros",
        owner=owner,
        due=yesterday,
        link="https://t.example/1",
    )
    rita.post(f"/incidents/{incidents[0]}/follow-ups", 422, title=" ", owner="")
    assert "Overdue: Block macros" in rita.get("/")
    assert "Overdue" not in Reader(people.raul).get("/")
    listed = rita.get("/follow-ups?show=overdue")
    assert "1 action after an incident is overdue" in listed
    assert "hxxps://t[.]example/1" in listed
    assert "It happened before" in rita.get(f"/incidents/{incidents[1]}/close")
    assert "Block macros" in rita.get(f"/incidents/{incidents[1]}/review")
    (action,) = set(re.findall(r'action="(/follow-ups/[0-9a-f-]{36})/end"', listed))
    rita.post(f"{action}/change", title="Block all macros", owner=owner, due="2030-01-01", back="list")
    assert "No action after an incident is overdue" in rita.get("/follow-ups")
    rita.post(f"{action}/end", state="done", note="policy 17")
    assert "Block all macros" not in rita.get("/follow-ups")
    assert "policy 17" in rita.get("/follow-ups?show=all")
    assert "It happened before" not in rita.get(f"/incidents/{incidents[1]}/close")
