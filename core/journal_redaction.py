"""Takes values out of the erasable part of journal entries; what is sealed stays, and every proof still verifies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core import bulk
from core.db import UnitOfWork
from core.journal import JournalData, JournalEntry, JournalRef
from core.redaction import Redactor
from core.types import Ref

BITE = 500


@dataclass
class Erased:
    """Which entries lost their erasable part, and which name the value where nothing can be erased."""

    entries: set[UUID] = field(default_factory=set)
    sealed: set[UUID] = field(default_factory=set)


def about(session: Session, ref: Ref, after: UUID | None, limit: int) -> list[UUID]:
    """The next entries about a subject: those above `after`, at most `limit`."""
    query = select(JournalRef.entry).where(JournalRef.kind == ref.kind, JournalRef.ref_id == str(ref.id))
    if after is not None:
        query = query.where(JournalRef.entry > after)
    return list(session.scalars(query.order_by(JournalRef.entry).limit(limit)))


def erase_about(uow: UnitOfWork, kind: str, ids: Iterable[str], values: Redactor) -> Erased:
    """Erase the data of every entry about some subjects of one kind that holds one of the values."""
    mine = bulk.among(uow, JournalRef.ref_id, ids)
    entries = uow.scalars(select(JournalRef.entry).where(JournalRef.kind == kind, mine).distinct()).all()
    found = Erased()
    for start in range(0, len(entries), BITE):
        some = erase(uow, entries[start : start + BITE], values)
        found.entries |= some.entries
        found.sealed |= some.sealed
    return found


def erase(uow: UnitOfWork, entries: Sequence[UUID], values: Redactor) -> Erased:
    """Erase the data of these entries (a few hundred) that holds one of the values, whole: a part of it has no proof."""
    erasable = select(JournalData.entry, JournalData.data).where(bulk.among(uow, JournalData.entry, entries))
    found = {entry for entry, data in uow.execute(erasable) if values.raw(data) != data}
    kept = select(JournalEntry.id, JournalEntry.body).where(bulk.among(uow, JournalEntry.id, entries))
    sealed = {entry for entry, body in uow.execute(kept) if values.raw(body) != body}
    if found:
        uow.execute(delete(JournalData).where(bulk.among(uow, JournalData.entry, sorted(found))))
    return Erased(found, sealed)
