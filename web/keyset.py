"""Pages of a list by key: the cursor is the last row's instant and id, so a page costs the same at any depth."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import ColumnElement, Select, literal, tuple_
from starlette.datastructures import QueryParams

from core.errors import Invalid
from core.types import from_micros, to_micros

SIZE = 50


def cursor_of(at: datetime, row_id: UUID) -> str:
    """The place after a row, as it stands in an address."""
    return f"{to_micros(at):x}-{row_id.hex}"


def place(cursor: str) -> tuple[datetime, UUID]:
    """The instant and id of a cursor. Raises Invalid."""
    micros, _dash, row_id = cursor.partition("-")
    try:
        return from_micros(int(micros, 16)), UUID(hex=row_id)
    except (ValueError, OverflowError) as error:
        raise Invalid("This page's address is not complete; go to the first page.") from error


def after(at: Any, row_id: Any, cursor: str | None) -> list[ColumnElement[bool]]:
    """The condition for rows older than the cursor; none on the first page."""
    if not cursor:
        return []
    then, last = place(cursor)
    # Typed as the columns are: SQLite would compare an instant of ours, a number, with a text, and find every row older.
    return [tuple_(at, row_id) < tuple_(literal(then, at.type), literal(last, row_id.type))]


def newest_first(
    query: Select[Any], at: Any, row_id: Any, cursor: str | None, size: int = SIZE
) -> Select[Any]:
    """The query for one page and one row more, which tells whether there is a next one."""
    return query.where(*after(at, row_id, cursor)).order_by(at.desc(), row_id.desc()).limit(size + 1)


def address(path: str, given: QueryParams, **changes: str | None) -> str:
    """The same list with some filters changed (None removes one), at its first page unless `after` is given."""
    kept = [
        (name, value)
        for name, value in given.multi_items()
        if name != "after" and name not in changes and value
    ]
    kept += [(name, value) for name, value in changes.items() if value]
    return f"{path}?{urlencode(kept)}" if kept else path


def cut(rows: Sequence[Any], size: int = SIZE) -> tuple[list[Any], bool]:
    """The rows of this page, and whether more follow."""
    return list(rows[:size]), len(rows) > size
