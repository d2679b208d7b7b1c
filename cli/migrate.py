"""Brings the database's schema to this version, one process at a time, and refuses to work on a wrong one."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from core import db
from core.errors import Unavailable
from core.journal import append_only_ddl

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_KEY = 8_434_627_601
_lock = threading.Lock()


def upgrade(to: str = "head") -> str:
    """Migrate to `to` under a lock that other processes respect; returns the revision it ended at.

    The journal's append-only triggers are made again afterwards, since table rebuilds on SQLite drop them.
    """
    with _lock, _migrating() as connection:
        if _current(connection) != _head() or to != "head":
            from alembic import command  # not needed at most starts, and slow to import

            command.upgrade(config_for(connection), to)
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


def config_for(connection: Connection) -> "Config":
    """Alembic's configuration on a given connection, for tests and `alembic check`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _head() -> str:
    """The newest revision: the one that no other builds on."""
    scripts = "\n".join(file.read_text(encoding="utf-8") for file in (_MIGRATIONS / "versions").glob("*.py"))
    revisions = re.findall(r"""^revision\b.*?=\s*["'](\w+)""", scripts, re.MULTILINE)
    below = re.findall(r"""^down_revision\b.*?=\s*["'](\w+)""", scripts, re.MULTILINE)
    head: str
    (head,) = set(revisions) - set(below)
    return head


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


@contextmanager
def _migrating() -> Iterator[Connection]:
    with db.engine().begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
        yield connection  # on SQLite BEGIN IMMEDIATE is the lock
