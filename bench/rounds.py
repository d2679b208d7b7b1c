"""Rounds of a load in turn with a peer: sent, waited for, checked, weighed."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, text

from bench.installation import Source
from bench.load import Load, Sent, body_for, send
from bench.processes import Running

DRAINED_WITHIN = 300.0
_numbers = iter(range(1, 10_000))


@dataclass(frozen=True)
class Round:
    """One round: what was sent, until when it was dealt with (s), and the processor time (s) of the product itself."""

    sent: Sent
    took: float
    worked: float

    @property
    def rate(self) -> float:
        """Alerts a second that were wholly dealt with."""
        return self.sent.accepted / self.took


def ours(
    processes: Sequence[Running],
    source: Source,
    seconds: float,
    *,
    duplicates: int = 0,
    rate: float = 0.0,
    engine: Engine | None = None,
) -> Round:
    """Load our first process, as fast as it goes or at a rate; with an engine, wait until every alert is in the record."""
    load = Load(
        processes[0].url + source.path, source.token, body_for("tocsin"), rate=rate, seconds=seconds,
        duplicates=duplicates, seed=next(_numbers),
    )  # fmt: skip
    return _round(processes, load, engine)


def alerta(process: Running, path: str, seconds: float, *, duplicates: int = 0) -> Round:
    """Load Alerta; when it answers, the alert is stored and deduplicated."""
    load = Load(
        process.url + path,
        "",
        body_for("alerta"),
        seconds=seconds,
        duplicates=duplicates,
        seed=next(_numbers),
    )
    return _round([process], load, None)


def empty(process: Running, seconds: float) -> Round:
    """Load the application that keeps nothing, with the requests that ours gets."""
    load = Load(process.url + "/ingest/bench", "x" * 43, body_for("tocsin"), seconds=seconds, seed=next(_numbers))
    return _round([process], load, None)


def until_drained(engine: Engine, within: float = DRAINED_WITHIN) -> None:
    """Wait until no delivery is due any more; ends the harness when that takes too long (s)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        with engine.connect() as connection:
            if not connection.scalar(
                text("SELECT EXISTS (SELECT 1 FROM deliveries WHERE due_at IS NOT NULL)")
            ):
                return
        time.sleep(0.02)
    raise SystemExit(f"the backlog was not drained within {within:.0f} s")


def _round(processes: Sequence[Running], load: Load, engine: Engine | None) -> Round:
    before = sum(one.worked for one in processes)
    started = time.perf_counter()
    sent = send(load)
    if engine is not None:
        until_drained(engine)
        took = time.perf_counter() - started
    else:
        took = sent.seconds
    if sent.refused > sent.accepted / 100:
        print(f"  {sent.refused} of {sent.accepted + sent.refused} were refused", file=sys.stderr)
    return Round(sent, took, sum(one.worked for one in processes) - before)
