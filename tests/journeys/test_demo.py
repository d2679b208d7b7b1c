"""The newcomer's journey: one command, and within a minute there is something to see of every kind."""

import os
import re
import signal
import time
from collections.abc import Callable

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


def test_within_a_minute_there_is_something_to_see_of_every_kind(tocsin: Callable[..., Tocsin]) -> None:
    demo = tocsin()
    started = time.monotonic()
    demo.start("demo")
    _wait_for_links(demo, 60)
    assert time.monotonic() - started < 60
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
    assert "certificate" in ana.open(links["a report"][0]).text
    assert '"level": "error"' not in _said(demo), _said(demo)

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
