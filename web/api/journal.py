"""The journal over the API: who did what, newest first."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from core import journal
from core.actors import Actor
from core.auth import users
from core.db import reading
from core.errors import Invalid
from core.types import Ref
from incidents.queries import readable
from reports.telling import told
from web.calling import may
from web.shapes import Listing, Shape

router = APIRouter(prefix="/api/v1/journal", tags=["journal"])


class EntryOut(Shape):
    """One entry; `data` is null when there is none or it was redacted."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    verb: str
    text: str
    refs: list[dict[str, str]]
    body: dict[str, Any]
    data: dict[str, Any] | None
    redacted: bool


@router.get("")
def list_entries(
    verb: Annotated[list[str] | None, Query()] = None,
    ref: Annotated[str | None, Query(description="A subject as kind:id, such as incident:01a2…")] = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("journal.read"),
) -> Listing[EntryOut]:
    """Entries, newest first; those about what the actor may not see are left out."""
    subject = None
    if ref is not None:
        kind, colon, ref_id = ref.partition(":")
        if not colon:
            raise Invalid("Write `ref` as kind:id, such as incident:01a2….")
        subject = Ref(kind, ref_id)
    with reading() as session:
        found = journal.page(session, ref=subject, verbs=verb, before=after, limit=limit)
        seen = readable(session, actor, found.items)
        names = users.names(session)
    items = [
        EntryOut(
            id=e.id, at=e.at, actor_kind=e.actor_kind, actor_id=e.actor_id, actor_name=e.actor_name, verb=e.verb,
            text=told(e, names), refs=[{"kind": r.kind, "id": r.id} for r in e.refs], body=e.body, data=e.data,
            redacted=e.redacted,
        )
        for e in seen
    ]  # fmt: skip
    return Listing(items=items, next=str(found.next) if found.next else None)
