"""Brings the database's schema to this version, one process at a time, and refuses to work on a wrong one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from core import db
from core.errors import Unavailable
from core.journal import append_only_ddl

_ADVISORY_KEY = 8_434_627_601
_lock = threading.Lock()


def upgrade(to: str = "head") -> str:
    """Migrate to `to` under a lock that other processes respect; returns the revision it ended at.

    The journal's append-only triggers are made again afterwards, since table rebuilds on SQLite drop them.
    """
    with _lock, _migrating() as connection:
        config = _config()
        config.attributes["connection"] = connection
        if _current(connection) != _head() or to != "head":
            command.upgrade(config, to)
        for statement in append_only_ddl(connection.dialect.name):
            connection.exec_driver_sql(statement.replace("%", "%%") if "%" in statement else statement)
        return _current(connection) or "empty"


def state() -> tuple[str | None, str]:
    """The database's revision (None when it is empty) and the one this version needs."""
    with db.engine().connect() as connection:
        return _current(connection), _head()


def require_current() -> None:
    """Raises Unavailable, saying what to type, unless the database is at this version."""
    found, needed = state()
    if found != needed:
        raise Unavailable(
            f"The database is at revision {found or '(empty)'} and this version needs {needed}: run `tocsin migrate`."
        )


def config_for(connection: Connection) -> Config:
    """Alembic's configuration on a given connection, for tests and `alembic check`."""
    config = _config()
    config.attributes["connection"] = connection
    return config


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _migrating() -> Iterator[Connection]:
    with db.engine().begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
        yield connection  # on SQLite BEGIN IMMEDIATE is the lock
