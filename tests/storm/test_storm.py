"""A storm over the real program: fifty kinds of alerts on thousands of hosts in one go, and what people see of it.

`make test` sends a few thousand; `make storm` a hundred thousand, and prints the figures.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from accounts import enrolled, installed
from browsing import Browser
from flood import MAPPING, NEEDLES, TOOLS, expected
from free_ports import wait_until
from mail_server import MailServer
from real_servers import Redis
from ringing import count, rows
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

ALERTS = int(os.environ.get("TOCSIN_STORM_ALERTS", "2000"))
WHOLE = ALERTS >= 100_000
CLIENTS = 16
PLAYBOOKS = """
version: 1
playbooks:
  ring:
    name: Wake whoever is on call
    mode: act
    triggers: [{on: incident.opened, when: 'incident.severity in ["high", "critical"]'}]
    steps:
      - {id: ring, page: {policy: soc, message: "{{ incident.title }}"}}
"""
PAGES = ("/", "/incidents", "/alerts", "the storm's incident")


class Watcher(threading.Thread):
    """Somebody who looks at Tocsin's pages all the time; how long it took until each was there as a whole, in ms."""

    def __init__(self, browser: Browser, key: Callable[[], str | None]) -> None:
        super().__init__(daemon=True)
        self.took: dict[str, list[float]] = {page: [] for page in PAGES}
        self._browser, self._key, self._over = browser, key, threading.Event()

    def run(self) -> None:
        """Look at one page after the other, with a breath between."""
        while not self._over.is_set():
            for page in PAGES:
                key = self._key() if page == PAGES[-1] else None
                path = f"/incidents/{key}" if key else page
                if path.startswith("/"):
                    began = time.perf_counter()
                    answer = self._browser.client.get(urljoin(self._browser.base, path))
                    self.took[page].append((time.perf_counter() - began) * 1e3)
                    assert (answer.status_code, answer.text.rstrip()[-7:]) == (200, "</html>"), answer.text[:300]
                self._over.wait(0.2)

    def stop(self) -> dict[str, list[float]]:
        """Look no more; returns the times, sorted."""
        self._over.set()
        self.join(60)
        return {page: sorted(took) for page, took in self.took.items() if took}


def prepared(tocsin: Tocsin, folder: Path) -> tuple[Browser, dict[str, str]]:
    """Ana administers and is on call by mail; three tools may send. Returns her browser and the tools' tokens."""
    (folder / "ring.yaml").write_text(PLAYBOOKS)
    (folder / "mapping.yaml").write_text(MAPPING)
    tocsin.env["TOCSIN_PLAYBOOKS"] = str(folder / "ring.yaml")
    ana = installed(tocsin)
    enrolled(ana)  # who changes the default policy shows a second factor
    (number,) = next(iter(rows(tocsin, "SELECT id FROM users WHERE email = 'ana@example.org'")))
    plain = str(number).replace("-", "")
    her = "user:" + "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
    if not count(tocsin, "SELECT COUNT(*) FROM contact_methods"):
        ana.submit(ana.open("/profile"), "/profile/contacts$", channel="email", address__to="ana@example.org")
    ana.submit(
        ana.open("/oncall/policies/new"), "/oncall/policies/new", name="soc", s0__target=[her, ""], s0__minutes="60",
        last__target=[her, ""], repeat="0", default="1",
    )  # fmt: skip
    tokens = {}
    for tool in TOOLS:
        told = tocsin.json(
            "source", "add", tool, "--no-learning", "--connector", "generic_json", "--mapping", str(folder / "mapping.yaml")
        )
        tokens[tool] = told["token"]
    return ana, tokens


