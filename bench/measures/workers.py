"""How the figures grow from one process to two: web processes for accepting, workers for everything else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench import rounds
from bench.figures import Figure
from bench.installation import Bench, Source
from bench.measures.steps import paced
from bench.measures.through import burst
from bench.processes import Running

COUNTS = (1, 2)


def measure(bench: Bench) -> Iterator[Figure]:
    """The same loads with one and with two; the client, PostgreSQL and Redis have the same cores all the time."""
    with bench.installed("postgresql", scaled=True) as made, made.reader() as engine:
        source = made.source()
        accepted, through, steps = {}, {}, {}
        for count in COUNTS:
            with made.running(*["web"] * count) as processes:
                accepted[count] = [_to_all(processes, source, burst(bench)) for _ in range(bench.fewer)]
            with made.running("web", *["worker"] * count) as processes:
                rounds.ours(
                    processes, source, 1, duplicates=90, engine=engine
                )  # what accepting has left is done now
                through[count] = [
                    rounds.ours(processes, source, burst(bench), duplicates=90, engine=engine).rate
                    for _ in range(bench.fewer)
                ]
                steps[count] = [paced(made, where="elsewhere")["waiting"] for _ in range(bench.fewer)]
    yield from _figures("alerts accepted, all different", "web", accepted)
    yield from _figures("alerts to incidents, 90 % duplicates", "web + worker", through)
    yield from _figures("steps of 200 runs × 10 that wait for a worker", "worker", steps)


def _to_all(processes: list[Running], source: Source, seconds: float) -> float:
    """Each process has a client with 16 connections of its own; the sum of their rates."""
    with ThreadPoolExecutor(len(processes)) as pool:
        sent = pool.map(lambda one: rounds.ours([one], source, seconds).sent.rate, processes)
        return sum(sent)


def _figures(name: str, what: str, found: dict[int, list[float]]) -> Iterator[Figure]:
    alone = Figure("workers", name, f"PostgreSQL, {what} × 1", "1/s", tuple(found[1]))
    both = tuple(found[2])
    yield alone
    middle = sorted(both)[len(both) // 2]
    yield Figure(
        "workers", name, f"PostgreSQL, {what} × 2", "1/s", both, notes={"times one": middle / alone.median}
    )
