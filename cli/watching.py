"""Looks at the database from outside, in plain SQL: is there anything that Tocsin should have done and has not?"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from core import chosen
from core.settings import Settings, settings
from core.types import to_micros

MOST = 20  # findings of one check that are told one by one
_COUNTED = 10_000


@dataclass(frozen=True)
class Limits:
    """How long Tocsin has before the watch speaks up.

    Playbooks and people have a minute, a chore pages within 15 s after it: whoever is unattended longer was forgotten.
    A page may wait in a bundle for five minutes and a half.
    """

    unattended: timedelta = timedelta(seconds=150)
    unsent: timedelta = timedelta(minutes=2)
    bundled: timedelta = timedelta(minutes=7)
    late: timedelta = timedelta(seconds=30)


@dataclass(frozen=True)
class Finding:
    """Something is wrong: `key` stays the same as long as it does; `says` is a sentence for whoever is told."""

    key: str
    says: str


@dataclass(frozen=True)
class Look:
    """One look at the database: the connection, its clock, the limits."""

    connection: Connection
    now: datetime
    limits: Limits = field(default_factory=Limits)

    @property
    def postgres(self) -> bool:
        """Whether this is PostgreSQL (otherwise SQLite)."""
        return self.connection.dialect.name == "postgresql"

    def ago(self, wait: timedelta) -> Any:
        """The instant `wait` ago, as this database keeps it."""
        at = self.now - wait
        return at if self.postgres else to_micros(at)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """What a statement reads."""
        return list(self.connection.execute(text(statement), values))


def opened(url: str) -> Engine:
    """An engine of the watch's own: one connection at a time, given up soon when the database hangs."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return create_engine(parts, poolclass=NullPool, connect_args={"timeout": 5})
    options = "-c statement_timeout=10s -c timezone=UTC -c default_transaction_read_only=on"
    return create_engine(
        parts.set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args={"connect_timeout": 5, "options": options},
    )


def settings_now(engine: Engine) -> Settings | None:
    """The settings as the environment says them, else as a page does, read anew. None: the database does not answer."""
    with suppress(SQLAlchemyError), engine.connect() as connection:
        return chosen.effective(connection)
    return None


def look(engine: Engine, limits: Limits | None = None) -> list[Finding]:
    """Everything that is wrong now. A database that cannot be asked is a finding too."""
    found: list[Finding] = []
    try:
        with engine.connect() as connection:
            one = Look(connection, _now(connection), limits or Limits())
            for check in CHECKS:
                found += check(one)
    except SQLAlchemyError as error:
        reason = type(getattr(error, "orig", None) or error).__name__
        return [
            Finding(
                "database",
                f"The database cannot be asked ({reason}): Tocsin can neither keep nor do anything.",
            )
        ]
    return found


def unattended(look: Look) -> list[Finding]:
    """Serious open incidents that nobody has taken, looked at or been paged for."""
    as_text = "CAST(i.id AS text)" if look.postgres else _HYPHENED
    rows = look.rows(
        f"""SELECT i.key, i.severity, i.created_at FROM incidents i
        WHERE i.closed_at IS NULL AND i.severity IN ('high', 'critical') AND i.stage = 'new' AND i.owner_id IS NULL
          AND NOT i.late AND NOT i.exercise AND (NOT i.learning OR i.severity = 'critical') AND i.created_at < :at
          AND NOT EXISTS (SELECT 1 FROM pages p WHERE p.subject_kind = 'incident' AND p.subject_id = {as_text})
        ORDER BY i.created_at LIMIT {MOST + 1}""",  # noqa: S608 - nothing from outside is in it
        at=look.ago(look.limits.unattended),
    )
    reason = (
        ""
        if look.rows("SELECT 1 FROM escalation_policies LIMIT 1")
        else ": there is no escalation policy to page by"
    )
    return _some(
        "unattended",
        rows,
        lambda row: f"{row.key} ({row.severity}) is open, and nobody has been paged for it{reason}.",
    )


