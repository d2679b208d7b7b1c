"""Ports that nobody listens on, and waiting for one to answer."""

import socket
import time
from collections.abc import Callable

PATIENT = 60.0
"""Seconds to wait for what happens anyway: a slow machine takes long, and a quick one waits no longer than it must."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until(true: Callable[[], object], *, seconds: float = PATIENT, what: str = "it") -> None:
    """Return as soon as `true()` is truthy; fail with a sentence after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something accepts connections on the port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
