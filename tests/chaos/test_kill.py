"""`kill -9` of one process on PostgreSQL, in the middle of ingest and of a run: the shape that the storms leave out."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from accounts import installed
from free_ports import wait_until
from ringing import Bell, count, rows
from running_tocsin import Tocsin
from vendor_server import Answer, Vendor

KILLS = 3  # the long storms have theirs
SEED = int(os.environ.get("TOCSIN_CHAOS_SEED", random.randrange(10**6)))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 60 * KILLS)]


@pytest.fixture
def environment(new_postgres: Callable[[], str]) -> dict[str, str]:
    """`tocsin serve` on PostgreSQL."""
    return {"TOCSIN_DATABASE_URL": new_postgres()}


class Ledger:
    """What Tocsin has acknowledged, kept outside it while several tools send as fast as they can."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.acknowledged: list[str] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def send(self, round_: int, clients: int = 6) -> None:
        """Start sending, each client over a connection of its own."""
        self._stop.clear()
        self._threads = [
            threading.Thread(target=self._client, args=(f"{round_}-{n}",)) for n in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop sending."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, name: str) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            for serial in range(10**6):
                if self._stop.is_set():
                    return
                alert = f"{name}-{serial}"
                try:
                    answer = self.bell.ring(client, id=alert, title=f"Alert {alert}")
                except httpx.TransportError:
                    time.sleep(0.01)  # killed in the middle: no receipt, so nothing was promised
                    continue
                if answer.status_code == 202:
                    self.acknowledged.append(alert)


def test_every_acknowledged_alert_survives(
    tocsin: Callable[..., Tocsin], environment: dict[str, str]
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    installation = tocsin(**environment).start()
    ledger = Ledger(Bell(installation))
    for round_ in range(KILLS):
        ledger.send(round_)
        time.sleep(chance.uniform(0.2, 1.2))
        installation.kill("serve")
        ledger.stop()
        installation.start()
    assert len(ledger.acknowledged) > 20 * KILLS
    wait_until(lambda: not _due(installation), seconds=60, what="the backlog")
    kept = Counter(str(row[0]) for row in rows(installation, "SELECT external_id FROM alerts"))
    assert [alert for alert in ledger.acknowledged if kept[alert] == 0] == []
    assert [alert for alert, times in kept.items() if times > 1] == []
    assert count(installation, "SELECT count(*) FROM deliveries WHERE parked_at IS NOT NULL") == 0
    assert installation.stop() < 10


PLAYBOOKS = """
version: 1
playbooks:
  contain:
    name: Contain a host
    mode: act
    triggers: [{on: incident.opened, when: 'incident.severity == "critical"'}]
    steps:
      - {id: note, set: {host: "{{ incident.host }}"}}
      - {id: isolate, action: http.request, with: {method: POST, path: "/isolate/{{ incident.title }}"}}
      - {id: done, set: {done: true}}
"""


def test_an_effect_is_not_repeated_after_a_kill(
    tocsin: Callable[..., Tocsin], environment: dict[str, str], vendor: Vendor, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    playbooks = tmp_path / "chaos.yaml"
    playbooks.write_text(PLAYBOOKS, encoding="utf-8")
    installation = tocsin(**environment, TOCSIN_PLAYBOOKS=str(playbooks))
    ana = installed(installation)
    ana.submit(
        ana.open("/connectors/http"),
        r"/connectors/http/instances$",
        name="edge",
        setting__base_url=vendor.url,
        private="1",
    )
    bell = Bell(installation)
    for serial in range(400):
        vendor.answer("POST", f"/isolate/c-{serial}", Answer(delay=0.25))
    serial = 0
    for _ in range(KILLS):
        with installation.client() as client:
            for _ in range(6):
                answer = bell.ring(client, title=f"c-{serial}", severity="critical", host=f"host-{serial}")
                assert answer.status_code == 202, answer.text
                serial += 1
        time.sleep(chance.uniform(0.05, 1.0))
        installation.kill("serve")
        installation.start()
    runs = "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL"
    unknown = "SELECT count(*) FROM action_calls WHERE state = 'unknown'"
    wait_until(
        lambda: count(installation, runs) + count(installation, unknown) >= serial,
        seconds=150,  # a killed worker's call is taken over when its lease of 90 s ends
        what="the runs to end",
    )
    # Effects only: Tocsin also asks the new product `GET /` whether it is well, which changes nothing there.
    asked = {(call.method, call.path) for call in vendor.calls if call.method != "POST"}
    assert asked <= {("GET", "/")}
    calls = Counter(call.path for call in vendor.calls if call.method == "POST")
    assert set(calls) <= {f"/isolate/c-{n}" for n in range(serial)}
    assert [path for path, times in calls.items() if times > 1] == []
    states = Counter(str(row[0]) for row in rows(installation, "SELECT state FROM action_calls"))
    assert states["succeeded"] + states["unknown"] == serial, states
    assert states["succeeded"] <= len(calls) <= serial


def _due(installation: Tocsin) -> int:
    return count(installation, "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL")