def unsent(look: Look) -> list[Finding]:
    """Urgent pages that have reached nobody outside our own pages."""
    rows = look.rows(
        f"""SELECT p.id AS key, p.policy FROM pages p
        WHERE p.closed_at IS NULL AND p.state IN ('waiting', 'exhausted') AND p.urgency = 'high'
          AND p.first_sent_at IS NULL AND p.created_at < :at
          AND (p.created_at < :long OR NOT EXISTS
               (SELECT 1 FROM page_targets t WHERE t.page_id = p.id AND t.state = 'bundled'))
        ORDER BY p.created_at LIMIT {MOST + 1}""",  # noqa: S608 - nothing from outside is in it
        at=look.ago(look.limits.unsent),
        long=look.ago(look.limits.bundled),
    )
    return _some(
        "unsent",
        rows,
        lambda row: f'A page by the policy "{row.policy}" has reached nobody: {settings().base_url}/pages/{UUID(str(row.key))}.',
    )


def overdue(look: Look) -> list[Finding]:
    """Work that has been due for longer than it may, and that nobody has in hand."""
    found = []
    for table in _work_tables(look.connection):
        (row,) = look.rows(
            f"""SELECT count(*) AS n, min(due_at) AS since FROM (SELECT due_at FROM {table}
            WHERE due_at IS NOT NULL AND due_at < :at AND (lease_until IS NULL OR lease_until < :at)
            ORDER BY due_at LIMIT {_COUNTED}) AS due""",  # noqa: S608 - the table's name is the database's own
            at=look.ago(look.limits.late),
        )
        if row.n:
            seconds = (look.now - _instant(row.since)).total_seconds()
            many = "10,000 or more rows" if row.n == _COUNTED else "1 row" if row.n == 1 else f"{row.n} rows"
            says = f"Work is late: {many} of {table} due, the oldest for {seconds:.0f} s; nobody works on it."
            found.append(Finding(f"overdue:{table}", says))
    return found


def abandoned(look: Look) -> list[Finding]:
    """Work that two workers in a row have taken up and neither ended nor given back.

    A failed attempt leaves its error; an attempt that ended without one is a lease that ran out.
    """
    found = []
    for table in _work_tables(look.connection):
        (row,) = look.rows(
            f"""SELECT count(*) AS n FROM (SELECT 1 FROM {table}
            WHERE due_at IS NOT NULL AND error IS NULL AND attempts >= 2
              AND (attempts >= 3 OR lease_until IS NULL OR lease_until < :now) LIMIT {_COUNTED}) AS taken""",  # noqa: S608 - the table's name is the database's own
            now=look.ago(timedelta(0)),
        )
        if row.n:
            says = f"Workers die or hang: {row.n} rows of {table} have been taken up twice, and their leases ran out."
            found.append(Finding(f"abandoned:{table}", says))
    return found


CHECKS: tuple[Callable[[Look], list[Finding]], ...] = (unattended, unsent, overdue, abandoned)

# SQLite keeps an id as 32 hexadecimal digits; a page's subject is written with hyphens.
_HYPHENED = "||'-'||".join(
    f"substr(i.id, {start}, {length})" for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
)


def _work_tables(connection: Connection) -> list[str]:
    """The tables whose rows are work: those with a due time and a lease."""
    known = inspect(connection)
    wanted = {"due_at", "lease_until", "attempts", "error"}
    names = sorted(name for name in known.get_table_names() if name.isidentifier())
    return [name for name in names if wanted <= {column["name"] for column in known.get_columns(name)}]


def _some(check: str, rows: list[Any], says: Callable[[Any], str]) -> list[Finding]:
    found = [Finding(f"{check}:{row.key}", says(row)) for row in rows[:MOST]]
    if len(rows) > MOST:
        found.append(Finding(f"{check}:more", f"And more than {MOST} are {check}."))
    return found


def _now(connection: Connection) -> datetime:
    if connection.dialect.name == "postgresql":
        stamp = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        assert isinstance(stamp, datetime)
        return stamp.astimezone(UTC)
    return datetime.now(UTC)  # SQLite has the clock of whoever asks


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    with suppress(TypeError, ValueError):
        return datetime.fromtimestamp(int(value) / 1_000_000, UTC)
    return datetime.now(UTC)
