"""Every page that can be reached by links: it answers, has one heading, changes nothing, and is safe with hostile data."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from accounts import installed
from browsing import Browser, Shown
from free_ports import wait_until
from ringing import Bell, count
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
JOURNAL = "SELECT count(*) FROM journal"
HOSTILE = '<script>alert("x")</script> \u202eevil\u202c ' + "long" * 90 + " https://evil.example/a?b=c"
MOST = 300


@dataclass(frozen=True)
class Day:
    """A running Tocsin on its first day: its administrator's browser, every page, and how the journal grew by looking at them."""

    tocsin: Tocsin
    browser: Browser
    pages: dict[str, Shown]
    recorded: int


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """One installation for all tests of this file, walked through before anything has happened to it."""
    installation = Tocsin(tmp_path_factory.mktemp("pages") / "data")
    try:
        browser = installed(installation)
        before = count(installation, JOURNAL)
        pages = _crawl(browser)
        yield Day(installation, browser, pages, count(installation, JOURNAL) - before)
    finally:
        installation.end()


def _crawl(browser: Browser) -> dict[str, Shown]:
    """Every page, by a name that leaves identifiers out: one of each kind is looked at, from each list."""
    seen: dict[str, Shown] = {}
    waiting = ["/"]
    while waiting and len(seen) < MOST:
        path = waiting.pop(0)
        kind = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|INC-\d{4}-\d+", "…", path.partition("?")[0])
        if kind in seen or kind.startswith(("/static", "/logout", "/feeds", "/ingest")):
            continue
        answer = browser.client.get(path)
        assert answer.status_code == 200, f"{path} → {answer.status_code}: {answer.text[:500]}"
        if not answer.headers.get("Content-Type", "").startswith("text/html"):
            continue
        seen[kind] = Shown(answer)
        waiting += browser.own_links(seen[kind])
    return seen


def _check(seen: dict[str, Shown]) -> None:
    for kind, page in seen.items():
        assert len(page.headings) == 1, f"{kind} has headings {page.headings}"
        assert page.headings[0], f"{kind} has an empty heading"
        assert "<script>alert" not in page.html, kind
        assert not re.search(
            r'(src|href)="https?://', re.sub(r"<a [^>]*rel=\"[^\"]*noopener[^>]*>", "", page.html)
        ), kind
        assert "\u202e" not in page.text, f"{kind} lets text run backwards"
        assert not re.search(r'href="[^"]*evil\.example', page.html), (
            f"{kind} links to what an attacker wrote"
        )
        for form in page.forms:
            if form.method == "post" and form.action not in ("/logout", "/language", "/login"):
                assert form.fields.get("csrf", [""])[0], f"{kind}: the form {form.action} has no token"


def test_each_has_something_to_say_on_the_first_day(first_day: Day) -> None:
    assert len(first_day.pages) >= 10, sorted(first_day.pages)
    _check(first_day.pages)
    assert first_day.recorded == 0, "looking at pages changed something"


def test_none_is_hurt_by_what_attackers_write(first_day: Day) -> None:
    installation, browser = first_day.tocsin, first_day.browser
    bell = Bell(installation)
    with installation.client() as client:
        for serial, severity in enumerate(("low", "high", "critical")):
            answer = bell.ring(client, id=f"h{serial}", title=f"{serial} {HOSTILE}", severity=severity, user=HOSTILE,
                               host='"><img src=x onerror=alert(1)>', src_ip="203.0.113.9", rule=HOSTILE)  # fmt: skip
            assert answer.status_code == 202
        client.post(bell.url, content=b"<script>alert(1)</script>", headers=bell.headers)
    wait_until(lambda: count(installation, "SELECT count(*) FROM incidents") >= 2, what="the incidents")
    due = "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL"
    wait_until(lambda: count(installation, due) == 0, what="the deliveries")
    seen = _crawl(browser)
    assert any("…" in kind for kind in seen), sorted(seen)
    _check(seen)
    for page in seen.values():
        assert "<img src=x" not in page.html


def test_nothing_but_the_door_is_open_to_strangers(first_day: Day) -> None:
    paths = [path for path in first_day.pages if "…" not in path]
    with first_day.tocsin.client() as stranger:
        for path in paths:
            answer = stranger.get(path)
            assert answer.status_code in (303, 307, 401) or path == "/login", f"{path} → {answer.status_code}"
