"""An operator's tail keeps its promise while it and Tocsin are killed again and again: every line, once."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from free_ports import wait_until
from ringing import Bell, rows
from running_tocsin import Tocsin

pytestmark = pytest.mark.slow

LINES = 1_500


class Machine:
    """Another machine: the downloaded file, a log that grows and is rotated, and the tail as a process."""

    def __init__(self, tocsin: Tocsin, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "alerts.json"
        self.program = folder / "tocsin_tail.py"
        bell = Bell(tocsin)
        self.url = bell.url
        (folder / "secret").write_text(bell.headers["Authorization"].removeprefix("Bearer "))
        self.process: subprocess.Popen[bytes] | None = None
        self.written = 0
        self.log.touch()

    def start(self) -> None:
        words = [
            "--url",
            self.url,
            "--secret-file",
            "secret",
            "--state",
            "state",
            "--interval",
            "0.02",
            str(self.log),
        ]
        with (self.folder / "tail.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(self.program), *words], cwd=self.folder, stderr=log, stdout=log
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def write(self, count: int) -> None:
        """Lines come in pieces, as a busy writer's do, and now and then the log is rotated."""
        with self.log.open("a") as file:
            for _ in range(min(count, LINES - self.written)):
                line = json.dumps(
                    {"id": f"n-{self.written}", "title": "Line", "severity": "low", "pad": "x" * 60}
                )
                file.write(line[:30])
                file.flush()
                file.write(line[30:] + "\n")
                self.written += 1

    def rotate(self) -> None:
        for number in range(8, 0, -1):
            old = self.folder / f"alerts.json.{number}"
            if old.exists():
                old.rename(self.folder / f"alerts.json.{number + 1}")
        self.log.rename(self.folder / "alerts.json.1")
        self.log.touch()

    def says(self) -> str:
        return (self.folder / "tail.log").read_text(errors="replace")[-3000:]


def counted(tocsin: Tocsin) -> Counter[str]:
    """How often each line has become an alert."""
    return Counter(
        {str(name): int(count) for name, count in rows(tocsin, "SELECT external_id, count FROM alerts")}
    )


def test_every_line_arrives_once_whoever_is_killed(tocsin: type[Tocsin], tmp_path: Path) -> None:
    dice = random.Random(7)
    here = tocsin().start()
    machine = Machine(here, tmp_path)
    machine.program.write_bytes(here.client().get("/tail.py").content)
    machine.start()
    wait_until((tmp_path / "state" / "gate.json").exists, what="the first bookmark")
    kills = Counter[str]()
    while machine.written < LINES:
        machine.write(dice.randint(1, 60))
        time.sleep(dice.uniform(0, 0.12))
        match dice.randint(0, 9):
            case 0 | 1 | 2:
                machine.kill()
                kills["tail"] += 1
                machine.write(dice.randint(0, 30))
                machine.start()
            case 3 | 4:
                machine.rotate()
                kills["rotated"] += 1
            case 5 if kills["tocsin"] < 4:
                here.kill()
                kills["tocsin"] += 1
                machine.write(dice.randint(10, 60))
                here.start()
    wanted = {f"n-{number}": 1 for number in range(LINES)}
    wait_until(lambda: len(counted(here)) == LINES, seconds=60, what=f"the last lines; {machine.says()}")
    assert counted(here) == wanted, machine.says()
    assert kills["tail"] >= 3
    assert kills["tocsin"] >= 2
    assert kills["rotated"] >= 2
    assert machine.kill(signal.SIGTERM) == 0
    told = subprocess.run(
        [sys.executable, str(machine.program), "--url", machine.url, "--state", str(tmp_path / "state"), "--status"],
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    assert told.startswith("sent ")
    assert "gone" not in told


def test_the_command_runs_the_same_file(tmp_path: Path, tocsin: type[Tocsin]) -> None:
    here = tocsin()
    assert "Follows files of JSON lines" in here.run("tail", "--help")
    (tmp_path / "eve.json").touch()
    printed = here.run(
        "tail", "--url", "https://tocsin.example.org/ingest/x", "--print-unit", str(tmp_path / "eve.json")
    )
    assert "ExecStart=" in printed
    assert (here.data / "tail" / "tocsin_tail.py").exists()
