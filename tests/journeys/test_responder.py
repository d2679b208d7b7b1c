"""The responder's journey: sees what needs doing, takes it, follows the checklist, decides, notes, closes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from accounts import installed, joined
from browsing import Browser, Shown
from free_ports import wait_until
from ringing import Bell, count, rows
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Desk:
    """One installation for all tests of this file, with Rita who responds and Aldo who audits."""

    tocsin: Tocsin
    rita: Browser
    aldo: Browser


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Set up and started."""
    tocsin = Tocsin(tmp_path_factory.mktemp("desk") / "data")
    try:
        ana = installed(tocsin)
        yield Desk(tocsin, joined(tocsin, ana, "Rita", "responder"), joined(tocsin, ana, "Aldo", "auditor"))
    finally:
        tocsin.end()


def _opened(tocsin: Tocsin, title: str, **alert: str) -> str:
    """The incident that a critical alert of this title opens; each is of a source of its own."""
    bell = Bell(tocsin, re.sub(r"\W+", "-", title.lower()))
    with tocsin.client() as client:
        assert bell.ring(client, title=title, severity="critical", **alert).status_code == 202
    of_it = "SELECT key FROM incidents WHERE title = :title"
    wait_until(lambda: rows(tocsin, of_it, title=title), what="the incident")
    return str(rows(tocsin, of_it, title=title)[0][0])


def _until(browser: Browser, path: str, shows: str) -> Shown:
    wait_until(lambda: re.search(shows, browser.open(path).html), what=f"{shows!r} on {path}")
    return browser.open(path)


def test_an_alert_is_taken_worked_on_and_closed(desk: Desk) -> None:
    here, rita = desk.tocsin, desk.rita
    key = _opened(
        here, title="Beacon from finance-7", host="finance-7", src_ip="203.0.113.9", category="intrusion"
    )
    assert key in rita.open("/").html
    assert key in rita.open("/incidents").html
    page = rita.open(f"/incidents/{key}")
    assert page.headings == ["Beacon from finance-7"]
    assert "finance-7" in page.text
    assert "203.0.113[.]9" in page.text
    page = rita.submit(page, "/take")
    page = rita.submit(page, "/comment", body="Looks **real** <b>to me</b>: https://evil.example/x")
    assert "<strong>real</strong>" in page.html
    assert "<b>to me" not in page.html
    page = rita.submit(page, "/stage", to="investigate")
    page = rita.submit(page, "/confirm", to="declared", because="two hosts beacon")
    page = rita.submit(page, rf"/incidents/{key}/tasks", title="Collect memory", checklist="Dump it\nHash it")
    assert "Collect memory" in page.text
    page = rita.submit(page, r"/tasks/.*/complete")
    close = rita.open(f"/incidents/{key}/close")
    refused = rita.submit(close, "/close", status=422, disposition="true_positive", summary="", root_cause="")
    assert "cause" in refused.text.lower()
    closed = rita.submit(
        close,
        "/close",
        disposition="true_positive",
        summary="Contained in an hour.",
        root_cause="Stolen session.",
    )
    assert key in closed.text
    story = _verbs(here)
    for verb in (
        "incident.opened",
        "incident.owner_changed",
        "comment.added",
        "task.completed",
        "incident.closed",
    ):
        assert verb in story, story
    assert rita.open(f"/incidents?q={key}").status == 200


def test_a_playbook_asks_and_goes_on_with_the_answer(desk: Desk) -> None:
    here, rita = desk.tocsin, desk.rita
    key = _opened(here, title="Trojan found", host="finance-8", category="malware")
    page = _until(rita, f"/incidents/{key}", r"/tasks/[0-9a-f-]+/complete")
    tasks, approvals = "SELECT count(*) FROM tasks", "SELECT count(*) FROM waits WHERE kind = 'approval'"
    before = count(here, tasks), count(here, approvals)
    answers = {
        "answer__stopped": "no",
        "answer__ran": "yes",
        "answer__kind": "workstation",
        "answer__others": "2",
    }
    rita.submit(page, r"/tasks/.*/complete", **answers)
    wait_until(
        lambda: count(here, tasks) > before[0] or count(here, approvals) > before[1],
        what="the next step",
    )


def test_a_false_positive_is_closed_with_one_reason(desk: Desk) -> None:
    here, rita = desk.tocsin, desk.rita
    key = _opened(here, title="Scanner again")
    rita.submit(rita.open(f"/incidents/{key}/close"), "/close", disposition="false_positive")
    assert rows(here, "SELECT disposition FROM incidents WHERE key = :key", key=key) == [("false_positive",)]


def test_an_auditor_reads_and_changes_nothing(desk: Desk) -> None:
    aldo = desk.aldo
    key = _opened(desk.tocsin, title="For the record")
    page = aldo.open(f"/incidents/{key}")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.html)
    data = {"csrf": csrf[1] if csrf else "", "disposition": "false_positive", "to": "triage", "body": "x"}
    for action in ("take", "stage", "comment", "close"):
        assert aldo.client.post(f"/incidents/{key}/{action}", data=data).status_code == 403, action


def _verbs(tocsin: Tocsin) -> set[str]:
    """The verbs in the journal."""
    return {str(row[0]) for row in rows(tocsin, "SELECT verb FROM journal")}
