"""`make bench`: measures what Tocsin promises about its speed and prints it beside the marks.

Figures are medians of --repeat runs; load and server share this machine's cores.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import figures, measures
from bench.figures import Figure

MEASURES: dict[str, Callable[[str, int, float], Iterator[Figure]]] = {
    "accepts": measures.accepts,
    "through": measures.through,
    "steps": measures.steps,
    "handover": measures.handover,
}


def main() -> None:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--out", type=Path, help="also write the figures to this file, as JSON")
    parser.add_argument("--only", nargs="*", choices=sorted(MEASURES), default=list(MEASURES))
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--repeat", type=int, default=3, help="how often each figure is measured")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each load lasts")
    given = parser.parse_args()
    found: list[Figure] = []
    for name in given.only:
        for kind in given.databases:
            print(f"measuring {name} on {kind} …", file=sys.stderr, flush=True)
            found += MEASURES[name](kind, given.repeat, given.seconds)
    print(figures.table(found))
    if given.out:
        figures.write(given.out, found)


if __name__ == "__main__":
    main()
