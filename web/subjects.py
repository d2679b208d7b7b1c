"""What calls and countermeasures were for: which of those incidents the reader may see, and their keys."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.types import Ref
from incidents.models import Incident
from incidents.visibility import as_id, visible_refs


class Concerning(Protocol):
    """Anything that was done for a subject."""

    @property
    def subject(self) -> Ref: ...


Row = TypeVar("Row", bound=Concerning)


def seen(session: Session, actor: Actor, rows: Sequence[Row]) -> list[Row]:
    """Those of the rows whose subject the reader may see."""
    visible = visible_refs(session, actor, (row.subject for row in rows))
    return [row for row in rows if row.subject in visible]


def keys_of(session: Session, subjects: Sequence[Ref]) -> dict[Ref, str]:
    """The keys of the subjects that are incidents."""
    ids = {of: ref for ref in subjects if ref.kind == "incident" and (of := as_id(ref.id))}
    if not ids:
        return {}
    query = select(Incident.id, Incident.key).where(Incident.id.in_(ids))
    return {ids[row.id]: row.key for row in session.execute(query)}
