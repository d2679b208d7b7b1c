"""What is measured on: processor, memory, what a flush to disk costs, which programs, and how busy it is otherwise."""

import os
import platform
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROGRAMS = ("sqlalchemy", "psycopg", "celery", "uvicorn")


def describe() -> dict[str, Any]:
    """The machine as it is now; `busy before` is the share of its processor time that others took, 0 to 1."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "client": "wrk" if shutil.which("wrk") else "bench.load",
        "flush ms": flush_cost(),
        "busy before": busy(),
        **{name: version(name) for name in PROGRAMS},
    }


def busy(seconds: float = 2.0) -> float:
    """The share of all cores' time that is used by whatever runs now, while we do nothing, 0 to 1."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    passed = sum(after) - sum(before)
    idle = after[3] + after[4] - before[3] - before[4]
    return round(1 - idle / passed, 3) if passed else 0.0


def flush_cost() -> float:
    """Milliseconds that writing 8 KiB and flushing it to disk takes, median of 100."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(100):
            started = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return round(statistics.median(taken) * 1e3, 3)


def _ticks() -> list[int]:
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    return [int(word) for word in line.split()[1:9]]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
