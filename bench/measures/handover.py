"""How long from a webhook's arrival until the page's mail is in the mail server's hands: idle, and at 500 alerts/s."""

import json
import time
from collections.abc import Iterator

from sqlalchemy import Engine, text

from bench import handing, load, rounds
from bench.figures import Figure
from bench.installation import Bench
from bench.load import Load
from bench.processes import free_port

RATE = 500.0
SHAPES = (
    ("postgresql", True, ("web", "worker"), "PostgreSQL, web + 1 worker"),
    ("postgresql", False, ("serve",), "PostgreSQL, all in one process"),
    ("sqlite", False, ("serve",), "SQLite, all in one process"),
)


def measure(bench: Bench) -> Iterator[Figure]:
    """Each shape idle, then with 500 other alerts a second, nine of ten of them repeats."""
    count = max(20, int(bench.seconds * 16))
    for kind, scaled, commands, shape in SHAPES:
        port = free_port()
        with bench.installed(kind, scaled=scaled) as made:
            made.inside("bench.handing", "prepare", str(count))
            # Ten alerts a source: more of them, all critical, would be a storm, and that is not what is measured.
            rings = [made.source(f"ring-{number}") for number in range(-(-count // handing.A_SOURCE))]
            other = made.source("background")
            with (
                made.running(*commands, TOCSIN_SMTP_URL=f"smtp://127.0.0.1:{port}") as processes,
                made.reader() as engine,
            ):
                doors = json.dumps([[processes[0].url + one.path, one.token] for one in rings])
                at = (str(count // 2), doors, str(port))
                idle = json.loads(made.inside("bench.handing", "ring", "0", *at))
                rounds.until_drained(engine)
                background = Load(
                    processes[0].url + other.path, other.token, load.body_for("tocsin"), clients=32, rate=RATE,
                    seconds=600, duplicates=90, seed=77,
                )  # fmt: skip
                before, began = _accepted(engine), time.perf_counter()
                with load.sending(background) as client:
                    busy = json.loads(made.inside("bench.handing", "ring", str(count // 2), *at))
                    client.terminate()
                rate = (_accepted(engine) - before) / (time.perf_counter() - began)
        yield from _figures(shape, "idle", idle, marked=False)
        yield from _figures(shape, f"at {RATE:.0f} alerts/s", busy, marked=True, rate=rate)


def _accepted(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM deliveries")) or 0


def _figures(
    shape: str, when: str, told: dict[str, float], *, marked: bool, rate: float | None = None
) -> Iterator[Figure]:
    yield Figure(
        "handover", f"webhook to page handed over, {when}, p50", shape, "ms", (told["p50"],), 250 if marked else None,
        more_is_better=False,
    )  # fmt: skip
    yield Figure(
        "handover", f"webhook to page handed over, {when}, p99", shape, "ms", (told["p99"],), 1000 if marked else None,
        more_is_better=False, notes={"longest": told["longest"], "pages": told["pages"]} | ({"alerts/s": rate} if rate else {}),
    )  # fmt: skip
