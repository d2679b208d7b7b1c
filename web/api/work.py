"""Durable work over the API: how much of each kind waits, what is stuck and why, and trying it again."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from core import backlog, parked
from core.actors import Actor
from core.db import reading, unit_of_work
from incidents import paging
from web import stuck
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/work", tags=["work"])


class WorkOut(Shape):
    """One kind of work: how many of its rows are due, in a worker's hands and stuck; since when the oldest is due."""

    name: str
    due: int
    leased: int
    parked: int
    oldest_due: datetime | None


class ParkedOut(Shape):
    """One row that was tried as often as its kind allows and waits for a person."""

    kind: str
    id: UUID
    parked_at: datetime
    error: str


class Which(Shape):
    """One stuck row."""

    kind: str
    id: UUID


class Again(Shape):
    """Stuck rows to try again."""

    rows: Annotated[list[Which], Field(min_length=1, max_length=200)]


class Tried(Shape):
    """How many are tried again."""

    replayed: int


@router.get("")
def list_work(_: Actor = may("incident.read")) -> Listing[WorkOut]:
    """Every kind of work."""
    with reading() as session:
        return Listing(items=rows(backlog.counts(session), WorkOut), next=None)


@router.get("/parked")
def list_parked(
    kind: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[ParkedOut]:
    """What is stuck, newest first; what is about something that the actor may not see is left out."""
    before = paging.read_cursor(after) if after else None
    with reading() as session:
        found = stuck.stuck(session, actor, limit=limit, before=before, kind=kind)
    following = paging.cursor(*found.next) if found.next else None
    return Listing(items=rows(found.rows, ParkedOut), next=following)


@router.post("/replay")
def replay_parked(which: Again, actor: Actor = may("work.manage")) -> Tried:
    """Try stuck rows again from their first attempt: all of them, or none."""
    with unit_of_work() as uow:
        stuck.require_seen(uow, actor, [(row.kind, row.id) for row in which.rows])
        for row in which.rows:
            parked.replay(uow, actor, row.kind, row.id)
    return Tried(replayed=len(which.rows))
