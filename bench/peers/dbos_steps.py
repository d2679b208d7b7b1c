"""DBOS: 200 workflows of 10 steps that do nothing, each step recorded in PostgreSQL; then one at a time. Prints JSON."""

import json
import sys
import time

from dbos import DBOS

DBOS(config={"name": "bench", "system_database_url": sys.argv[1], "log_level": "ERROR"})


@DBOS.step()
def nothing(number: int) -> int:
    """A step without effects."""
    return number


@DBOS.workflow()
def ten_steps() -> None:
    """Ten of them."""
    for number in range(10):
        nothing(number)


def main() -> None:
    """Start all and wait for all; then one after the other."""
    runs, alone = int(sys.argv[2]), []
    DBOS.launch()
    ten_steps()
    began = time.perf_counter()
    for handle in [DBOS.start_workflow(ten_steps) for _ in range(runs)]:
        handle.get_result()
    rate = runs * 10 / (time.perf_counter() - began)
    for _ in range(20):
        time.sleep(0.05)
        began = time.perf_counter()
        ten_steps()
        alone.append((time.perf_counter() - began) * 1e3)
    print(json.dumps({"starting": rate, "alone": alone}))
    DBOS.destroy()


if __name__ == "__main__":
    main()
