"""Pours rows into a database as fast as it takes them: COPY on PostgreSQL, executemany on SQLite."""

import itertools
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Self

import psycopg
from sqlalchemy import Engine, text

from bench.filling import FILLINGS, OBSERVABLES, Spelling, cases, observables
from core.types import from_micros

AT_ONCE = 5_000
# As COPY reads it.
AS_POSTGRES = Spelling(lambda micros: from_micros(micros).isoformat(), lambda raw: f"\\\\x{raw.hex()}", "\\N")


def pour(engine: Engine, base: datetime, first: int, upto: int) -> float:
    """Add the cases first … upto - 1; returns how long it took (s)."""
    began = time.perf_counter()
    with _Copying(engine) if engine.dialect.name == "postgresql" else _Inserting(engine) as sink:
        if first == 0:
            table, columns = OBSERVABLES
            sink.add(table, columns, {}, list(observables(base, sink.spelling)))
        waiting = cases(base, range(first, upto), sink.spelling)
        while batch := list(itertools.islice(waiting, AT_ONCE)):
            for filling in FILLINGS:  # what others point at comes first
                rows = [row for case in batch for row in filling.rows(case, sink.spelling)]
                sink.add(filling.table, filling.columns, filling.rest, rows)
    return time.perf_counter() - began


class _Copying:
    """Indexes that only speed up reading are dropped first and made anew at the end; keys that others need stay."""

    spelling = AS_POSTGRES

    def __init__(self, engine: Engine) -> None:
        url = engine.url.set(drivername="postgresql")
        self._connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        self._again: list[str] = []
        self._tables: list[str] = []

    def __enter__(self) -> Self:
        self._do("SET session_replication_role = replica")  # keys to other tables are right by construction
        self._do("SET maintenance_work_mem = '256MB'")
        self._do("SET synchronous_commit = off")
        return self

    def __exit__(self, *_: object) -> None:
        for statement in self._again:
            self._do(statement)
        for table in self._tables:
            self._do(f"VACUUM (ANALYZE) {table}")
        self._do("CHECKPOINT")
        self._connection.close()

    def add(
        self, table: Any, columns: Sequence[str], rest: dict[str, Any], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        if table.name not in self._tables:
            self._drop_indexes(table.name)
            self._tables.append(table.name)
        rest = _defaults(table, columns) | rest
        names = ", ".join(f'"{name}"' for name in (*columns, *rest))
        tail = "".join(f"\t{self._spelled(value)}" for value in rest.values()) + "\n"
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table.name} ({names}) FROM STDIN".encode()) as copy,
        ):
            copy.write("".join(["\t".join(row) + tail for row in rows]))

    def _spelled(self, value: Any) -> str:
        # No text of ours holds a tab, a line end or a backslash.
        return str(self.spelling.raw(value)) if isinstance(value, bytes) else str(value)

    def _drop_indexes(self, table: str) -> None:
        # A key that another table points at must stay; every other index comes back as it was.
        pointed_at = (
            "SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = i.indrelid "
            "AND f.conindid = i.indexrelid"
        )
        found = self._connection.execute(
            "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), c.conname, pg_get_constraintdef(c.oid) "
            "FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u') "
            f"WHERE i.indrelid = '{table}'::regclass AND NOT EXISTS ({pointed_at})".encode()
        ).fetchall()
        for index, definition, constraint, constraint_definition in found:
            if constraint:
                self._do(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
                self._again.append(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {constraint_definition}")
            else:
                self._do(f"DROP INDEX {index}")
                self._again.append(definition)

    def _do(self, statement: str) -> None:
        self._connection.execute(statement.encode())


class _Inserting:
    """One transaction for each batch."""

    spelling = Spelling(int, bytes, None)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("PRAGMA analysis_limit = 1000"))  # or it reads every index to its end
            connection.execute(text("ANALYZE"))

    def add(
        self, table: Any, columns: Sequence[str], rest: dict[str, Any], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        rest = _defaults(table, columns) | rest
        names = ", ".join(f'"{name}"' for name in (*columns, *rest))
        marks = ", ".join("?" * (len(columns) + len(rest)))
        tail = tuple(rest.values())
        with self._engine.begin() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO {table.name} ({names}) VALUES ({marks})", [row + tail for row in rows]
            )


def _defaults(table: Any, given: Sequence[str]) -> dict[str, Any]:
    """What the models give to the columns that are not given."""
    found: dict[str, Any] = {}
    for column in table.columns:
        default = column.default
        if column.name in given or default is None:
            continue
        value: Any = getattr(default, "arg", None)
        if callable(value):
            value = _made(value)
        if value is not None:
            found[column.name] = "{}" if value == {} else "[]" if value == [] else value
    return found


def _made(make: Callable[[Any], Any]) -> Any:
    made = make(None)  # SQLAlchemy wraps them all to take a context
    return made if isinstance(made, (list, dict, str, int)) else None