def blow(tocsin: Tocsin, tokens: dict[str, str]) -> dict[str, Any]:
    """Send the storm from a process of its own; returns its figures."""
    command = [
        sys.executable, str(Path(__file__).with_name("gale.py")), str(ALERTS), str(CLIENTS), "127.0.0.1", str(tocsin.port),
        json.dumps(tokens),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2400)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def storm(tocsin: Tocsin, mail: MailServer, folder: Path, title: str) -> None:
    """The whole of it, on an installation that is not started yet."""
    ana, tokens = prepared(tocsin, folder)
    watcher = Watcher(ana, lambda: _largest(tocsin))
    began = time.perf_counter()
    watcher.start()
    sent = blow(tocsin, tokens)
    assert (sent["refused"], sent["accepted"]) == ([], ALERTS)
    wait_until(lambda: _waiting(tocsin) == 0, seconds=2400 if WHOLE else 300, what="an empty backlog")
    drained = time.perf_counter() - began
    took = watcher.stop()

    found = Counter({(tool, name, severity): number for tool, name, severity, number in rows(tocsin, _FOUND)})
    wanted = expected(ALERTS)
    assert found == wanted, (
        f"{sum((wanted - found).values())} lost, {sum((found - wanted).values())} too many"
    )
    opened = rows(tocsin, "SELECT key, title, severity, alert_count, group_key FROM incidents")
    assert len(opened) <= 50
    firsts = {name.split(" on ")[0] for _, name, *_ in opened}
    high = {f"Detection {kind:02d}" for kind in range(15)}
    assert high <= firsts, "the first of each kind has an incident"
    needles = [row for row in opened if row[2] == "critical" and "needle-" in row[1]]
    assert len(needles) == NEEDLES, "critical ones pass, each with an incident of its own"
    alone = {row[0] for row in needles}
    wait_until(lambda: alone <= set(_rung(mail)), seconds=60, what="a mail for each critical one")
    pages = _to_ana(mail)
    gathering = count(tocsin, "SELECT COUNT(*) FROM page_targets WHERE page_id IS NULL AND due_at IS NOT NULL")
    assert len(pages) + gathering <= 20, "also with those that are still gathered"
    print(_told(title, sent, drained, opened, pages, took))
    slowest = max(_at(times, 0.5) for times in took.values())
    assert slowest < (200 if WHOLE else 5000), f"half of a page's answers took longer than {slowest:.0f} ms"


def _to_ana(mail: MailServer) -> list[EmailMessage]:
    return [message for message in mail.messages if "ana@example.org" in message["X-Envelope-To"]]


def _rung(mail: MailServer) -> list[str]:
    """The incidents whose key stands in a mail to the one on call."""
    return [key for message in _to_ana(mail) for key in re.findall(r"INC-\d{4}-\d{6,}", str(message.get_body(("plain",))))]


_FOUND = "SELECT source, title, severity, SUM(count) FROM alerts GROUP BY source, title, severity"


def _waiting(tocsin: Tocsin) -> int:
    time.sleep(0.3)  # looking costs the database something, too
    due = [
        count(tocsin, f"SELECT COUNT(*) FROM {table} WHERE due_at IS NOT NULL")
        for table in ("deliveries", "outbox")
    ]
    return sum(due)


def _largest(tocsin: Tocsin) -> str | None:
    found = rows(tocsin, "SELECT key FROM incidents ORDER BY alert_count DESC LIMIT 1")
    return str(found[0][0]) if found else None


def _at(times: list[float], part: float) -> float:
    return times[min(int(len(times) * part), len(times) - 1)]


def _told(
    title: str,
    sent: dict[str, Any],
    drained: float,
    opened: list[Any],
    pages: list[Any],
    took: dict[str, list[float]],
) -> str:
    lines = [
        f"\n### {title}: {ALERTS} alerts of 50 kinds\n",
        (
            f"accepted {sent['accepted']} in {sent['seconds']:.1f} s ({sent['accepted'] / sent['seconds']:.0f}/s, "
            f"p50 {sent['p50']:.1f} ms, p99 {sent['p99']:.1f} ms, told to wait {sent['told_to_wait']} times)"
        ),
        f"drained {drained:.1f} s after the first ({ALERTS / drained:.0f}/s); lost 0",
        (
            f"incidents {len(opened)}, of which {sum(row[2] == 'critical' for row in opened)} critical; "
            f"the largest holds {max(row[3] for row in opened)} alerts"
        ),
        f"mails to the one on call {len(pages)}",
    ]
    for page, times in took.items():
        lines.append(
            f"{page}: p50 {_at(times, 0.5):.0f} ms, p95 {_at(times, 0.95):.0f} ms, longest {times[-1]:.0f} ms ({len(times)})"
        )
    return "\n".join(lines)


def test_embedded(tocsin: Callable[..., Tocsin], smtp_server: MailServer, tmp_path: Path) -> None:
    one = tocsin(TOCSIN_SMTP_URL=smtp_server.url)
    storm(one, smtp_server, tmp_path, "One process on SQLite")


def test_scaled(
    tocsin: Callable[..., Tocsin],
    new_postgres: Callable[[], str],
    redis_server: Redis,
    smtp_server: MailServer,
    tmp_path: Path,
) -> None:
    one = tocsin(
        TOCSIN_SMTP_URL=smtp_server.url, TOCSIN_DATABASE_URL=new_postgres(), TOCSIN_REDIS_URL=redis_server.url,
        TOCSIN_SECRET_KEY="a secret key of the storm, long enough",
    )  # fmt: skip
    start = one.start
    one.start = lambda *_: start("web", "worker", "beat")  # type: ignore[method-assign]  # installed() starts it
    storm(one, smtp_server, tmp_path, "web, worker and beat on PostgreSQL and Redis")
