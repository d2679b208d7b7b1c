"""Work that was set aside after its attempts were used up: what it is, why, and trying it again."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import facts, work
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import NotFound
from core.journal import Fact, record
from core.types import Ref


@dataclass(frozen=True)
class Parked:
    """One row that waits for a person: its kind of work, since when, and the last error."""

    kind: str
    id: UUID
    parked_at: datetime
    error: str


def parked(session: Session, limit: int = 100) -> list[Parked]:
    """The rows that were set aside last, of every kind, newest first."""
    found: list[Parked] = []
    for kind in work.kinds().values():
        model = kind.model
        query = select(model.id, model.parked_at, model.error).where(model.parked_at.is_not(None))
        rows = session.execute(query.order_by(model.parked_at.desc()).limit(limit))
        found += [Parked(kind.name, row.id, row.parked_at, row.error or "") for row in rows]
    return sorted(found, key=lambda row: row.parked_at, reverse=True)[:limit]


def replay(uow: UnitOfWork, actor: Actor, kind: str, row: UUID) -> None:
    """Try a parked row again from its first attempt, and record who wanted it. Raises NotFound, Forbidden."""
    permissions.require(actor, permissions.MANAGE_WORK.name)
    if kind not in work.kinds():
        raise NotFound(f"There is no work called {kind}.")
    work.replay(uow, actor, kind, row)
    record(uow, actor, Fact(facts.WORK_REPLAYED, (Ref("work", str(row)),), {"kind": kind}))
