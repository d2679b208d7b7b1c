"""Takes values out of the erasable part of journal entries; what is sealed stays, and every proof still verifies."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select

from core import bulk
from core.db import UnitOfWork
from core.journal import JournalData, JournalEntry, JournalRef
from core.redaction import Redactor
from core.types import Ref

BITE = 500


@dataclass(frozen=True)
class Erased:
    """How many entries lost their erasable part, and how many name the value where nothing can be erased."""

    entries: int
    sealed: int


def erase(uow: UnitOfWork, refs: Iterable[Ref], values: Redactor) -> Erased:
    """Erase the data of every entry about these subjects that holds one of the values, whole: a part of it has no proof."""
    found: set[UUID] = set()
    sealed: set[UUID] = set()
    by_kind: dict[str, list[str]] = {}
    for ref in refs:
        by_kind.setdefault(ref.kind, []).append(str(ref.id))
    for kind, ids in by_kind.items():
        for start in range(0, len(ids), BITE):
            mine = bulk.among(uow, JournalRef.ref_id, ids[start : start + BITE])
            about = select(JournalRef.entry).where(JournalRef.kind == kind, mine)
            erasable = select(JournalData.entry, JournalData.data).where(JournalData.entry.in_(about))
            found |= {entry for entry, data in uow.execute(erasable) if values.raw(data) != data}
            kept = select(JournalEntry.id, JournalEntry.body).where(JournalEntry.id.in_(about))
            sealed |= {entry for entry, body in uow.execute(kept) if values.raw(body) != body}
    going = sorted(found)
    for start in range(0, len(going), BITE):
        uow.execute(
            delete(JournalData).where(bulk.among(uow, JournalData.entry, going[start : start + BITE]))
        )
    return Erased(len(found), len(sealed))
