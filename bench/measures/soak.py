"""Ten minutes at the limit: memory of every process while a flood comes and its backlog is worked off, and what was refused."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from bench import rounds
from bench.figures import Figure
from bench.installation import Bench, Source
from bench.load import Sent
from bench.measures.through import SCALED
from bench.processes import Running

EVERY = 5.0
FLOOD = 60.0  # seconds: more than can be worked off meanwhile
RATE = 1500.0  # after that: with the backlog, all that two cores can do
GROWTH = 1.3  # times what a process held half way: more is a leak


def measure(bench: Bench) -> Iterator[Figure]:
    """A flood as 16 clients can send it, then a steady rate, nine of ten of them repeats; memory is seen every five seconds."""
    with bench.installed("postgresql", scaled=True) as made, made.reader() as engine:
        source = made.source()
        with made.running("web", "worker") as processes, ThreadPoolExecutor(1) as pool:
            rounds.ours(processes, source, 1, engine=engine)
            sending = pool.submit(_send, processes, source, bench.minutes * 60)
            seen: list[list[float]] = []
            while not sending.done():
                seen.append([one.memory for one in processes])
                time.sleep(EVERY)
            flood, steady = sending.result()
            with engine.connect() as connection:
                left = (
                    connection.scalar(text("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL")) or 0
                )
            began = time.perf_counter()
            rounds.until_drained(engine, within=3600)
            drained = time.perf_counter() - began
            after = [one.memory for one in processes]
            with engine.connect() as connection:
                kept = connection.scalar(text("SELECT sum(count) FROM alerts")) or 0
    accepted = flood.accepted + steady.accepted
    if kept < accepted:
        raise SystemExit(f"{accepted} alerts were acknowledged and {kept} are kept")
    for place, one in enumerate(processes):
        if seen[-1][place] > seen[len(seen) // 2][place] * GROWTH:
            raise SystemExit(f"{one.name} holds {seen[-1][place]:.0f} MiB, half way it was {seen[len(seen) // 2][place]:.0f}")
    for sent, what in ((flood, f"alerts accepted for {FLOOD:.0f} s, as fast as they come"), (steady, f"then, of {RATE:,.0f}/s")):
        yield Figure(
            "soak", what, SCALED, "1/s", (sent.rate,),
            notes={"refused": float(sent.refused), "p99 ms": sent.p99, "longest ms": sent.longest, "accepted": float(sent.accepted)},
        )  # fmt: skip
    yield Figure(
        "soak",
        "backlog at the end",
        SCALED,
        "",
        (float(left),),
        more_is_better=False,
        notes={"drained in s": drained},
    )
    for place, one in enumerate(processes):
        yield _memory(one, [row[place] for row in seen], after[place])


def _send(processes: list[Running], source: Source, seconds: float) -> tuple[Sent, Sent]:
    flood = rounds.ours(processes, source, FLOOD, duplicates=90)
    return flood.sent, rounds.ours(processes, source, seconds - FLOOD, duplicates=90, rate=RATE).sent


def _memory(one: Running, seen: list[float], after: float) -> Figure:
    """All that was seen, so that a rise shows; the notes say where it began and ended."""
    half = seen[len(seen) // 2 :]
    notes = {"at first": seen[0], "half way": half[0], "at the end": seen[-1], "when drained": after}
    return Figure(
        "soak", f"memory of {one.name}", SCALED, "MiB", tuple(seen), more_is_better=False, notes=notes
    )
