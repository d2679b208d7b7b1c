"""Processes that are measured: started, waited for, weighed and stopped."""

import contextlib
import os
import random
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import psutil

READY_WITHIN = 45.0
STOPPED_WITHIN = 15.0


@dataclass(frozen=True)
class Running:
    """A process and where it answers (empty when it serves nothing)."""

    name: str
    process: "subprocess.Popen[bytes]"
    url: str = ""

    @property
    def memory(self) -> float:
        """MiB that it and its children hold resident."""
        return sum(one.memory_info().rss for one in self._family()) / 2**20

    @property
    def worked(self) -> float:
        """Seconds of processor time that it and its children have used."""
        return sum(sum(one.cpu_times()[:2]) for one in self._family())

    def _family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(self.process.pid)
            return [head, *head.children(recursive=True)]
        return []


@contextlib.contextmanager
def running(
    command: Sequence[str], *, env: dict[str, str], folder: Path, log: Path, ready: str = "", name: str = ""
) -> Iterator[Running]:
    """Run a command for the length of the block; waits until `ready` (an address) answers 200."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            list(command), env=env, cwd=folder, stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )
    found = Running(name or Path(command[0]).name, process, ready.rpartition("/")[0] if ready else "")
    try:
        if ready:
            until_answers(ready, process, log)
        yield found
    finally:
        process.terminate()
        try:
            process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_answers(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until an address answers 200; ends the harness when the process does not come up."""
    end = time.monotonic() + READY_WITHIN
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended at once:\n{_tail(log)}")
        with contextlib.suppress(URLError, OSError):
            urllib.request.urlopen(address, timeout=1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"{address} did not answer within {READY_WITHIN:.0f} s:\n{_tail(log)}")


def free_port() -> int:
    """A port nobody listens on, below those that outgoing connections take: it stays free until it is used."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit("no free port was found")


def plain_environment() -> dict[str, str]:
    """The environment of this process without anything that is meant for Tocsin or for Python's search path."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TOCSIN_") and name not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    }


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:] if log.exists() else ""
