"""`make bench`: measures what Tocsin promises about its speed and prints it beside the marks and beside peers.

Figures are medians of --repeat rounds; load and servers share this machine's cores.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import figures, machine
from bench.figures import Figure
from bench.installation import Bench
from bench.measures import accepts, filled, handover, hanging, soak, steps, through, verified, workers

MEASURES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "accepts": accepts.measure,
    "through": through.measure,
    "steps": steps.measure,
    "effects": steps.effects,
    "handover": handover.measure,
    "workers": workers.measure,
    "hanging": hanging.measure,
    "verified": verified.measure,
    "filled": filled.measure,
    "soak": soak.measure,
}
ON_DEMAND = {"soak"}
BUSY = 0.15


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for and print the table."""
    given = _asked(arguments)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that every server is stopped too
    here = machine.describe()
    if here["busy before"] > BUSY:
        print(f"{here['busy before']:.0%} of this machine is busy with other work", file=sys.stderr)
    here["rounds"], here["seconds"] = given.repeat, given.seconds
    found: list[Figure] = []
    started = time.monotonic()
    with Bench(given.repeat, given.seconds, tuple(given.sizes), given.minutes) as bench:
        here["PostgreSQL"] = bench.postgres.version
        for name in given.only:
            print(f"{time.monotonic() - started:5.0f} s  measuring {name} …", file=sys.stderr, flush=True)
            for figure in MEASURES[name](bench):
                found.append(figure)
                print(figures.table([figure]).partition("\n")[2], file=sys.stderr, flush=True)
                if given.out:  # what is known so far stays known when a later measure fails
                    figures.write(given.out, here, found)
    here["took s"] = round(time.monotonic() - started)
    print(figures.table(found))
    if given.out:
        figures.write(given.out, here, found)


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    usual = [name for name in MEASURES if name not in ON_DEMAND]
    parser.add_argument("--out", type=Path, help="also write the figures to this file, as JSON")
    parser.add_argument("--only", nargs="+", choices=sorted(MEASURES), default=usual)
    parser.add_argument(
        "--repeat",
        type=int,
        default=5,
        help="how often each figure beside a peer's is measured; others at most three times",
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each load lasts")
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000],
        help="how many alerts and incidents are there already, for `filled`",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=10.0, help="how long `soak` loads")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
