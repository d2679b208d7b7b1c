"""Puts rows into every table there is, with values that are easily spoilt on their way through a file."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Table, insert, select

from core import archive
from core.db import Base
from core.ids import new_id

TEXTS = (
    "",
    "plain",
    "quotes \" and ' and \\ and \t tabs\nlines",
    "Ñandú 漢字 🔔 \u2028",
    "\\N",
    "\\.",
    "a,b;c\x7f",
)
DOCUMENTS: tuple[Any, ...] = (
    {"a": [1, 2.5, None, True], "ü": {"deep": ["\\", '"', "\n"]}}, [], {}, ["漢", 12345678901234567890], "text", 0,
)  # fmt: skip
BYTES = (b"", bytes(range(256)), b"\x00\xff\\x00", b"plain")
INSTANTS = (
    datetime(2026, 3, 29, 1, 0, 0, 1, UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(1969, 7, 20, 20, 17, 40, 999999, UTC),
    datetime(2099, 12, 31, 23, 59, 59, 123456, UTC),
)  # fmt: skip


def fill(connection: Connection, rows: int = 7) -> int:
    """Insert `rows` rows into every table, parents first; returns how many there are now in all."""
    made: dict[str, list[dict[str, Any]]] = {}
    for table in Base.metadata.sorted_tables:
        made[table.name] = [_row(table, number, made) for number in range(rows)]
        connection.execute(insert(table), made[table.name])
    return sum(len(each) for name, each in made.items() if name not in archive.LEFT_OUT)


def contents(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that a backup holds, sorted by what identifies it."""
    return {
        table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
        for table in Base.metadata.sorted_tables
        if table.name not in archive.LEFT_OUT
    }


def _row(table: Table, number: int, made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    values: Iterator[int] = itertools.count(number)
    return {column.name: _value(table, column, number, next(values), made) for column in table.columns}


def _value(
    table: Table, column: "Column[Any]", number: int, turn: int, made: dict[str, list[dict[str, Any]]]
) -> Any:
    for reference in column.foreign_keys:
        parents = made.get(reference.column.table.name)
        if parents is None:  # of its own table, which is being filled
            return None
        return parents[number % len(parents)][reference.column.name]
    if column.nullable and turn % 3 == 0:
        return None
    kind = archive.kind_of(column)
    if kind == "uuid":
        return new_id()
    if kind == "bool":
        return bool(turn % 2)
    if kind == "int":
        return number if column.primary_key else turn * 1000 - 1
    if kind == "float":
        return turn / 3
    if kind == "instant":
        return INSTANTS[turn % len(INSTANTS)] + timedelta(microseconds=number)
    if kind == "json":
        return DOCUMENTS[turn % len(DOCUMENTS)]
    if kind == "bytes":
        return BYTES[turn % len(BYTES)] + new_id().bytes
    length = getattr(column.type, "length", None) or 200
    unique = f"{number}" if length < 8 else f"{number}{TEXTS[turn % len(TEXTS)]}"
    return unique[:length]
