"""Keyset pages: newest first by (created_at, id), with a cursor that says where the next page begins."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, and_, or_
from sqlalchemy.orm import Session

from core.errors import Invalid
from core.types import from_micros, to_micros

T = TypeVar("T")
MAX_PAGE = 200


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


def page(session: Session, query: Select[Any], model: Any, *, before: str | None, limit: int) -> Page[Any]:
    """The rows of `query` (one entity) newest first, at most 200, from the cursor on."""
    limit = max(1, min(limit, MAX_PAGE))
    if before:
        at, row_id = read_cursor(before)
        # Both bounds: the first lets the index start in the right place on every database.
        query = query.where(
            model.created_at <= at,
            or_(model.created_at < at, and_(model.created_at == at, model.id < row_id)),
        )
    query = query.order_by(model.created_at.desc(), model.id.desc()).limit(limit + 1)
    rows: Sequence[Any] = session.scalars(query).all()
    kept = list(rows[:limit])
    more = len(rows) > limit
    return Page(kept, cursor(kept[-1].created_at, kept[-1].id) if more else None)
