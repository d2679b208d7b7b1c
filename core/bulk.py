"""Many rows at once: one statement writes or finds a batch, with nothing of it built row by row in Python.

To PostgreSQL a batch travels as one JSON document that the server takes apart; on SQLite executemany is as quick.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ARRAY, Column, ColumnElement, LargeBinary, Table, any_, func, literal, select
from sqlalchemy.orm import Session

from core.db import is_postgres
from core.types import to_micros

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class _Field:
    """One column: what stands there when a row does not say, and how a value is handed to each database."""

    name: str
    default: Callable[[], Any] | None
    is_bytes: bool
    is_json: bool


def insert(
    session: Session,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    conflict: str = "",
    *,
    returning: bool = False,
) -> set[UUID]:
    """Insert rows of one shape; a column they do not name gets its default. `conflict` is an ON CONFLICT clause.

    With `returning`, the ids of the rows that were stored.
    """
    if not rows:
        return set()
    fields = _fields(table, frozenset(rows[0]))
    names = ", ".join(field.name for field in fields)
    back = "RETURNING id" if returning else ""
    whole = [[_of(field, row) for field in fields] for row in rows]
    connection = session.connection()
    if is_postgres(session):
        statement = (
            f"INSERT INTO {table.name} ({names}) SELECT {names} "  # noqa: S608 - made of the schema's own names
            f"FROM json_populate_recordset(NULL::{table.name}, %(rows)s::json) {conflict} {back}"
        )
        found = connection.exec_driver_sql(statement, {"rows": _document(fields, whole)})
        return {row[0] for row in found} if returning else set()
    marks = ", ".join("?" * len(fields))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks}) {conflict} {back}"  # noqa: S608 - as above
    values = [_for_sqlite(fields, row) for row in whole]
    if not returning:
        connection.exec_driver_sql(statement, values)
        return set()
    stored: set[UUID] = set()
    for row in values:
        stored.update(UUID(found[0]) for found in connection.exec_driver_sql(statement, row))
    return stored


def insert_all(session: Session, rows: Mapping[Table, Sequence[Mapping[str, Any]]]) -> None:
    """Insert rows into several tables as insert() does, on PostgreSQL in one statement: no table may refer to another."""
    named = [(table, several) for table, several in rows.items() if several]
    if not is_postgres(session) or len(named) < 2:
        for table, several in named:
            insert(session, table, several)
        return
    parts, given = [], {}
    for number, (table, several) in enumerate(named):
        fields = _fields(table, frozenset(several[0]))
        names = ", ".join(field.name for field in fields)
        parts.append(
            f"INSERT INTO {table.name} ({names}) SELECT {names} "  # noqa: S608 - made of the schema's own names
            f"FROM json_populate_recordset(NULL::{table.name}, %(rows{number})s::json)"
        )
        given[f"rows{number}"] = _document(fields, [[_of(field, row) for field in fields] for row in several])
    before = ", ".join(f"part{number} AS ({part})" for number, part in enumerate(parts[:-1]))
    session.connection().exec_driver_sql(f"WITH {before} {parts[-1]}", given)


def update(
    session: Session,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    found_by: tuple[str, ...] = ("id",),
    only: str = "",
) -> int:
    """Write the columns that the rows name, each row found by its `found_by` columns; all rows have one shape.

    `only` is a further condition on the row. Returns how many rows were changed.
    """
    if not rows:
        return 0
    named = _fields(table, frozenset(rows[0]), defaults=False)
    changed = [field for field in named if field.name not in found_by]
    fields = changed + [field for field in named if field.name in found_by]
    whole = [[row[field.name] for field in fields] for row in rows]
    connection = session.connection()
    condition = f" AND {only}" if only else ""
    if is_postgres(session):
        changes = ", ".join(f"{field.name} = new.{field.name}" for field in changed)
        same = " AND ".join(
            f"{table.name}.{field.name} = new.{field.name}" for field in fields[len(changed) :]
        )
        statement = (
            f"UPDATE {table.name} SET {changes} "  # noqa: S608 - made of the schema's own names
            f"FROM json_populate_recordset(NULL::{table.name}, %(rows)s::json) AS new WHERE {same}"
            + condition.replace(" AND ", f" AND {table.name}.", 1)
        )
        return connection.exec_driver_sql(statement, {"rows": _document(fields, whole)}).rowcount
    changes = ", ".join(f"{field.name} = ?" for field in changed)
    same = " AND ".join(f"{field.name} = ?" for field in fields[len(changed) :])
    statement = f"UPDATE {table.name} SET {changes} WHERE {same}{condition}"  # noqa: S608 - as above
    return connection.exec_driver_sql(statement, [_for_sqlite(fields, row) for row in whole]).rowcount


def among(session: Session, column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
    """`column IN values` as one parameter, so that lists of every length are the same statement."""
    listed = list(values)
    if is_postgres(session):
        return column == any_(literal(listed, ARRAY(column.type)))  # type: ignore[no-any-return]  # a comparison
    texts = [value.hex if isinstance(value, UUID) else value for value in listed]
    each = func.json_each(_encode(texts).decode()).table_valued("value")
    return column.in_(select(each.c.value))  # type: ignore[no-any-return]  # a comparison


def _of(field: _Field, row: Mapping[str, Any]) -> Any:
    if field.name in row:
        return row[field.name]
    return field.default() if field.default is not None else None


@lru_cache(maxsize=256)
def _fields(table: Table, named: frozenset[str], *, defaults: bool = True) -> tuple[_Field, ...]:
    known = {column.name: _field(column) for column in table.columns}
    if unknown := named - set(known):
        raise ValueError(f"{table.name} has no column {', '.join(sorted(unknown))}")
    return tuple(
        field for field in known.values() if field.name in named or (defaults and field.default is not None)
    )


def _field(column: Column[Any]) -> _Field:
    given: Any = column.default
    default: Callable[[], Any] | None = None
    if given is not None and given.is_scalar:
        default = lambda: given.arg
    elif given is not None and given.is_callable:
        default = lambda: given.arg(None)
    kind = type(column.type)
    return _Field(
        column.name, default, isinstance(column.type, LargeBinary), kind.__name__ in ("JSON", "JSONB")
    )


def _document(fields: Sequence[_Field], rows: Sequence[Sequence[Any]]) -> str:
    names = [field.name for field in fields]
    binary = [place for place, field in enumerate(fields) if field.is_bytes]
    for row in rows:
        for place in binary:
            if row[place] is not None:
                row[place] = "\\x" + bytes(row[place]).hex()  # type: ignore[index]  # rows are lists of ours
    return _encode([dict(zip(names, row, strict=True)) for row in rows]).decode()


def _for_sqlite(fields: Sequence[_Field], row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        _encode(value).decode() if field.is_json and value is not None else _plain(value)
        for field, value in zip(fields, row, strict=True)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return to_micros(value)
    return value
