"""How fast the journal is proved, and how long sealing keeps a transaction open, on both databases."""

import json
from collections.abc import Iterator

from bench.figures import Figure
from bench.installation import Bench

ENTRIES = 200_000


def measure(bench: Bench) -> Iterator[Figure]:
    """The same entries on each database; every round is a new database."""
    for kind, name in (("postgresql", "PostgreSQL"), ("sqlite", "SQLite")):
        found = []
        for _ in range(bench.fewer):
            with bench.installed(kind) as made:
                found.append(json.loads(made.inside("bench.verifying", str(ENTRIES)).splitlines()[-1]))
        for workers, mark in (("one process", None), ("all cores", 200_000)):
            yield Figure(
                "verified", f"journal verified, {workers}", f"{name}, {ENTRIES:,} entries", "1/s",
                tuple(one[workers] for one in found), mark,
            )  # fmt: skip
        sealing = [one["sealing"] for one in found]
        yield Figure(
            "verified", "the longest transaction of sealing", f"{name}, nothing else to do", "ms",
            tuple(one["longest"] for one in sealing), 15, more_is_better=False,
            notes={"p50": sealing[0]["p50"], "p99": sealing[0]["p99"]},
        )  # fmt: skip
