"""Keeps `tocsin watch` running beside the embedded shape, when the operator has said whom it may tell."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core import logs
from core.settings import Settings

log = logs.get(__name__)

AGAIN_AFTER = 5.0  # seconds until a watch that has ended is started again


@contextmanager
def watched(given: Settings) -> Iterator[None]:
    """Have a process of its own watch over this one for the length of the block."""
    if not (given.watch_notify or given.heartbeat_url):
        yield
        return
    stop = threading.Event()
    running: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-m", "cli", "watch", "--beside", str(os.getpid())]

    def keep() -> None:
        while not stop.is_set():
            running[:] = [subprocess.Popen(command)]
            code = running[0].wait()
            if not stop.wait(AGAIN_AFTER):
                log.error("the watch has ended and is started again", extra={"code": code})

    keeper = threading.Thread(target=keep, name="watch", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        for one in running:
            one.terminate()
        keeper.join(3)
