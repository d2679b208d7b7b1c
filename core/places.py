"""Where something that must go may stand: packages declare their rows of a subject, and values are taken out of all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, inspect, select
from sqlalchemy.orm import Session

from core import bulk
from core.db import Base, UnitOfWork
from core.redaction import Redactor


@dataclass(frozen=True)
class Place:
    """The rows of `model` that belong to a subject: `where(subject)` is their condition; `ref` their kind in the journal.

    `by`: the column by which they are told apart and by which the journal names them. `clean` takes the values out of one row and says
    whether they stood there, where looking through its columns is not enough.
    """

    name: str
    model: type[Base]
    where: Callable[[UUID], ColumnElement[bool]]
    ref: str | None = None
    by: str = "id"
    clean: Callable[[Any, Redactor], bool] | None = None


_places: dict[str, Place] = {}  # filled at import


def declare(*places: Place) -> None:
    """Add places, at import; a name is declared once."""
    for place in places:
        if _places.setdefault(place.name, place) != place:
            raise ValueError(f"the place {place.name} is declared twice")


def declared() -> Sequence[Place]:
    """All places, in the order of their packages."""
    return list(_places.values())


def ids(session: Session, place: Place, subject: UUID, after: str | None, limit: int) -> list[Any]:
    """The next rows of a subject in a place, by the column that tells them apart: those above `after`, at most `limit`."""
    column = getattr(place.model, place.by)
    query = select(column).where(place.where(subject)).order_by(column).limit(limit)
    if after is not None:
        query = query.where(column > (UUID(after) if isinstance(column.type, Uuid) else after))
    return list(session.scalars(query))


def take_out(uow: UnitOfWork, place: Place, some: Sequence[Any], values: Redactor) -> list[Any]:
    """Take the values out of these rows, in this transaction; returns the ids of those that held one. Ids, times and numbers stay."""
    mine = bulk.among(uow, getattr(place.model, place.by), some)
    rows = uow.scalars(select(place.model).where(mine).with_for_update()).all()
    changed = [getattr(row, place.by) for row in rows if (place.clean or without)(row, values)]
    uow.flush()
    return changed


def without(row: Base, values: Redactor) -> bool:
    """Change a row in place; says whether anything stood there."""
    changed = False
    for attribute in inspect(type(row)).column_attrs:
        column = attribute.columns[0]
        if column.primary_key or column.foreign_keys:
            continue
        held: Any = getattr(row, attribute.key)
        told = values.raw(held) if isinstance(held, bytes) else values.value(held)
        if told is held or told == held:
            continue
        most = getattr(column.type, "length", None)
        if isinstance(told, str) and most:
            told = told[:most]  # the mask may be longer than what it stands for
        setattr(row, attribute.key, told)
        changed = True
    return changed
