"""The database: one way to write (`unit_of_work`), one way to read (`reading`), the only commit there is."""

import atexit
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import DateTime, Engine, Executable, MetaData, Table, bindparam, event, func
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction

from core import clock, crashpoints
from core.connections import Connections
from core.errors import Unavailable
from core.settings import Settings, settings
from core.types import Instant, from_micros

log = logging.getLogger(__name__)


class Base(DeclarativeBase):
    """Every table's base; names of constraints and indexes follow one convention."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Instant}  # noqa: RUF012 - SQLAlchemy reads it from the class


class UnitOfWork(Session):
    """One transaction that changes things; what must follow the commit is said here and done after it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._after: list[Callable[[], None]] = []
        self._wakes: dict[str, None] = {}
        self._rows: dict[Table, list[dict[str, Any]]] = {}
        self._marks: dict[SessionTransaction, tuple[dict[Table, int], int, int]] = {}
        self._before: list[tuple[Callable[[UnitOfWork, list[Any]], None], Any]] = []

    def begin_nested(self) -> SessionTransaction:
        """A savepoint; when it is rolled back, what was said inside it (rows to write, acts to do) is forgotten too."""
        transaction = super().begin_nested()
        rows = {table: len(rows) for table, rows in self._rows.items()}
        self._marks[transaction] = rows, len(self._after), len(self._before)
        return transaction

    def forget_since(self, transaction: SessionTransaction) -> None:
        """Forget what was said inside a savepoint that has been rolled back."""
        if transaction in self._marks:
            lengths, acts, last = self._marks.pop(transaction)
            for table, rows in self._rows.items():
                del rows[lengths.get(table, 0) :]
            del self._after[acts:]
            del self._before[last:]

    @cached_property
    def now(self) -> datetime:
        """The database's clock, read once in this unit (tests may hold it still)."""
        return database_now(self)

    def after_commit(self, act: Callable[[], None]) -> None:
        """Do `act` once the commit has succeeded; it must be quick and may be lost in a crash."""
        self._after.append(act)

    def before_commit(self, act: Callable[["UnitOfWork", list[Any]], None], about: Any) -> None:
        """Do `act` at the end of this transaction, once, with everything that was said for it."""
        self._before.append((act, about))

    def end_well(self) -> None:
        """Do what was said for the end, and what that says in turn; called before the commit."""
        while self._before:
            said, self._before = self._before, []
            for act in dict.fromkeys(act for act, _ in said):
                act(self, [about for other, about in said if other is act])

    def write_behind(self, table: Table, row: dict[str, Any]) -> None:
        """Insert `row` just before the commit, together with the others of its table: for rows nobody reads back here."""
        self._rows.setdefault(table, []).append(row)

    def write_rows(self) -> None:
        """Insert what write_behind() collected; called before the commit."""
        from core import bulk  # it is made of this module's parts

        self.flush()
        bulk.insert_all(self, self._rows)
        self._rows.clear()

    def wake(self, work: str) -> None:
        """Wake the workers of a kind of work after the commit; only latency depends on it."""
        self._wakes[work] = None


@event.listens_for(UnitOfWork, "after_soft_rollback")
def _rolled_back(uow: UnitOfWork, transaction: SessionTransaction) -> None:
    uow.forget_since(transaction)


_lock = threading.Lock()
_open: list[Connections] = []
_inside = threading.local()


def configure(new: Settings | None = None) -> None:
    """Open the database of `new` (or of the process's settings) and close what was open."""
    with _lock:
        while _open:
            _open.pop().dispose()
        _open.append(Connections(new or settings()))


def dispose() -> None:
    """Close every connection of this process."""
    with _lock:
        while _open:
            _open.pop().dispose()


atexit.register(dispose)


def _connections() -> Connections:
    if not _open:
        configure()
    return _open[-1]


def engine() -> Engine:
    """The writing engine, for migrations and bulk loads."""
    return _connections().writer


@contextmanager
def _reachable() -> Iterator[None]:
    """Tell a database that is away, or has no connection left for us, from a statement that is wrong."""
    try:
        yield
    except NoConnectionLeft as error:
        raise Unavailable("Too many wait for the database; try again in a moment.", retry_after=2) from error
    except OperationalError as error:
        if error.connection_invalidated or _unreachable(error):
            raise Unavailable("The database cannot be reached; try again in a moment.") from error
        raise


@contextmanager
def unit_of_work() -> Iterator[UnitOfWork]:
    """One transaction: commits when the block ends well, rolls back when it raises.

    On SQLite a process-wide lock and BEGIN IMMEDIATE give writers their turn; keep the block short.
    Raises Unavailable when the database cannot be reached.
    """
    connections = _connections()
    if getattr(_inside, "unit", False):
        raise RuntimeError("unit_of_work() inside another: pass the outer `uow` down instead")
    if connections.write_lock is not None and not connections.write_lock.acquire(timeout=30):
        raise Unavailable("The database is busy; try again in a moment.")
    _inside.unit = True
    try:
        with _reachable(), UnitOfWork(bind=connections.writer, expire_on_commit=False) as uow:
            yield uow
            uow.end_well()
            uow.write_rows()
            crashpoints.reached("commit.before")
            uow.commit()
            crashpoints.reached("commit.after")
    finally:
        _inside.unit = False
        if connections.write_lock is not None:
            connections.write_lock.release()
    _follow_up(uow)


