"""Where something that must go may stand: packages declare their rows of a subject, and values are taken out of all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, inspect, select

from core import bulk
from core.db import Base, UnitOfWork
from core.redaction import Redactor
from core.types import Ref

BITE = 200
"""Rows in memory at once."""


@dataclass(frozen=True)
class Place:
    """The rows of `model` that belong to a subject: `where(subject)` is their condition; `ref` their kind in the journal.

    `by`: the column by which they are told apart and by which the journal names them.
    """

    name: str
    model: type[Base]
    where: Callable[[UUID], ColumnElement[bool]]
    ref: str | None = None
    by: str = "id"


_places: dict[str, Place] = {}  # filled at import


def declare(*places: Place) -> None:
    """Add places, at import; a name is declared once."""
    for place in places:
        if _places.setdefault(place.name, place) != place:
            raise ValueError(f"the place {place.name} is declared twice")


def declared() -> Sequence[Place]:
    """All places, in the order of their packages."""
    return list(_places.values())


@dataclass(frozen=True)
class Taken:
    """What was found in one place: the ids of the rows that were changed, and what the journal calls all of its rows."""

    place: Place
    changed: list[UUID]
    refs: list[Ref]


def take_out(uow: UnitOfWork, subject: UUID, values: Redactor) -> Iterator[Taken]:
    """Take the values out of every place of a subject, in this transaction. Ids, times and numbers stay as they are."""
    for place in declared():
        column = getattr(place.model, place.by)
        every = list(uow.scalars(select(column).where(place.where(subject)).order_by(column)))
        changed: list[UUID] = []
        for start in range(0, len(every), BITE):
            mine = bulk.among(uow, column, every[start : start + BITE])
            rows = uow.scalars(select(place.model).where(mine).with_for_update()).all()
            changed += [getattr(row, place.by) for row in rows if _without(row, values)]
            uow.flush()
        yield Taken(place, changed, [Ref(place.ref, str(one)) for one in every] if place.ref else [])


def _without(row: Base, values: Redactor) -> bool:
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
