"""Tells whether this process is the only one on its data directory, and if so takes up at once what a dead one held."""

import fcntl
from typing import IO

from core import leases, logs, work
from core.db import unit_of_work
from core.settings import Settings

log = logs.get(__name__)
_lock_file: list[  # bounded by the one lock of a process
    IO[bytes]
] = []  # open for as long as the process lives: the system gives the lock back with its death


def take_over(given: Settings) -> int:
    """Give back the leases of the process before this one; returns how many.

    Only in one process on SQLite, where nobody else can be at work: elsewhere, and while another process holds the
    directory, leases end by themselves.
    """
    if not given.database_url.startswith("sqlite") or not _alone(given):
        return 0
    with unit_of_work() as uow:
        given_back = leases.release(uow, work.kinds().values())
    if given_back:
        log.info("took over what was being done when Tocsin ended", extra={"rows": given_back})
    return given_back


def _alone(given: Settings) -> bool:
    file = (given.data_dir / "serve.lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another one lives, or the file system knows no locks
        file.close()
        return False
    _lock_file.append(file)
    return True
