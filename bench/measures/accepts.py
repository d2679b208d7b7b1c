"""How many alerts a second are stored durably for 16 clients, and how long the slowest wait; beside Alerta and an empty door."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import rounds
from bench.figures import Figure, Rival
from bench.installation import Bench
from bench.measures import through
from bench.peers import alerta, empty
from bench.rounds import Round

DOOR = "PostgreSQL, one web process, workers stopped"


def measure(bench: Bench) -> Iterator[Figure]:
    """The door alone beside Alerta, unique and 90 % duplicates; then everything in one process on both databases."""
    for duplicates in (0, 90):
        yield from _beside_alerta(bench, duplicates)
    for kind, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite")):
        with bench.installed(kind) as made:
            source = made.source()
            with made.running("serve") as processes, made.reader() as engine:
                found = []
                for _ in range(bench.fewer):
                    found.append(rounds.ours(processes, source, through.burst(bench)))
                    rounds.until_drained(engine)
        yield from _figures(f"{name}, all in one process", 0, found, {}, marked=False)


def _beside_alerta(bench: Bench, duplicates: int) -> Iterator[Figure]:
    ours, theirs, bare = [], [], []
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(bench.installed("postgresql", scaled=True))
        source = made.source()
        processes = stack.enter_context(made.running("web"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-alerta-")))
        peer = stack.enter_context(alerta.serving(stack.enter_context(bench.postgres.database()), folder))
        nothing = stack.enter_context(empty.serving(folder))
        rounds.ours(processes, source, 1)
        rounds.alerta(peer, alerta.PATH, 1)
        for _ in range(bench.repeat):
            ours.append(rounds.ours(processes, source, bench.seconds, duplicates=duplicates))
            theirs.append(rounds.alerta(peer, alerta.PATH, bench.seconds, duplicates=duplicates))
            bare.append(rounds.empty(nothing, bench.seconds))
    yield from _figures(DOOR, duplicates, ours, {alerta.NAME: theirs, empty.NAME: bare}, marked=True)


def _figures(
    shape: str, duplicates: int, ours: list[Round], theirs: dict[str, list[Round]], *, marked: bool
) -> Iterator[Figure]:
    kind = f"{duplicates} % duplicates" if duplicates else "all different"
    notes = {"refused": _refused(ours), "CPU ms each": _each(ours)}
    for name, found in theirs.items():
        notes |= {f"refused by {name}": _refused(found), f"CPU ms each, {name}": _each(found)}
    yield Figure(
        "accepts", f"alerts accepted, {kind}", shape, "1/s", tuple(one.sent.rate for one in ours),
        5000 if marked else None, notes=notes,
        rivals=tuple(Rival(name, tuple(one.sent.rate for one in found)) for name, found in theirs.items()),
    )  # fmt: skip
    yield Figure(
        "accepts", f"alerts accepted, {kind}, p99", shape, "ms", tuple(one.sent.p99 for one in ours),
        50 if marked else None, more_is_better=False, notes={"p50": sorted(one.sent.p50 for one in ours)[len(ours) // 2]},
        rivals=tuple(Rival(name, tuple(one.sent.p99 for one in found)) for name, found in theirs.items()),
    )  # fmt: skip


def _refused(found: list[Round]) -> float:
    return float(sum(one.sent.refused for one in found))


def _each(found: list[Round]) -> float:
    return sum(one.worked for one in found) / max(1, sum(one.sent.accepted for one in found)) * 1e3
