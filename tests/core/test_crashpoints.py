"""A process dies at the point it was told to, and nowhere when it was told nothing."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import crashpoints
from core.errors import Invalid

ROOT = Path(__file__).resolve().parents[2]
PASSES = """
from core import crashpoints
for n in range(4):
    crashpoints.reached("call.before")
    print(n, flush=True)
    crashpoints.reached("call.after")
"""


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    crashpoints.arm({})


def test_it_dies_at_its_point_when_it_comes_for_the_third_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PASSES], env={crashpoints.VARIABLE: "call.after:3"}, cwd=ROOT, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split() == ["0", "1", "2"]


def test_untold_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_pid: int, _signal: int) -> None:
        raise AssertionError("it was to live")

    monkeypatch.setattr(crashpoints.os, "kill", die)
    crashpoints.arm({})
    for point in crashpoints.POINTS:
        crashpoints.reached(point)


@pytest.mark.parametrize("said", ["call", "call.before:x", "call.before:0", "nowhere:1"])
def test_a_point_there_is_not_is_refused(said: str) -> None:
    with pytest.raises(Invalid, match=r"points are call\.after"):
        crashpoints.arm({crashpoints.VARIABLE: said})
