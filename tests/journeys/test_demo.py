"""The newcomer's journey: one command, and within a minute there is something to see of every kind."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from browsing import Browser
from free_ports import wait_until
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LINK = re.compile(r"^  (?P<what>\S.{14})\s*(?P<url>http://\S+)", re.MULTILINE)
PASSWORD = re.compile(r"sign in as (\S+)   password (\S+)")


def _said(demo: Tocsin) -> str:
    return demo.log.read_text(encoding="utf-8") if demo.log.exists() else ""


def _wait_for_links(demo: Tocsin, seconds: float) -> None:
    try:
        wait_until(lambda: "a report" in _said(demo), seconds=seconds, what="the demo's links")
    except AssertionError as error:
        raise AssertionError(f"{error}; it said:\n{_said(demo)[-4000:]}") from error


def _links(demo: Tocsin) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for link in LINK.finditer(_said(demo)):
        found.setdefault(link["what"].strip(), []).append(link["url"].removeprefix(demo.url))
    return found


def _press_ctrl_c(demo: Tocsin) -> tuple[int, float]:
    started = time.monotonic()
    process = psutil.Process(demo.pid("demo"))
    os.kill(process.pid, signal.SIGINT)
    code = process.wait(20)
    demo.kill()
    return int(code or 0), time.monotonic() - started


def _was_done_by_people(report: dict[str, Any]) -> None:
    """Nobody answers within a blink, and nothing is written down before it was, or at a time to come."""
    assert all(page["acknowledged_ms"] > 30_000 for page in report["pages"] if page["acknowledged_ms"])
    assert all(span["seconds"] is None or span["seconds"] > 60 for span in report["spans"])
    told = [line["at"] for line in report["timeline"]]
    assert told == sorted(told)
    assert told[-1] < report["made_at"]


def _tells_something_in_each_section(report: dict[str, Any]) -> None:
    head = report["head"]
    assert (head["confirmation"], head["disposition"], head["owner"], head["scribe"]) == (
        "declared", "true_positive", "Ana Ruiz", "Luis Ortega",
    )  # fmt: skip
    parts = ("paragraph", "times", "spans", "findings", "timeline", "actions", "countermeasures", "decisions", "pages", "obligations",
             "shared", "notices", "messages", "evidence", "observables", "follow_ups", "open_ends", "waited", "tasks", "runs", "comments")  # fmt: skip
    assert [part for part in parts if not report[part]] == []
    assert {point["section"] for point in report["review"]} == {
        "impact", "scope", "cause", "gap", "decision", "side", "rule", "well", "badly", "luck", "question", "confidence",
    }  # fmt: skip
    assert {(one["state"], one["rail"]) for one in report["actions"]} >= {
        ("succeeded", None),
        ("refused", "protected"),
    }
    assert {one["verdict"] for one in report["observables"]} >= {"malicious"}
    assert {one["state"] for one in report["obligations"]} == {"does not apply", "received"}
    assert [span["name"] for span in report["spans"] if span["seconds"] is None] == []
    assert report["evidence"][0]["custody"]


def test_within_a_minute_there_is_something_to_see_of_every_kind(tocsin: Callable[..., Tocsin]) -> None:
    demo = tocsin()
    demo.start("demo")
    _wait_for_links(demo, 180)
    spent = psutil.Process(demo.pid("demo")).cpu_times()
    assert spent.user + spent.system < 60, "a minute is enough where nothing else is done"
    links = _links(demo)
    assert {
        "new",
        "contain",
        "closed",
        "a playbook runs",
        "approve or not",
        "a page waits",
        "a report",
    } <= links.keys()

    email, password = PASSWORD.findall(_said(demo))[0]
    ana = Browser(demo)
    assert ana.sign_in(email, password).path == "/"
    for what, paths in links.items():
        for path in paths:
            page = ana.open(path)
            assert page.status == 200, f"{what}: {path}"
            assert page.headings, f"{what}: {path}"
    assert "cknowledge" in ana.open(links["a page waits"][0]).text
    assert "Contain the account deploy?" in ana.open(links["approve or not"][0]).text
    assert "Approve" in ana.open(links["approve or not"][0]).text
    malware, outage = links["a report"]
    assert "certificate" in ana.open(outage).text
    for path in (malware, outage):
        _was_done_by_people(json.loads(ana.open(f"{path}/json").text))
    _tells_something_in_each_section(json.loads(ana.open(f"{malware}/json").text))
    assert '"level": "warning"' not in _said(demo), _said(demo)
    assert '"level": "error"' not in _said(demo), _said(demo)

    demo.env["TOCSIN_DATA_DIR"] = str(demo.data / "demo")
    wait_until(lambda: demo.json("audit", "verify")["waiting"] == 0, what="the seal of the journal")
    assert demo.json("audit", "verify")["verified"]
    code, seconds = _press_ctrl_c(demo)
    assert code == 0
    assert seconds < 5
    assert "Traceback" not in _said(demo)


def test_it_goes_on_where_it_was_when_told_to(tocsin: Callable[..., Tocsin]) -> None:
    demo = tocsin()
    demo.start("demo")
    _wait_for_links(demo, 180)
    before = _links(demo)
    assert _press_ctrl_c(demo)[0] == 0
    demo.log.unlink()
    demo.start("demo --go-on")
    _wait_for_links(demo, 180)
    assert _links(demo)["a report"] == before["a report"]
    assert _links(demo)["contain"] == before["contain"]
    assert len(_links(demo)["new"]) == len(before["new"])
    demo.stop()
