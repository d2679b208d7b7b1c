"""The scaled shape under load: processes are restarted one after the other, Redis hangs, two beats beat; no request is lost."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from free_ports import free_port, wait_until
from real_servers import Redis
from ringing import Bell, count, rows
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SHARED = {"TOCSIN_SECRET_KEY": "thirty-two characters at the very least"}


@pytest.fixture
def house(
    tocsin: Callable[..., Tocsin], new_postgres: Callable[[], str], redis_server: Redis
) -> tuple[Tocsin, Tocsin]:
    """Two webs on two ports, a worker and two beats, on one database."""
    shared = SHARED | {"TOCSIN_DATABASE_URL": new_postgres(), "TOCSIN_REDIS_URL": redis_server.url}
    one, two = tocsin(**shared), tocsin(**shared, TOCSIN_PORT=str(free_port()))
    two.port = int(two.env["TOCSIN_PORT"])
    two.url = f"http://127.0.0.1:{two.port}"
    one.run("migrate")
    one.run("init", "--email", "ana@example.org", "--password", "a sentence to remember")
    one.start("web", "worker", "beat")
    two.start("web", "beat")
    return one, two


class Caller(threading.Thread):
    """A tool that keeps its connection and sends one alert after the other; it turns away only when refused."""

    def __init__(self, name: str, bell: Bell, ports: tuple[int, int], stop: threading.Event) -> None:
        super().__init__(name=name)
        self.bell, self.ports, self.ending = bell, ports, stop
        self.kept: list[str] = []
        self.lost: list[str] = []
        self.refused = 0

    def run(self) -> None:
        turn, serial = 0, 0
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for port in self.ports]
        while not self.ending.is_set():
            turn += 1
            alert = f"{self.name}-{serial}"
            try:
                status = self._send(connections[turn % 2], alert)
            except ConnectionRefusedError:
                self.refused += 1
                connections[turn % 2].close()
                time.sleep(0.02)
                continue
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{alert}: {error!r}")
                return
            if status == 202:
                self.kept.append(alert)
                serial += 1
            else:
                self.lost.append(f"{alert}: {status}")
                return
            time.sleep(0.01)
        for connection in connections:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, alert: str) -> int:
        body = json.dumps({"id": alert, "title": alert, "severity": "low"})
        headers = {**self.bell.headers, "Content-Type": "application/json"}
        connection.request("POST", f"/ingest/{self.bell.name}", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def test_nothing_is_lost_or_slow_while_redis_hangs_and_all_are_restarted(
    house: tuple[Tocsin, Tocsin], redis_server: Redis
) -> None:
    one, two = house
    bell = Bell(one)
    _redis_hangs(one, bell, redis_server)
    _all_are_restarted(one, two, bell)


def _redis_hangs(one: Tocsin, bell: Bell, redis: Redis) -> None:
    """No request waits for it, and the work is found all the same."""
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=20)
    before = _took(bell, connection, [f"before-{n}" for n in range(30)])
    with redis.hung():
        after = _took(bell, connection, [f"after-{n}" for n in range(30)])
        wait_until(
            lambda: count(one, "SELECT count(*) FROM alerts WHERE external_id LIKE 'after-%'") == 30,
            what="the work to be found without a wake",
        )
        after += _took(bell, connection, [f"again-{n}" for n in range(10)])
    connection.close()
    # A request that waited for Redis would take a second at least, its socket's time-out.
    assert sorted(after)[-3] < max(0.9, 5 * sorted(before)[-3]), (before, after)


def _took(bell: Bell, connection: http.client.HTTPConnection, alerts: list[str]) -> list[float]:
    """How many seconds each request took."""
    taken = []
    for alert in alerts:
        began = time.monotonic()
        body = json.dumps({"id": alert, "title": alert, "severity": "low"})
        connection.request("POST", f"/ingest/{bell.name}", body, bell.headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202
        taken.append(time.monotonic() - began)
    return taken


def _all_are_restarted(one: Tocsin, two: Tocsin, bell: Bell) -> None:
    """One after the other, while tools send to whoever takes them: all is answered, all is there, once."""
    stop = threading.Event()
    callers = [Caller(f"caller-{n}", bell, (one.port, two.port), stop) for n in range(4)]
    for caller in callers:
        caller.start()
    for each, command in ((one, "web"), (two, "web"), (one, "worker"), (one, "beat")):
        assert each.stop(command) < 15
        each.start(command)
    stop.set()
    for caller in callers:
        caller.join()
    assert [loss for caller in callers for loss in caller.lost] == []
    assert sum(caller.refused for caller in callers) > 0, "nobody was turned away: were they restarted?"
    kept = [alert for caller in callers for alert in caller.kept]
    assert len(kept) > 50
    wait_until(
        lambda: count(one, "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL") == 0, seconds=60,
        what="the backlog",
    )  # fmt: skip
    there = Counter(
        str(row[0]) for row in rows(one, "SELECT external_id FROM alerts WHERE external_id LIKE 'caller-%'")
    )
    assert there == Counter(kept), "each alert that was acknowledged is there, once"
    assert count(one, "SELECT count(*) FROM deliveries WHERE parked_at IS NOT NULL") == 0
