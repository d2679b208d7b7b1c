"""How many steps of playbooks a second, and how long one idle run of ten takes; DBOS and a Celery chain beside it."""

import contextlib
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figures import Figure, Rival
from bench.installation import ROOT, Bench, Installation
from bench.peers import engines
from bench.peers.engines import Pace
from bench.processes import free_port, plain_environment, running

RUNS = 200


def measure(bench: Bench) -> Iterator[Figure]:
    """All three in turn, each on its own empty database; then SQLite."""
    ours: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    dbos: list[Pace] = []
    celery: list[Pace] = []
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(bench.installed("postgresql"))
        scaled = stack.enter_context(bench.installed("postgresql", scaled=True))
        for _ in range(bench.repeat):
            ours.append(paced(made))
            with bench.postgres.database() as empty:
                dbos.append(engines.dbos(empty, RUNS))
            bench.redis.empty()
            with scaled.running("worker"):
                apart.append(paced(scaled, where="elsewhere"))
            bench.redis.empty()
            celery.append(engines.celery(bench.redis.url, RUNS))
    rates = (
        Rival(engines.DBOS, tuple(one.rate for one in dbos)),
        Rival(engines.CELERY, tuple(one.rate for one in celery)),
    )
    alone = (
        Rival(engines.DBOS, tuple(statistics.median(one.alone) for one in dbos)),
        Rival(engines.CELERY, tuple(statistics.median(one.alone) for one in celery)),
    )
    yield from _figures("PostgreSQL, all in one process", ours, rates, alone)
    yield from _figures("PostgreSQL, 1 worker apart", apart, rates, alone)
    with bench.installed("sqlite") as made:
        yield from _figures("SQLite, all in one process", [paced(made) for _ in range(bench.fewer)], (), ())


def paced(
    made: Installation,
    *,
    playbook: str = "ten_steps",
    runs: int = RUNS,
    where: str = "here",
    address: str = "",
) -> Any:
    """One round: `starting` and `waiting` in steps a second, `alone` in ms."""
    rest = [address] if address else []
    return json.loads(made.inside("bench.stepping", playbook, str(runs), where, *rest).splitlines()[-1])


def _figures(
    shape: str, found: list[Any], rates: tuple[Rival, ...], alone: tuple[Rival, ...]
) -> Iterator[Figure]:
    yield Figure(
        "steps", f"steps of {RUNS} runs × 10, from the first start", shape, "1/s",
        tuple(one["starting"] for one in found), 1000, rivals=rates,
    )  # fmt: skip
    yield Figure(
        "steps", f"steps of {RUNS} runs × 10 that wait for a worker", shape, "1/s",
        tuple(one["waiting"] for one in found), 1000,
    )  # fmt: skip
    yield Figure(
        "steps", "one run of 10 steps, nothing else", shape, "ms",
        tuple(statistics.median(one["alone"]) for one in found), 20, more_is_better=False, rivals=alone,
    )  # fmt: skip


def effects(bench: Bench) -> Iterator[Figure]:
    """Steps that call a product: intent, commit, call, outcome, commit; the product answers at once."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(bench.installed("postgresql"))
        vendor = [sys.executable, "-m", "bench.vendor", str(port)]
        log = Path(made.folder, "vendor.log")
        stack.enter_context(running(vendor, env=plain_environment(), folder=ROOT, log=log))
        found = [
            paced(made, playbook="ten_effects", runs=20, address=f"http://127.0.0.1:{port}")
            for _ in range(bench.fewer)
        ]
    shape = "PostgreSQL, all in one process"
    yield Figure(
        "effects", "steps that call a product, 20 runs × 10, from the first start", shape, "1/s",
        tuple(one["starting"] for one in found),
    )  # fmt: skip
    yield Figure(
        "effects", "one run of 10 steps that call a product, nothing else", shape, "ms",
        tuple(statistics.median(one["alone"]) for one in found), more_is_better=False,
    )  # fmt: skip
