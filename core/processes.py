"""The processes of this installation: each says again and again that it lives, so that others can tell when it stops."""

import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, String, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.pool import QueuePool

from core import db, logs, metrics, stopping
from core.db import Base, database_now, unit_of_work
from core.errors import TocsinError
from core.ids import new_id
from core.settings import settings
from core.types import Identified, Instant

log = logs.get(__name__)

SAY_EVERY = timedelta(seconds=10)
ALIVE = timedelta(seconds=30)
"""A process that has not been heard of for so long has stopped."""
_FORGOTTEN = timedelta(hours=1)


class Process(Identified, Base):
    """One process as it last described itself; `connections` are those to the database that it has in use."""

    __tablename__ = "processes"

    role: Mapped[str] = mapped_column(String(16))  # serve web worker beat
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int] = mapped_column()
    version: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    connections: Mapped[int] = mapped_column(default=0)
    memory: Mapped[int] = mapped_column(BigInteger, default=0)  # bytes


def version() -> str:
    """The version of Tocsin that runs."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and asked for once

    try:
        return version("tocsin")
    except PackageNotFoundError:
        return "unknown"


def alive(session: Session) -> list[Process]:
    """Those that have been heard of in the last half minute, by role."""
    since = database_now(session) - ALIVE
    query = select(Process).where(Process.seen_at > since).order_by(Process.role, Process.host, Process.pid)
    return list(session.scalars(query))


@contextmanager
def announced(role: str) -> Iterator[None]:
    """Count, and say that this process lives, for the length of the block; both are best effort and never raise."""
    stop = threading.Event()
    thread = threading.Thread(target=_live, args=(role, stop), name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(stopping.PRESENCE)


def _live(role: str, stop: threading.Event) -> None:
    me, spoke = new_id(), None
    while True:
        try:
            if spoke is None or time.monotonic() - spoke > SAY_EVERY.total_seconds():
                _say(me, role)
                spoke = time.monotonic()
            metrics.flush()
        except (TocsinError, SQLAlchemyError, OSError) as error:
            log.warning(
                "the database does not hear that this process lives", extra={"reason": type(error).__name__}
            )
        if stop.wait(metrics.EVERY.total_seconds()):
            break
    try:
        metrics.flush()
        with unit_of_work() as uow:
            uow.execute(delete(Process).where(Process.id == me))
    except (TocsinError, SQLAlchemyError, OSError) as error:
        log.info("the database did not hear that this process ends", extra={"reason": type(error).__name__})


def _say(me: UUID, role: str) -> None:
    connections, memory = _connections(), _memory()
    with unit_of_work() as uow:
        row = uow.get(Process, me)
        if row is None:
            uow.execute(delete(Process).where(Process.seen_at < uow.now - _FORGOTTEN))
            row = Process(id=me, role=role, host=platform.node()[:200], pid=os.getpid(), version=version())
            row.started_at = uow.now
            uow.add(row)
        row.seen_at, row.connections, row.memory = uow.now, connections, memory
    if (file := settings().alive_file) is not None:
        file.touch()  # what a container's health check looks at


def pools() -> dict[str, QueuePool]:
    """The pools of connections here: one to write and one to read."""
    opened = db._connections()
    named = {"writer": opened.writer.pool, "reader": opened.reader.pool}
    return {name: pool for name, pool in named.items() if isinstance(pool, QueuePool)}


def _connections() -> int:
    return sum(pool.checkedout() for pool in pools().values())


def _memory() -> int:
    """The resident memory of this process, in bytes."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel's
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
