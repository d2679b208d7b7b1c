"""How often something may be tried from one place and from all together, counted in the database for every process."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Index, LargeBinary, String, Uuid, func, select
from sqlalchemy.orm import Mapped, mapped_column

from core import retention
from core.db import Base, UnitOfWork, unit_of_work
from core.errors import TooMany
from core.ids import new_id
from core.reach import neighbours
from core.retention import Old
from core.secrets import proof
from core.types import Instant


class Tried(Base):
    """One try; whose it was is kept as a keyed digest only, and for a day."""

    __tablename__ = "tries"
    __table_args__ = (Index("ix_tries_who", "kind", "who", "at"), Index("ix_tries_kind", "kind", "at"))

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(Instant)
    kind: Mapped[str] = mapped_column(String(32))
    who: Mapped[bytes] = mapped_column(LargeBinary)


def take(kind: str, who: str, *, most: int, overall: int, within: timedelta = timedelta(hours=1)) -> None:
    """Count a try in a transaction of its own, so that it counts whatever comes of it. Raises TooMany as count() does."""
    with unit_of_work() as uow:
        count(uow, kind, who, most=most, overall=overall, within=within)


def count(
    uow: UnitOfWork,
    kind: str,
    who: str,
    *,
    most: int,
    overall: int,
    within: timedelta = timedelta(hours=1),
) -> None:
    """Count a try; raises TooMany when `who` has had `most`, or everybody together `overall`, within that time.

    One machine with IPv6 has a whole /64 to try from, so an address stands for its neighbours. Two tries at the same moment may both be let in: it is a brake, not a lock.
    """
    mine = proof("tries", f"{kind}\0{neighbours(who)}".encode())[:16]
    since = uow.now - within
    recent = select(func.count()).select_from(Tried).where(Tried.kind == kind, Tried.at > since)
    again = int(within.total_seconds()) // 4
    if (uow.scalar(recent.where(Tried.who == mine)) or 0) >= most:
        raise TooMany("Too many tries from your address; wait a while.", again)
    if (uow.scalar(recent) or 0) >= overall:
        raise TooMany("Too much is coming in just now; wait a while, or call.", again)
    uow.add(Tried(at=uow.now, kind=kind, who=mine))


def _may_go(before: datetime) -> Sequence[ColumnElement[bool]]:
    return [Tried.at < before]


TRIES = retention.declare(
    Old(
        "tries",
        lambda _: timedelta(days=1),
        retention.by_age(Tried, _may_go),
        retention.rows(Tried, _may_go),
    )
)
"""Longer than any of these limits looks back."""
