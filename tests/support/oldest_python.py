"""The oldest Python that the tail is written for, where this machine has one."""

import sys
from pathlib import Path

PLACES = ("/root/.pyenv/versions/3.6.*/bin/python3.6", "/opt/python/3.6*/bin/python3.6", "/usr/bin/python3.6")


def found() -> str | None:
    """The path of a Python 3.6; None when there is none here, and its syntax is all that can be checked."""
    for place in PLACES:
        for path in Path("/").glob(place.lstrip("/")):
            return str(path)
    return None


def or_this() -> str:
    """It, or else the Python that runs the tests."""
    return found() or sys.executable
