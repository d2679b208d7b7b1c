"""Work that was set aside after its attempts were used up: what it is, why, and trying it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal, select, tuple_
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


def parked(
    session: Session, limit: int = 100, before: tuple[datetime, UUID] | None = None, kind: str | None = None
) -> list[Parked]:
    """The rows that were set aside last, newest first: of every kind or of one, and older than `before` (when, and its id)."""
    found: list[Parked] = []
    for one in work.kinds().values():
        if kind not in (None, one.name):
            continue
        at, row_id = one.model.parked_at, one.model.id
        query = select(row_id, at, one.model.error).where(at.is_not(None))
        if before is not None:
            query = query.where(
                tuple_(at, row_id) < tuple_(literal(before[0], at.type), literal(before[1], row_id.type))
            )
        rows = session.execute(query.order_by(at.desc(), row_id.desc()).limit(limit))
        found += [Parked(one.name, row.id, row.parked_at, row.error or "") for row in rows]
    return sorted(found, key=lambda row: (row.parked_at, row.id), reverse=True)[:limit]


def about(session: Session, kind: str, rows: Sequence[UUID]) -> dict[UUID, set[Ref]]:
    """What each of these rows of a kind is about, by its id; a row that is about nothing is not in it."""
    found: dict[UUID, set[Ref]] = {}
    known = work.kinds().get(kind)
    for query in known.about if known else ():
        columns = list(query.selected_columns)
        for row, of, ref_id in session.execute(query.where(columns[0].in_(rows))):
            found.setdefault(row, set()).add(Ref(of, str(ref_id)))
    return found


def replay(uow: UnitOfWork, actor: Actor, kind: str, row: UUID) -> None:
    """Try a parked row again from its first attempt, and record who wanted it. Raises NotFound, Forbidden."""
    permissions.require(actor, permissions.MANAGE_WORK.name)
    if kind not in work.kinds():
        raise NotFound(f"There is no work called {kind}.")
    work.replay(uow, actor, kind, row)
    record(uow, actor, Fact(facts.WORK_REPLAYED, (Ref("work", str(row)),), {"kind": kind}))
