"""Writes a backup's rows into an empty database, whichever database they came from."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from core.archive import LEFT_OUT, TableFacts
from core.errors import Conflict, Invalid
from core.types import from_micros

Rows = tuple[TableFacts, list[list[Any]]]


def held(connection: Connection) -> dict[str, int]:
    """How many rows each table holds that is not empty; what is of the moment does not count."""
    found = {}
    for name in inspect(connection).get_table_names():
        if name not in LEFT_OUT and (rows := _count(connection, name)):
            found[name] = rows
    return found


def load(connection: Connection, tables: Sequence[TableFacts], parts: Iterable[Rows]) -> None:
    """Insert every row in this transaction. The schema must be the one that the rows came from.

    Raises Conflict when the number of rows is another than the backup's, Invalid when one cannot be stored.
    """
    postgres = connection.dialect.name == "postgresql"
    _know(connection, tables)
    with _without_references(connection) if postgres else _references_at_the_end(connection):
        for table, rows in parts:
            try:
                (_copy if postgres else _insert)(connection, table, rows)
            except DBAPIError as error:
                raise Invalid(f"A row of {table.name} cannot be stored here: {error.orig}") from error
    for table in tables:
        if (found := _count(connection, table.name)) != table.rows:
            raise Conflict(
                f"{table.name} holds {found} rows now; the backup has {table.rows}. Nothing was kept."
            )
    if postgres:
        connection.exec_driver_sql("ANALYZE")


def _know(connection: Connection, tables: Sequence[TableFacts]) -> None:
    """Every name of the backup is one of this schema's, before any of them is written into a statement."""
    inspector = inspect(connection)
    known = set(inspector.get_table_names())
    for table in tables:
        columns = (
            {column["name"] for column in inspector.get_columns(table.name)} if table.name in known else set()
        )
        if missing := [name for name, _ in table.columns if name not in columns]:
            raise Conflict(
                f"The backup's {table.name}.{missing[0]} is not known to its own schema's revision here."
            )


def _count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f'SELECT count(*) FROM "{table}"').scalar_one())  # noqa: S608 - our tables


# ------------------------------------------------------------------------------------------------ references


@contextmanager
def _references_at_the_end(connection: Connection) -> Iterator[None]:
    """SQLite checks foreign keys at the commit, so that tables may come in any order."""
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    yield
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise Conflict(
            f"A row of {broken[0]} names one of {broken[2]} that is not in the backup. Nothing was kept."
        )


@contextmanager
def _without_references(connection: Connection) -> Iterator[None]:
    """PostgreSQL's foreign keys are taken away and made again, which checks them all at once; needs no superuser."""
    found = connection.execute(
        text(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY 1, 2"
        )
    ).all()
    for table, name, _ in found:
        connection.exec_driver_sql(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    yield
    for table, name, definition in found:
        try:
            connection.exec_driver_sql(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
        except DBAPIError as error:
            raise Conflict(f"A row of {table} names one that is not in the backup ({error.orig}).") from error


# ------------------------------------------------------------------------------------------------ values


def _same(value: Any) -> Any:
    return value


def _bytes(value: str) -> bytes:
    return base64.b64decode(value)


def _postgres_text(value: str) -> str:
    """PostgreSQL keeps no NUL; SQLite does."""
    return value.replace("\x00", "�") if "\x00" in value else value


def _postgres_json(value: str) -> str:
    """Nor does JSONB keep NULs and lone surrogates, which JSON writes as escapes."""
    if "\\u0000" not in value and "\\ud" not in value.lower():
        return value
    return json.dumps(_clean(json.loads(value)), ensure_ascii=False)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _postgres_text(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(name): _clean(item) for name, item in value.items()}
    return value


_FOR_SQLITE: Mapping[str, Callable[[Any], Any]] = {"uuid": lambda value: UUID(value).hex, "bytes": _bytes}
_FOR_POSTGRES: Mapping[str, Callable[[Any], Any]] = {
    "uuid": lambda value: str(UUID(value)), "bytes": _bytes, "instant": from_micros, "bool": bool, "text": _postgres_text,
    "json": _postgres_json,
}  # fmt: skip


def _values(
    table: TableFacts, rows: list[list[Any]], how: Mapping[str, Callable[[Any], Any]]
) -> list[tuple[Any, ...]]:
    acts = [how.get(kind, _same) for _, kind in table.columns]
    return [
        tuple(None if value is None else act(value) for act, value in zip(acts, row, strict=True))
        for row in rows
    ]


def _names(table: TableFacts) -> str:
    return ", ".join(f'"{name}"' for name, _ in table.columns)


def _insert(connection: Connection, table: TableFacts, rows: list[list[Any]]) -> None:
    places = ", ".join("?" * len(table.columns))
    statement = f'INSERT INTO "{table.name}" ({_names(table)}) VALUES ({places})'  # noqa: S608 - checked names
    connection.exec_driver_sql(statement, _values(table, rows, _FOR_SQLITE))


def _copy(connection: Connection, table: TableFacts, rows: list[list[Any]]) -> None:
    import psycopg  # only where PostgreSQL is used

    cursor = connection.connection.cursor()
    copying: AbstractContextManager[Any] = cursor.copy(f'COPY "{table.name}" ({_names(table)}) FROM STDIN')
    try:
        with copying as copy:
            for values in _values(table, rows, _FOR_POSTGRES):
                copy.write_row(values)
    except psycopg.Error as error:
        raise Invalid(f"A row of {table.name} cannot be stored here: {error}") from error
