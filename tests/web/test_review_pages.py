"""The attacker's timeline, the review and the actions for afterwards, at the pages and over the API, from the first click to Now."""

import json
import re
from datetime import timedelta
from typing import Any

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


def test_a_verdict_is_agreed_to_or_said_and_who_outside_was_told_is_written_down(people: People) -> None:
    (taken,) = bench.take(bench.draft())
    of = bench.incident(taken.incident_id)
    rita, aldo = Reader(people.rita), Reader(people.aldo)
    page, verdict = f"/incidents/{of.key}/outside", f"/incidents/{of.key}/verdict"
    (value, *_rest) = re.findall(r'id="of-([0-9a-f-]{36})"', rita.get(f"/incidents/{of.key}"))
    rita.post(verdict, observable=value, verdict="malicious", because="<b>C2</b>")
    shown = rita.get(f"/incidents/{of.key}")
    assert "&lt;b&gt;C2" in shown
    assert "said what a value is" in shown
    rita.post(verdict, 422, observable=value, verdict="evil")
    rita.post(verdict, 422, observable="nothing", verdict="malicious")
    aldo.post(verdict, 403, observable=value, verdict="harmless")

    assert "Nobody outside is noted yet" in rita.get(page)
    rita.post(page, to_whom="Data <i>authority</i>", what="first notice", due_at="2030-01-01 10:00", tlp="amber")
    entered = rita.post(page, 422, to_whom="CSIRT", applies="no").text
    assert "why it does not apply" in entered
    assert 'value="CSIRT"' in entered, "what was entered stays"
    (row,) = re.findall(r"\?change=([0-9a-f-]{36})", rita.get(page))
    shown = rita.get(f"{page}?change={row}")
    assert "Data &lt;i&gt;authority" in shown
    rita.post(page, change=row, version="1", to_whom="Authority", sent_at="2026-01-01 10:00", reference="A-7")
    assert "A-7" in rita.get(page)
    rita.post(f"/disclosures/{row}/withdraw", reason="another incident")
    assert "Nobody outside is noted yet" in rita.get(page)
    aldo.get(page)
    aldo.post(page, 403, to_whom="x")


def test_the_api_says_the_same_of_verdicts_and_of_who_was_told(people: People) -> None:
    (taken,) = bench.take(bench.draft())
    api = f"/api/v1/incidents/{bench.incident(taken.incident_id).key}"
    rita = Reader(people.rita)

    def send(method: str, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
        answer = rita._send(method, path, json=body, headers={"X-CSRF-Token": rita.csrf})
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        return told

    page = rita.get(api.removeprefix("/api/v1"))
    (value, *_rest) = re.findall(r'id="of-([0-9a-f-]{36})"', page)
    send("POST", f"{api}/verdicts", {"observable_id": value, "verdict": "suspicious", "because": "seen twice"}, 201)
    send("POST", f"{api}/verdicts", {"observable_id": value, "verdict": "evil"}, 422)
    (told,) = json.loads(rita.get(f"{api}/verdicts"))["items"]
    assert (told["verdict"], told["says"], told["proposed"]) == ("suspicious", "seen twice", False)
    made = send("POST", f"{api}/disclosures", {"to_whom": "CSIRT", "kind": "indicators", "tlp": "green"}, 201)
    send("POST", f"{api}/disclosures", {"to_whom": "CSIRT", "applies": False}, 422)
    change = {"to_whom": "CSIRT", "kind": "indicators", "sent_at": "2026-01-01T10:00:00Z", "reference": "C-1", "version": made["version"]}
    at = f"/api/v1/disclosures/{made['id']}"
    assert send("PUT", at, change, 200)["reference"] == "C-1"
    send("PUT", at, {**change, "reference": "C-2"}, 409)
    assert [one["tlp"] for one in json.loads(rita.get(f"{api}/disclosures"))["items"]] == ["green"]
    send("POST", f"{at}/withdraw", {"reason": "they had it"}, 200)
    assert json.loads(rita.get(f"{api}/disclosures"))["items"] == []


def test_a_finding_is_entered_with_the_file_that_shows_it(people: People) -> None:
    of = bench.opened()
    rita = Reader(people.rita)
    page = f"/incidents/{of.key}/findings"
    assert "autofocus" not in rita.get(page)
    assert "autofocus" in rita.get(f"{page}?new=1"), "the key goes straight to the first field"
    rita.post(page, says="Ran invoice.docm", occurred_at="2026-11-01 03:12", precision="minute", confidence="high",
              files=[("files", ("edr.txt", b"process tree"))])  # fmt: skip
    assert 'href="/attachments/' in rita.get(page)
    assert "edr.txt" in rita.get(f"/incidents/{of.key}")
