"""The oldest Python that the tail is written for, where this machine has one."""

import sys
from pathlib import Path

PLACES = ((Path.home() / ".pyenv" / "versions", "3.6.*/bin/python3.6"), (Path("/usr/bin"), "python3.6"))


def found() -> str | None:
    """The path of a Python 3.6; None when there is none here, and its syntax is all that can be checked."""
    return next((str(path) for folder, name in PLACES for path in folder.glob(name)), None)


def or_this() -> str:
    """It, or else the Python that runs the tests."""
    return found() or sys.executable
