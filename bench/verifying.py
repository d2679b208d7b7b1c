"""Writes journal entries, seals and proves them in the process it is run in: `python -m bench.verifying ENTRIES` prints figures as JSON."""

import json
import statistics
import sys
import time
from typing import Any

from cli import serving
from core import auditing, sealing
from core.actors import SYSTEM
from core.db import unit_of_work
from core.journal import Fact, declare, record
from core.types import Ref

AT_ONCE = 1_000
MEASURED = declare("bench.measured", "measured")


def main() -> None:
    """As an incident's alerts would write them: two subjects an entry, an erasable part in every fourth."""
    number = int(sys.argv[1])
    serving.prepare()
    sealing.seal_everything()
    for start in range(0, number, AT_ONCE):
        with unit_of_work() as uow:
            for n in range(start, min(start + AT_ONCE, number)):
                refs = (Ref("incident", f"incident {n // 10}"), Ref("alert", f"alert {n}"))
                data = {"note": f"a note about {n}"} if n % 4 == 0 else None
                record(uow, SYSTEM, Fact(MEASURED, refs, {"n": n, "severity": "high"}, data))
    taken = []
    while True:
        began = time.perf_counter()
        if not sealing.seal_batch():
            break
        taken.append((time.perf_counter() - began) * 1e3)
    sealing.sign_checkpoint()
    found: dict[str, Any] = {
        "sealing": {
            "p50": statistics.median(taken),
            "p99": sorted(taken)[int(len(taken) * 0.99)],
            "longest": max(taken),
        }
    }
    for name, workers in (("one process", 1), ("all cores", None)):
        began = time.perf_counter()
        proof = auditing.prove_database(workers=workers)
        found[name] = proof.entries / (time.perf_counter() - began)
        if proof.found:
            raise SystemExit(auditing.statement(proof))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
