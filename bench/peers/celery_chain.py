"""Celery on Redis: 200 chains of 10 tasks that do nothing, only the last result kept; then one at a time. Prints JSON."""

import json
import os
import sys
import time

from celery import Celery, chain

app = Celery("celery_chain", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.update(worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)


@app.task(ignore_result=True)
def nothing() -> None:
    """A task without effects."""


@app.task
def last() -> bool:
    """The tenth, whose result says that the chain has ended."""
    return True


def ten() -> chain:
    """Ten of them, one after the other."""
    return chain(*(nothing.si() for _ in range(9)), last.si())


def main() -> None:
    """Start all and wait for all; then one after the other."""
    runs, alone = int(sys.argv[1]), []
    ten().apply_async().get(timeout=60)
    began = time.perf_counter()
    for result in [ten().apply_async() for _ in range(runs)]:
        result.get(timeout=120)
    rate = runs * 10 / (time.perf_counter() - began)
    for _ in range(20):
        time.sleep(0.05)
        began = time.perf_counter()
        ten().apply_async().get(timeout=60)
        alone.append((time.perf_counter() - began) * 1e3)
    print(json.dumps({"starting": rate, "alone": alone}))


if __name__ == "__main__":
    main()
