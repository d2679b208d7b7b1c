"""A Redis that hangs (it keeps its connections and answers nothing) must not slow a single request."""

import http.client
import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from bench import rounds
from bench.figures import Figure
from bench.installation import Bench
from bench.measures.through import SCALED, burst
from bench.rounds import Round

NOTES = 50


def measure(bench: Bench) -> Iterator[Figure]:
    """Accepting, and a note that open pages are told of, with Redis running and hanging in turn."""
    running: list[tuple[Round, list[float]]] = []
    hanging: list[tuple[Round, list[float]]] = []
    with bench.installed("postgresql", scaled=True) as made, made.reader() as engine:
        source = made.source()
        token = json.loads(made.run("token", "create", "--name", "bench", "--json"))["token"]
        with made.running("web", "worker") as processes:
            incident = _open(processes[0].url, token)

            def once() -> tuple[Round, list[float]]:
                told = _tell(processes[0].url, token, incident)
                return rounds.ours(processes, source, burst(bench), duplicates=90, engine=engine), told

            once()
            for _ in range(bench.repeat):
                running.append(once())
                with bench.redis.hanging():
                    hanging.append(once())
    for name, found in (("running", running), ("hanging", hanging)):
        sent = [one.sent for one, _told in found]
        notes = {
            "longest": max(one.longest for one in sent),
            "refused": float(sum(one.refused for one in sent)),
        }
        yield Figure(
            "hanging", f"alerts accepted, p99, Redis {name}", SCALED, "ms", tuple(one.p99 for one in sent),
            more_is_better=False, notes=notes,
        )  # fmt: skip
        yield Figure(
            "hanging", f"alerts to incidents, 90 % duplicates, Redis {name}", SCALED, "1/s",
            tuple(one.rate for one, _told in found),
        )  # fmt: skip
        yield Figure(
            "hanging", f"a note is written, the slowest of {NOTES}, Redis {name}", SCALED, "ms",
            tuple(max(told) for _one, told in found), more_is_better=False,
        )  # fmt: skip


def _open(url: str, token: str) -> str:
    _status, told = _post(
        url, token, "/api/v1/incidents", {"title": "Notes are written here", "severity": "low"}
    )
    return str(told["key"])


def _tell(url: str, token: str, incident: str) -> list[float]:
    taken = []
    for number in range(NOTES):
        began = time.perf_counter()
        status, told = _post(url, token, f"/api/v1/incidents/{incident}/comments", {"body": f"Note {number}"})
        taken.append((time.perf_counter() - began) * 1e3)
        if status != 201:
            raise SystemExit(f"a note was answered with {status}: {told}")
    return taken


def _post(url: str, token: str, path: str, body: dict[str, str]) -> tuple[int, dict[str, object]]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    told = json.loads(answer.read() or b"{}")
    connection.close()
    return answer.status, told
