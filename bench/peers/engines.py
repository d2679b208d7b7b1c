"""One round of the peers of our playbook engine: DBOS, and a bare Celery chain on Redis."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import peers
from bench.processes import plain_environment, running

DBOS = f"DBOS {peers.version('engines', 'dbos')}"
CELERY = f"Celery {peers.version('engines', 'celery')} chain"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Pace:
    """Steps a second of many runs, and how long each idle run took (ms)."""

    rate: float
    alone: list[float]


def dbos(database_url: str, runs: int) -> Pace:
    """In one process, on this empty database."""
    return _ran([peers.python("engines"), str(_HERE / "dbos_steps.py"), database_url, str(runs)], {})


def celery(redis_url: str, runs: int) -> Pace:
    """A worker with two processes on an empty Redis that keeps nothing on disk, and a client."""
    python, env = peers.python("engines"), {"BENCH_REDIS": redis_url, "PYTHONPATH": str(_HERE)}
    worker = [
        python, "-m", "celery", "-A", "celery_chain", "worker", "--pool=prefork", "--concurrency=2", "--loglevel=error",
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-celery-") as folder:
        log = Path(folder, "worker.log")
        with running(
            worker, env={**plain_environment(), **env, "C_FORCE_ROOT": "1"}, folder=Path(folder), log=log
        ):
            return _ran([python, "-m", "celery_chain", str(runs)], env)


def _ran(command: list[str], env: dict[str, str]) -> Pace:
    done = subprocess.run(
        command, env={**plain_environment(), **env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[1]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Pace(told["starting"], told["alone"])
