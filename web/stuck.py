"""Stuck work as a person may see it: what is about something that is restricted to others is counted, not told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlalchemy.orm import Session

from core import parked
from core.actors import Actor
from core.errors import NotFound
from core.parked import Parked
from incidents.visibility import visible_refs


@dataclass(frozen=True)
class Stuck:
    """A page of stuck rows, newest first: those that may be told, how many may not, and where the next page begins."""

    rows: list[Parked]
    hidden: int
    next: tuple[datetime, UUID] | None


def stuck(
    session: Session,
    actor: Actor,
    *,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
    kind: str | None = None,
) -> Stuck:
    """The next `limit` rows that were set aside, as far as the actor may see what they are about."""
    found = parked.parked(session, limit + 1, before, kind)
    page = found[:limit]
    seen = _seen(session, actor, [(row.kind, row.id) for row in page])
    shown = [row for row in page if (row.kind, row.id) in seen]
    last = page[-1] if len(found) > limit else None
    return Stuck(shown, len(page) - len(shown), (last.parked_at, last.id) if last else None)


def require_seen(session: Session, actor: Actor, rows: Sequence[tuple[str, UUID]]) -> None:
    """Raises NotFound when one of these rows (kind, id) is about something that the actor may not see."""
    for kind, row in set(rows) - _seen(session, actor, rows):
        raise NotFound(
            f"No parked {kind[:60]} with this id, or you may not see what it is about.", row=str(row)
        )


def _seen(session: Session, actor: Actor, rows: Sequence[tuple[str, UUID]]) -> set[tuple[str, UUID]]:
    about = {}
    for kind, of_kind in groupby(sorted(set(rows)), key=lambda one: one[0]):
        for row, refs in parked.about(session, kind, [row for _, row in of_kind]).items():
            about[kind, row] = refs
    visible = visible_refs(session, actor, {ref for refs in about.values() for ref in refs})
    return {row for row in rows if visible.issuperset(about.get(row, ()))}
