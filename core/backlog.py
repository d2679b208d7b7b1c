"""How much work waits: which kinds have something due, and how much of each is due, leased and parked."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, func, literal_column, select, union_all
from sqlalchemy.orm import Session

from core.db import database_now
from core.lanes import is_due
from core.types import Instant
from core.work import WorkKind, kinds


@dataclass(frozen=True)
class Count:
    """How much of a kind waits: due now, leased, parked, and since when the oldest has been due."""

    name: str
    due: int
    leased: int
    parked: int
    oldest_due: datetime | None


@dataclass(frozen=True)
class Glance:
    """How a kind of work stands at a glance: due now and parked, each counted to MOST, and since when the oldest is due."""

    name: str
    due: int
    oldest_due: datetime | None
    parked: int


MOST = 1000
"""A glance counts no further, so that it costs the same in a storm."""


def due(session: Session) -> list[str]:
    """The names of the kinds that have something due now."""
    found = session.execute(_due_of_each(tuple(kinds().values())), {"at": database_now(session)})
    return [name for (name,) in found]


@lru_cache(maxsize=8)
def _due_of_each(kinds: tuple[WorkKind, ...]) -> Any:
    """The name of each kind that has something due at :at, in one question: the sweeper asks it twice a second."""
    at: Any = bindparam("at", type_=Instant)
    return union_all(
        *(
            select(literal_column(f"'{kind.name}'")).where(
                select(kind.model.id).where(*is_due(kind.model, at)).exists()
            )
            for kind in kinds
        )
    )


def glance(session: Session) -> list[Glance]:
    """How every kind stands, in one question that is cheap however much waits: for a page that people look at all day."""
    found = session.execute(_glancing(tuple(kinds().values())), {"at": database_now(session)})
    return [Glance(*row) for row in found]


@lru_cache(maxsize=8)
def _glancing(kinds: tuple[WorkKind, ...]) -> Any:
    """Two short walks along an index of each kind; ordered, so that no database reads the table instead."""
    at: Any = bindparam("at", type_=Instant)

    def one(kind: WorkKind) -> Select[Any]:
        model = kind.model
        due = select(model.due_at).where(*is_due(model, at)).order_by(model.due_at).limit(MOST).subquery()
        parked = (
            select(model.parked_at)
            .where(model.parked_at.is_not(None))
            .order_by(model.parked_at)
            .limit(MOST)
            .subquery()
        )
        number = select(func.count()).select_from(parked).scalar_subquery()
        return select(
            literal_column(f"'{kind.name}'"),
            func.count(due.c.due_at),
            func.min(due.c.due_at, type_=Instant),
            number,
        )

    return union_all(*(one(kind) for kind in kinds))


def counts(session: Session) -> list[Count]:
    """How much of every kind waits, for the page of work and the metrics."""
    at = database_now(session)
    return [
        Count(kind.name, *session.execute(_counting(kind.model), {"at": at}).one())
        for kind in kinds().values()
    ]


@lru_cache(maxsize=64)  # building it takes longer than asking it
def _counting(model: Any) -> Select[Any]:
    """How many rows are due, leased and parked, and since when the oldest is due: by an index each."""
    at: Any = bindparam("at", type_=model.due_at.type)

    def number(*conditions: Any) -> Any:
        return select(func.count()).select_from(model).where(*conditions).scalar_subquery()

    oldest = select(func.min(model.due_at)).where(*is_due(model, at)).scalar_subquery()
    leased = number(model.due_at.is_not(None), model.lease_until > at)
    return select(number(*is_due(model, at)), leased, number(model.parked_at.is_not(None)), oldest)
