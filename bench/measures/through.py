"""How many alerts a second go all the way: accepted, read, deduplicated, grouped into incidents; Alerta beside it."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import text

from bench import rounds
from bench.figures import Figure, Rival
from bench.installation import Bench
from bench.peers import alerta

SCALED = "PostgreSQL, web + 1 worker"


def measure(bench: Bench) -> Iterator[Figure]:
    """Beside Alerta, 90 % duplicates and all different; then everything in one process on both databases."""
    for duplicates in (90, 0):
        yield _beside_alerta(bench, duplicates)
    for kind, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite")):
        with bench.installed(kind) as made:
            source = made.source()
            with made.running("serve") as processes, made.reader() as engine:
                found = [
                    rounds.ours(processes, source, burst(bench), duplicates=90, engine=engine)
                    for _ in range(bench.fewer)
                ]
        yield _figure(f"{name}, all in one process", 90, [one.rate for one in found], ())


def burst(bench: Bench) -> float:
    """Seconds of sending; draining what was sent takes longer."""
    return max(2.0, bench.seconds / 2)


def _beside_alerta(bench: Bench, duplicates: int) -> Figure:
    ours, theirs = [], []
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(bench.installed("postgresql", scaled=True))
        source = made.source()
        processes = stack.enter_context(made.running("web", "worker"))
        engine = stack.enter_context(made.reader())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-alerta-")))
        peer = stack.enter_context(alerta.serving(stack.enter_context(bench.postgres.database()), folder))
        warm = rounds.ours(processes, source, 1, engine=engine)
        rounds.alerta(peer, alerta.PATH, 1)
        for _ in range(bench.repeat):
            ours.append(rounds.ours(processes, source, burst(bench), duplicates=duplicates, engine=engine))
            theirs.append(rounds.alerta(peer, alerta.PATH, bench.seconds, duplicates=duplicates))
        with engine.connect() as connection:
            kept = connection.scalar(text("SELECT sum(count) FROM alerts"))
            incidents = connection.scalar(text("SELECT count(*) FROM incidents"))
    accepted = warm.sent.accepted + sum(one.sent.accepted for one in ours)
    if kept < accepted:
        raise SystemExit(f"{accepted} alerts were acknowledged and {kept} are kept")
    notes = {
        "acknowledged": float(accepted), "kept": float(kept), "incidents": float(incidents),
        "CPU ms each": sum(one.worked for one in ours) / sum(one.sent.accepted for one in ours) * 1e3,
        "CPU ms each, Alerta": sum(one.worked for one in theirs) / max(1, sum(one.sent.accepted for one in theirs)) * 1e3,
        "refused by Alerta": float(sum(one.sent.refused for one in theirs)),
    }  # fmt: skip
    rival = Rival(alerta.NAME, tuple(one.rate for one in theirs))
    return _figure(SCALED, duplicates, [one.rate for one in ours], (rival,), notes)


def _figure(
    shape: str,
    duplicates: int,
    rates: list[float],
    rivals: tuple[Rival, ...],
    notes: Mapping[str, float | str] | None = None,
) -> Figure:
    kind = f"{duplicates} % duplicates" if duplicates else "all different"
    return Figure(
        "through", f"alerts to incidents, {kind}", shape, "1/s", tuple(rates), 1500 if duplicates else None,
        rivals=rivals, notes=notes or {},
    )  # fmt: skip
