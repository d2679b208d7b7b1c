"""The storm: tools that send until each alert is acknowledged, and a killer at work meanwhile."""

import http.client
import json
import random
import threading
import time
from collections import deque
from functools import partial

from fleet import Fleet
from ledger import Ledger, Sent, until

SENDERS = 4
TOGETHER = 3  # alerts about one host, sent at the same time by different tools


def _about(host: str) -> dict[str, str]:
    """Each host has a rule of its own: alerts of one kind would be gathered in one incident, as a storm's are."""
    return {"host": host, "rule": f"Something on {host}"}


class Senders:
    """Tools that send at a bounded rate and send again what was not acknowledged, as tools do."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, token: str, seed: int, crews: int, hosts_a_second: float
    ) -> None:
        self._fleet, self._ledger, self._seed = fleet, ledger, seed
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._every, self._crews = 1 / hosts_a_second, crews
        self._stop = threading.Event()
        self._together: deque[Sent] = deque()
        self._hosts, self._serial = 0, 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        self._stop.clear()
        self._threads = [threading.Thread(target=self._tool, args=(n,), daemon=True) for n in range(SENDERS)]
        self._threads.append(threading.Thread(target=self._attacks, daemon=True))
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Send nothing new; return when everything sent has been acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self._threads), (
            "an alert found no open door within 90 s"
        )

    def _attacks(self) -> None:
        while not self._stop.wait(self._every):
            self._hosts += 1
            title = f"crew-{self._hosts % self._crews:03} h-{self._hosts}"
            alerts = [self._alert(title, "critical", f"h-{self._hosts}") for _ in range(TOGETHER)]
            self._together.extend(alerts)

    def _alert(self, title: str, severity: str, host: str | None = None) -> Sent:
        with self._lock:
            self._serial += 1
            serial = f"a-{self._serial}"
        told = {"id": serial, "title": title, "severity": severity} | (_about(host) if host else {})
        return Sent(serial, json.dumps(told).encode(), host)

    def _tool(self, number: int) -> None:
        chance = random.Random(self._seed * 100 + number)
        wires: dict[int, http.client.HTTPConnection] = {}
        lately: deque[Sent] = deque(maxlen=20)
        while True:
            try:
                sent = self._together.popleft()
            except IndexError:
                if self._stop.is_set():
                    break
                repeat = bool(lately) and chance.random() < 0.1
                sent = chance.choice(lately) if repeat else self._alert("Something rang", "low")
            if sent.tries == 0:
                self._ledger.enter(sent)
                lately.append(sent)
            self._send(sent, wires, chance)
            time.sleep(chance.uniform(0.05, 0.25))
        for wire in wires.values():
            wire.close()

    def _send(self, sent: Sent, wires: dict[int, http.client.HTTPConnection], chance: random.Random) -> None:
        """Until a receipt comes; a door that is down or full is no reason to forget it."""
        for _ in range(2000):
            sent.tries += 1
            port = chance.choice(list(self._fleet.ports.values()))
            wire = wires.setdefault(port, http.client.HTTPConnection("127.0.0.1", port, timeout=10))
            try:
                wire.request("POST", "/ingest/gate", body=sent.body, headers=self._headers)
                answer = wire.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException):
                wire.close()
                time.sleep(chance.uniform(0.05, 0.15))
                continue
            if answer.status == 202:
                sent.receipts.append(json.loads(said)["receipt"])
                return
            assert answer.status in (503, 500), f"{answer.status}: {said[:300]!r}"
            time.sleep(chance.uniform(0.1, 0.3))


class Killer:
    """Kills in turn what it may, at random moments; the named points are armed where processes start."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self._fleet = fleet
        self._chance = random.Random(seed)

    def rage(self, kills: int, seconds: float) -> None:
        """Until `kills` have died (or been flushed), by whatever way, or `seconds` have passed.

        By turns: for a while it strikes at random moments, for a while it lets work go on until processes reach the points
        at which they die.
        """
        fleet = self._fleet
        goal, end = fleet.deaths.total() + kills, time.monotonic() + seconds
        fleet.arming = True
        turn, waits = 0, False
        while fleet.deaths.total() < goal and time.monotonic() < end:
            turn -= 1
            if turn < 0:
                turn, waits = self._chance.randint(4, 10), not waits
            if waits:
                if until(partial(self._more_than, fleet.deaths.total()), 5):
                    continue
            elif (
                fleet.shape == "embedded" and self._chance.random() < 0.8
            ):  # else it may be killed while it starts
                until(lambda: fleet.up() and _ready(fleet.ports["serve-1"]), 10)
            time.sleep(self._chance.uniform(0.1, 1.0 if fleet.shape == "scaled" else 3.0))
            self._strike()
        fleet.arming = False

    def _more_than(self, deaths: int) -> bool:
        return self._fleet.deaths.total() > deaths

    def _strike(self) -> None:
        fleet = self._fleet
        if fleet.shape == "embedded":
            fleet.strike("serve-1")
            return
        assert fleet.redis is not None
        assert fleet.postgres is not None
        (target,) = self._chance.choices(
            ("web", "worker", "all workers", "beat", "redis", "flush", "postgres"), (5, 8, 2, 2, 2, 1, 2)
        )
        if target in ("web", "worker"):
            names = [name for name, role in fleet.roles.items() if role == target]
            fleet.strike(self._chance.choice(names))
        elif target == "all workers":
            for number in (1, 2, 3):
                fleet.strike(f"worker-{number}")
        elif target == "beat":
            fleet.strike("beat-1")
        elif target == "redis":
            fleet.redis.kill()
            time.sleep(self._chance.uniform(0.0, 0.3))
            fleet.redis.start()
            fleet.deaths["redis"] += 1
        elif target == "flush":
            fleet.flush_redis()
            fleet.deaths["redis flushed"] += 1
        else:
            fleet.postgres.restart_at_once()
            fleet.deaths["postgresql"] += 1


def wait_up(fleet: Fleet, seconds: float = 60.0) -> None:
    """Until every door answers."""
    assert until(lambda: fleet.up() and all(_ready(port) for port in fleet.ports.values()), seconds), (
        fleet.tail()
    )


def _ready(port: int) -> bool:
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        wire.request("GET", "/readyz")
        return wire.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        wire.close()
