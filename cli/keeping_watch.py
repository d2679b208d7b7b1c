"""Keeps `tocsin watch` running beside the embedded shape, as long as somebody has said whom it may tell."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core import chosen, logs, stopping
from core.db import reading
from core.errors import TocsinError
from core.settings import Settings

log = logs.get(__name__)

AGAIN_AFTER = 5.0  # seconds until a watch that has ended is started again
LOOK_EVERY = 3.0  # seconds until a change that was made on a page is taken up


@contextmanager
def watched(given: Settings) -> Iterator[None]:
    """Have a process of its own watch over this one for the length of the block."""
    stop = threading.Event()
    running: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-m", "cli", "watch", "--beside", str(os.getpid())]

    def keep() -> None:
        wanted = _wanted(given)
        while not stop.is_set():
            if wanted:
                running[:] = [subprocess.Popen(command)]
                code = running[0].wait()
            if stop.wait(LOOK_EVERY if not wanted else AGAIN_AFTER):
                return
            was, wanted = wanted, _wanted(given)
            if was and wanted:
                log.error("the watch has ended and is started again", extra={"code": code})

    keeper = threading.Thread(target=keep, name="watch", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        for one in running:
            one.terminate()
        keeper.join(stopping.WATCH)


def _wanted(given: Settings) -> bool:
    """Whether anybody is to be told; what is set on a page counts too."""
    if given.watch_notify or given.heartbeat_url:
        return True
    try:
        with reading() as session:
            return chosen.effective(session).heartbeat_url is not None
    except TocsinError:
        return False  # a database that cannot be asked cannot say so