@contextmanager
def reading() -> Iterator[Session]:
    """A read-only look at the database; on PostgreSQL each statement sees what is committed when it is asked.

    Raises Unavailable when it cannot be reached.
    """
    with _reachable(), Session(bind=_connections().reader, autoflush=False, expire_on_commit=False) as session:
        yield session


@contextmanager
def one_moment() -> Iterator[Session]:
    """As reading(), but everything is read as it was at one moment: for what is read in parts and must fit together."""
    with reading() as session:
        if is_postgres(session):
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


def alone(statement: Executable, parameters: dict[str, Any] | None = None) -> list[Any]:
    """One statement that is a transaction of its own, committed when its rows are returned: on PostgreSQL one round trip.

    Raises SQLAlchemy's errors, Unavailable when the database cannot be reached; then it may or may not have happened.
    """
    if not on_postgres():
        with unit_of_work() as uow:
            return list(uow.execute(statement, parameters))
    with _reachable(), _connections().single.connect() as connection:
        return list(connection.execute(statement, parameters))


def look(statement: Executable, parameters: dict[str, Any] | None = None) -> list[Any]:
    """What one statement that changes nothing finds. Raises Unavailable when the database cannot be reached."""
    with _reachable(), _connections().reader.connect() as connection:
        return list(connection.execute(statement, parameters))


def tells_time() -> bool:
    """Whether a statement may ask the database for the time (statement_timestamp()): on PostgreSQL, unless a test holds it."""
    return on_postgres() and not clock.held()


def moment(*, told: bool) -> Any:
    """The present as part of a statement: the database's own clock, or the parameter `the_time`."""
    return bindparam("the_time", type_=Instant) if told else func.statement_timestamp(type_=DateTime(timezone=True))


def present() -> dict[str, datetime]:
    """The parameter `the_time` for statements that cannot ask the database for the time; empty for the others."""
    return {} if tells_time() else {"the_time": clock.now()}


def at_once(statement: str, parameters: dict[str, Any]) -> list[Any]:
    """One PostgreSQL statement that is a transaction of its own: one round trip, committed when its rows are returned.

    It goes to the driver directly: SQLAlchemy's way there would cost more than all else that the door does for a batch.
    Raises SQLAlchemy's errors, Unavailable when the database cannot be reached; then it may or may not have happened.
    """
    from psycopg import Error  # only where PostgreSQL is used

    gone = True
    with _reachable():
        try:
            pooled = engine().raw_connection()
            connection: Any = pooled.driver_connection
            try:
                connection.autocommit = True
                rows: list[Any] = connection.execute(statement, parameters).fetchall()
                connection.autocommit = False
            except BaseException:
                gone = connection.closed
                pooled.invalidate()  # nobody else may be given a connection that commits by itself
                raise
            pooled.close()
        except Error as error:
            raise DBAPIError.instance(statement, None, error, Error, connection_invalidated=gone) from error
    return rows


def on_postgres() -> bool:
    """Whether this process works on PostgreSQL (otherwise SQLite)."""
    return not _connections().sqlite


def is_postgres(session: Session) -> bool:
    """Whether this session speaks with PostgreSQL (otherwise SQLite)."""
    return session.get_bind().dialect.name == "postgresql"


def database_now(session: Session) -> datetime:
    """The database's own clock, so that many machines agree on leases and due times."""
    if clock.held():
        return clock.now()
    if is_postgres(session):
        stamp = session.connection().exec_driver_sql("SELECT clock_timestamp()").scalar()
        assert isinstance(stamp, datetime)
        return stamp.astimezone(UTC)
    return clock.now()  # SQLite runs in this process: its clock is ours


def _follow_up(uow: UnitOfWork) -> None:
    from core import queue  # the queue reads the database, so it imports this module first

    for act in uow._after:
        act()
    for work in uow._wakes:
        queue.wake(work)


def _unreachable(error: OperationalError) -> bool:
    if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CANTOPEN,
    ):
        return True
    state = getattr(error.orig, "sqlstate", None)
    return (state is None and type(error.orig).__module__.startswith("psycopg")) or state in {
        "57P01",
        "57P03",
        "53300",
        "40001",  # somebody else's transaction was in the way: the same again may come through
        "40P01",
        "55P03",
    }


__all__ = [
    "Base", "Connection", "UnitOfWork", "configure", "database_now", "dispose", "engine", "from_micros", "is_postgres",
    "reading", "unit_of_work",
]  # fmt: skip
