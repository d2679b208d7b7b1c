"""The engines of a process: how they are made for SQLite and PostgreSQL, and how their connections are kept alive."""

import select
import threading
import time
from typing import Any

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import QueuePool

from core.settings import Settings


class Connections:
    """The engines of one process: a writer and a reader; `write_lock` is held by whoever writes to SQLite."""

    def __init__(self, given: Settings) -> None:
        url = make_url(given.database_url)
        self.sqlite = url.get_backend_name() == "sqlite"
        self.closed = False
        if self.sqlite:
            self.writer = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=4, **_SQLITE)
            self.reader = create_engine(url, poolclass=QueuePool, pool_size=8, max_overflow=24, **_SQLITE)
            event.listen(self.writer, "connect", _sqlite_connection)
            event.listen(
                self.writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
            )
            event.listen(self.reader, "connect", _sqlite_reading_connection)
            event.listen(self.reader, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        else:
            url = url.set(drivername="postgresql+psycopg")
            self.writer = create_engine(url, **_postgres())
            # A statement that reads is a transaction of its own: BEGIN and ROLLBACK would be two round trips more.
            self.reader = create_engine(url, isolation_level="AUTOCOMMIT", **_postgres("default_transaction_read_only=on"))
            for one in (self.writer, self.reader):
                event.listen(one, "checkout", _refuse_dead)
                event.listen(one, "checkin", self._came_back)
        self.single = self.writer.execution_options(isolation_level="AUTOCOMMIT")
        # SQLite has one writer; queueing here instead of in its busy loop keeps p99 low.
        self.write_lock = threading.Lock() if self.sqlite else None

    def dispose(self) -> None:
        """Close every connection; one that is in use is closed when it comes back."""
        self.closed = True
        self.writer.dispose()
        self.reader.dispose()

    def _came_back(self, _connection: object, record: Any) -> None:
        record.info["used"] = time.monotonic()
        if self.closed:
            record.invalidate()


def _postgres(*more: str) -> dict[str, Any]:
    """What an engine is made with; more: settings of its sessions beside those of all."""
    told = ("timezone=UTC", "lock_timeout=30s", "client_connection_check_interval=2s", *more)
    return {
        **_HIDDEN, "pool_size": 8, "max_overflow": 16, "pool_timeout": 10, "pool_recycle": 1800,
        "connect_args": {"options": " ".join(f"-c {one}" for one in told), "connect_timeout": 5},
    }  # fmt: skip


# What is stored never stands in an error, so in no log and on no parked row.
_HIDDEN: dict[str, Any] = {"hide_parameters": True}
_SQLITE: dict[str, Any] = {**_HIDDEN, "connect_args": {"timeout": 30, "check_same_thread": False}}


def _sqlite_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON",
        "busy_timeout=30000", "temp_store=MEMORY", "cache_size=-32000", "mmap_size=134217728",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_reading_connection(connection: Any, record: object) -> None:
    _sqlite_connection(connection, record)
    connection.execute("PRAGMA query_only=ON")


_AT_REST = 5.0  # seconds of rest after which a connection is asked whether its server still answers


def _refuse_dead(connection: Any, record: Any, _proxy: object) -> None:
    """A connection may have died while at rest: its server's farewell lies in the socket, or nothing answers any more.

    Asking before every use would cost each transaction a round trip.
    """
    from psycopg import Error  # only where PostgreSQL is used

    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise InvalidatePoolError
    if time.monotonic() - record.info.get("used", 0.0) > _AT_REST:
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except Error as error:
            raise InvalidatePoolError from error
