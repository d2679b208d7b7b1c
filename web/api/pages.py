"""Pages (calls for a person) over the API: list, ledger, acknowledge, escalate."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import NotFound
from core.types import Ref
from incidents import queries as record
from incidents.paging import cursor, read_cursor
from incidents.visibility import visible_refs
from notify import delivery, ledger, queries
from notify.models import Page, PageState
from web import woken
from web.calling import may
from web.seen_calls import seen_calls
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/pages", tags=["pages"])


class PageOut(Shape):
    """A call for a person, from its start to its acknowledgement or end."""

    id: UUID
    created_at: datetime
    title: str
    message: str
    severity: str
    urgency: str
    policy: str
    state: str
    path: str
    subject_kind: str
    subject_id: str
    received_at: datetime | None
    first_sent_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_name: str | None
    acknowledged_via: str | None
    lapsed_at: datetime | None
    closed_at: datetime | None


class LedgerOut(Shape):
    """One moment of a page; `ms` counts from the first word of it."""

    at: datetime
    ms: int
    what: str
    who: str
    channel: str
    detail: str


class PageWithLedger(PageOut):
    """A page with everything that was tried for it; `rings_again_at`: unless somebody does something about it."""

    ledger: list[LedgerOut]
    rings_again_at: datetime | None


UNNAMED = {
    "title": "A page about something that only others may read",
    "message": "",
    "path": "",
    "subject_id": "",
}
"""What is told of a page that rang somebody about what they may not see: enough to say that they have it."""


@router.get("")
def list_pages(
    state: Annotated[list[PageState] | None, Query()] = None,
    incident: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[PageOut]:
    """Pages (of one incident: its key or id), newest first; those about what the actor may not see are left out,
    but for those that rang the actor: these are told without their words.
    """
    before = read_cursor(after) if after else None
    with reading() as session:
        subjects = [record.incident(session, actor, incident).ref] if incident else None
        found = queries.pages(session, states=state, subjects=subjects, before=before, limit=limit)
        items = _told(session, actor, found)
    more = cursor(found[-1].created_at, found[-1].id) if len(found) == limit else None
    return Listing(items=items, next=more)


@router.get("/{page_id}")
def read_page(page_id: UUID, actor: Actor = may("incident.read")) -> PageWithLedger:
    """One page, with what was tried and how long each took."""
    with reading() as session:
        page = queries.page_by_id(session, page_id)
        told = _one(session, actor, page)
        again = woken.rings_again_at(session, page)
        lines = rows(ledger.of_page(session, page), LedgerOut)
    return PageWithLedger(**told.model_dump(), ledger=lines, rings_again_at=again)


@router.post("/{page_id}/acknowledge")
def acknowledge_page(page_id: UUID, actor: Actor = may("page.acknowledge")) -> PageOut:
    """Say that somebody is on it; doing it again changes nothing."""
    with unit_of_work() as uow:
        _one(uow, actor, queries.page_by_id(uow, page_id))
        return _one(uow, actor, delivery.acknowledge(uow, actor, page_id, "api"))


@router.post("/{page_id}/escalate")
def escalate_page(page_id: UUID, actor: Actor = may("page.acknowledge")) -> PageOut:
    """Go on to the next step of the policy now."""
    with unit_of_work() as uow:
        _one(uow, actor, queries.page_by_id(uow, page_id))
        return _one(uow, actor, delivery.escalate(uow, actor, page_id))


def _told(session: Session, actor: Actor, pages: Sequence[Page]) -> list[PageOut]:
    """The pages the actor may see, in order; what rang them about something hidden is told without its words."""
    kept, mine = seen_calls(session, actor, pages)
    seen = visible_refs(session, actor, {_subject(page) for page in kept if page.id in mine})
    return [
        PageOut.model_validate(page).model_copy(
            update=UNNAMED if page.id in mine and _subject(page) not in seen else {}
        )
        for page in kept
    ]


def _one(session: Session, actor: Actor, page: Page) -> PageOut:
    told = _told(session, actor, [page])
    if not told:
        raise NotFound("There is no such page, or you may not see what it is about.")
    return told[0]


def _subject(page: Page) -> Ref:
    return Ref(page.subject_kind, page.subject_id)
