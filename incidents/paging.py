"""Keyset pages: newest first by (created_at, id), with a cursor that says where the next page begins."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, and_, case, literal, select, tuple_
from sqlalchemy.orm import Session

from core import bulk, lookback
from core.errors import Invalid
from core.types import from_micros, to_micros
from incidents.filters import Narrowed

T = TypeVar("T")
MAX_PAGE = 200
_FIRST = UUID(int=0)


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page; `next` is the cursor of the following one, or None at the end."""

    items: list[T]
    next: str | None


def cursor(created_at: datetime, row_id: UUID) -> str:
    """The opaque text that names a place in a list."""
    raw = to_micros(created_at).to_bytes(8, "big") + row_id.bytes
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(text: str) -> tuple[datetime, UUID]:
    """The place a cursor names. Raises Invalid."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if len(raw) != 24:
            raise ValueError(len(raw))
        return from_micros(int.from_bytes(raw[:8], "big")), UUID(bytes=raw[8:])
    except (ValueError, OverflowError, binascii.Error):
        raise Invalid("This cursor is not one of ours: start again with the first page.") from None


def page(
    session: Session,
    query: Select[Any],
    model: Any,
    *,
    before: str | None,
    limit: int,
    narrowed: Narrowed | None = None,
) -> Page[Any]:
    """The rows of `query` (one entity) newest first, at most 200, from the cursor on.

    Rows that a filter's index does not tell apart are looked through lookback.AT_ONCE at a time: then a page may hold
    fewer rows than asked for, or none, and still have a next one.
    """
    limit = max(1, min(limit, MAX_PAGE))
    key = tuple_(model.created_at, model.id)
    led = [
        *(narrowed.led if narrowed else ()),
        *([key < _literal(model, *read_cursor(before))] if before else ()),
    ]
    order = (model.created_at.desc(), model.id.desc())
    query = query.where(*led)
    floor = None
    if narrowed and narrowed.rest:
        # Inside a CASE no other index than the leading one can answer them: another might be walked from end to end.
        query = query.where(case((and_(*narrowed.rest), 1), else_=0) == 1)
        floor = lookback.floor(session, select(model.created_at, model.id).where(*led).order_by(*order))
        if floor is not None:
            query = query.where(model.created_at >= floor.created_at)
    rows: Sequence[Any] = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    kept = list(rows[:limit])
    if len(rows) > limit:
        return Page(kept, cursor(kept[-1].created_at, kept[-1].id))
    return Page(kept, cursor(floor.created_at, _FIRST) if floor is not None else None)


def page_of(
    session: Session, query: Select[Any], model: Any, ids: Sequence[UUID], *, before: str | None, limit: int
) -> Page[Any]:
    """The same of some rows that are known by their ids: few enough to be sorted here."""
    limit = max(1, min(limit, MAX_PAGE))
    among = query.where(bulk.among(session, model.id, ids))
    pairs = session.execute(among.with_only_columns(model.created_at, model.id))
    keys = sorted([(row[0], row[1]) for row in pairs], reverse=True)
    if before:
        keys = [key for key in keys if key < read_cursor(before)]
    wanted = [of for _at, of in keys[:limit]]
    rows = {row.id: row for row in session.scalars(query.where(bulk.among(session, model.id, wanted)))}
    more = cursor(*keys[limit - 1]) if len(keys) > limit else None
    return Page([rows[of] for of in wanted if of in rows], more)


def _literal(model: Any, at: datetime, row_id: UUID) -> Any:
    # Typed as the columns are: SQLite would compare an instant of ours, a number, with a text, and find every row older.
    return tuple_(literal(at, model.created_at.type), literal(row_id, model.id.type))
