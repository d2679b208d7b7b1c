"""How the figures change with what is there already: up to a million alerts and as many incidents."""

from collections.abc import Iterator
from datetime import datetime

from bench import filling, pouring, rounds, visiting
from bench.figures import Figure
from bench.installation import Bench
from bench.measures.steps import paced
from bench.measures.through import SCALED, burst
from bench.processes import Running

READS_A_ROUND = 8
WITHIN = 50.0


def measure(bench: Bench) -> Iterator[Figure]:
    """One database that is filled further and further; at each size the same loads, and pages read one at a time."""
    base, there = filling.newest(), 0
    with bench.installed("postgresql", scaled=True) as made, made.reader() as engine:
        source = made.source()
        cookie = made.inside("bench.visiting").split()[-1]
        for size in (0, *bench.sizes):
            took = 0.0
            if size:
                took, there = pouring.pour(engine, base, there, size), size
            with made.running("web") as processes:
                accepted = [rounds.ours(processes, source, burst(bench)) for _ in range(bench.fewer)]
            with made.running("web", "worker") as processes:
                rounds.ours(processes, source, 1, duplicates=90, engine=engine)
                through = [
                    rounds.ours(processes, source, burst(bench), duplicates=90, engine=engine)
                    for _ in range(bench.fewer)
                ]
                steps = [paced(made, where="elsewhere") for _ in range(bench.fewer)]
                read = _read(processes[0], cookie, base, size, READS_A_ROUND * bench.repeat)
            notes = {"filled in s": took}
            yield Figure(
                "filled", "alerts accepted, all different", "PostgreSQL, one web process, workers stopped", "1/s",
                tuple(one.sent.rate for one in accepted), 5000, size=size, notes=notes,
            )  # fmt: skip
            yield Figure(
                "filled", "alerts to incidents, 90 % duplicates", SCALED, "1/s", tuple(one.rate for one in through), 1500,
                size=size,
            )  # fmt: skip
            yield Figure(
                "filled", "steps of 200 runs × 10 that wait for a worker", SCALED, "1/s",
                tuple(one["waiting"] for one in steps), 1000, size=size,
            )  # fmt: skip
            for name, (p50, p95) in read.items():
                yield Figure(
                    "filled", f"page: {name}, p95", SCALED, "ms", (p95,), WITHIN, more_is_better=False, size=size,
                    notes={"p50": p50},
                )  # fmt: skip


def _read(web: Running, cookie: str, base: datetime, size: int, times: int) -> dict[str, tuple[float, float]]:
    newest = visiting.case(base, 0) if size else None
    middle = visiting.case(base, size // 2) if size else None
    return visiting.visited(web.url, cookie, visiting.pages(newest, middle), times)
