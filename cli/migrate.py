"""Brings the database's schema to this version, one process at a time, and refuses to work on a wrong one."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Step:
    """One migration: its revision, the one it builds on, and what it does, as its file says."""

    revision: str
    below: str | None
    says: str


def upgrade(to: str = "head") -> str:
    """Migrate to `to` under a lock that other processes respect; returns the revision it ended at.

    The journal's append-only triggers are made again at the end, since table rebuilds on SQLite drop them. Raises
    Unavailable when a newer version has migrated this database.
    """
    with _lock, _migrating() as connection:
        found = _current(connection)
        _refuse_newer(found)
        if found != _head() or to != "head":
            from alembic import command  # not needed at most starts, and slow to import

            command.upgrade(config_for(connection), to)
        if _current(connection) == _head():
            for statement in append_only_ddl(connection.dialect.name):
                connection.exec_driver_sql(statement.replace("%", "%%") if "%" in statement else statement)
        return _current(connection) or "empty"


def state() -> tuple[str | None, str]:
    """The database's revision (None when it is empty) and the one this version needs."""
    with db.engine().connect() as connection:
        return _current(connection), _head()


def pending(found: str | None) -> list[Step]:
    """What upgrade() would do to a database at revision `found` (None when it is empty or not there), in order."""
    every = _steps()
    known = [step.revision for step in every]
    return every[known.index(found) + 1 :] if found in known else every if found is None else []


def known() -> list[str]:
    """Every revision that this version knows, oldest first."""
    return [step.revision for step in _steps()]


def require_current() -> None:
    """Raises Unavailable, saying what to type, unless the database is at this version."""
    found, needed = state()
    _refuse_newer(found)
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
    return _steps()[-1].revision


def _steps() -> list[Step]:
    """Every migration in order, read from the files without running them."""
    found: dict[str | None, Step] = {}
    for file in (_MIGRATIONS / "versions").glob("*.py"):
        script = file.read_text(encoding="utf-8")
        revision, below = (
            re.search(rf"""^{name}\b.*?=\s*(?:["'](\w+)["']|None)""", script, re.MULTILINE)
            for name in ("revision", "down_revision")
        )
        says = re.match(r'\s*"""(.+?)\.?(?:\n|""")', script)
        assert revision is not None
        assert below is not None
        step = Step(revision[1], below[1], says[1] if says else file.stem)
        if step.below in found:
            raise RuntimeError(
                f"two migrations build on {step.below}: {found[step.below].revision}, {step.revision}"
            )
        found[step.below] = step
    ordered = [found[None]]
    while (following := found.get(ordered[-1].revision)) is not None:
        ordered.append(following)
    return ordered


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in known():
        raise Unavailable(
            f"The database is at revision {found}, which this version does not know (it knows up to {_head()}): a newer "
            "version has migrated it. Start that version again, or restore the backup from before the upgrade."
        )


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


@contextmanager
def _migrating() -> Iterator[Connection]:
    with db.engine().connect() as connection:
        if connection.dialect.name == "postgresql":
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
                yield connection
            return
        with _references_aside(connection), connection.begin():  # BEGIN IMMEDIATE is the lock
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchone()
            if broken is not None:
                raise Unavailable(
                    f"Migrating would leave a row of {broken[0]} without its {broken[2]}: nothing was changed."
                )


@contextmanager
def _references_aside(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew, which it refuses while rows elsewhere refer to it; only before BEGIN."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
