"""Kill everything, again and again, under load; then an auditor compares what was promised with what is there.

TOCSIN_CHAOS_KILLS says how many (a few by default; `make chaos` makes it a thousand), TOCSIN_CHAOS_SEED with which seed.
"""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from auditor import Auditor, Findings
from fleet import Fleet
from ledger import Ledger, Post, Product, until
from storm import Killer, Senders, wait_up

from core.crashpoints import POINTS

KILLS = int(os.environ.get("TOCSIN_CHAOS_KILLS", "20"))
SEED = int(os.environ.get("TOCSIN_CHAOS_SEED", random.randrange(10**6)))
LONG = KILLS >= 200
SHARE = {"scaled": 0.75, "embedded": 0.25}  # of all kills; the embedded shape has only one process to kill
CREWS = 120 if LONG else 16
STORM = 100  # kills between two audits
QUIET = 300.0 if LONG else 120.0  # seconds in which all must be done after a storm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 6 * KILLS)]


@contextmanager
def installation(shape: str) -> Iterator[tuple[Fleet, Auditor, Senders]]:
    """A furnished installation, running, with the world around it."""
    product, post, ledger = Product(SEED), Post(SEED), Ledger()
    product.start()
    post.start()
    with tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as folder:
        fleet = Fleet(shape, Path(folder), SEED, product, post, CREWS)
        try:
            token = fleet.furnish()
            auditor = Auditor(fleet.database_url, ledger, product, post)
            fleet.start()
            wait_up(fleet)
            yield (
                fleet,
                auditor,
                Senders(fleet, ledger, token, SEED, CREWS, hosts_a_second=0.5 if LONG else 1.0),
            )
            auditor.close()
        finally:
            fleet.end()
            post.stop()
            product.stop()


@pytest.mark.parametrize("shape", ["scaled", "embedded"])
def test_nothing_is_lost_or_done_twice(shape: str) -> None:
    print(f"\nseed {SEED}")
    wanted = max(int(KILLS * SHARE[shape]), 10)
    with installation(shape) as (fleet, auditor, senders):
        killer, began, storms = Killer(fleet, SEED), time.monotonic(), 0
        while fleet.deaths.total() < wanted:
            storms += 1
            senders.start()
            killer.rage(min(STORM, wanted - fleet.deaths.total()), seconds=6.0 * STORM if LONG else 25.0)
            senders.finish()
            wait_up(fleet)
            quiet = until(lambda: not auditor.left(), QUIET)
            findings = auditor.audit()
            show(shape, storms, fleet.deaths, fleet.by_itself, findings, time.monotonic() - began)
            assert quiet, f"still to be done after {QUIET:g} s: {auditor.left()}\n{fleet.tail()}"
            assert findings.broken == [], f"seed {SEED}"
        assert findings.figures["alerts acknowledged"] > 5 * storms
        assert findings.figures["pages that arrived"] > 0
        assert findings.figures["calls, neither: done"] > 0
        if LONG:
            assert {f"at {point}" for point in POINTS} <= fleet.deaths.keys()


def show(
    shape: str, storms: int, deaths: Counter[str], by_itself: Counter[str], findings: Findings, seconds: float
) -> None:
    """Print the table so far, as Markdown."""
    print(f"\n### {shape}: {deaths.total()} kills in {storms} storms, {seconds:.0f} s, seed {SEED}\n")
    print("| | |\n|---|---:|")
    for what, times in [*sorted(deaths.items()), *sorted(by_itself.items())]:
        print(f"| killed: {what} | {times} |" if what in deaths else f"| {what} | {times} |")
    for what, figure in findings.figures.items():
        print(f"| {what} | {figure} |")
    for sentence in findings.broken:
        print(f"BROKEN {sentence}")
