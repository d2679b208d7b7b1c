"""Deliveries over the API: what arrived, what became of it, and reading it again."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid
from ingest import process, queries
from ingest.models import Delivery, Source
from web.calling import may
from web.raw_bodies import noted
from web.shapes import Listing, Shape

router = APIRouter(prefix="/api/v1/deliveries", tags=["deliveries"])


class DeliveryOut(Shape):
    """One body that a source sent; its receipt is its id."""

    id: UUID
    source: str
    received_at: datetime
    state: str
    reason: str | None
    size: int
    content_type: str


class Replay(Shape):
    """Deliveries to read again, as after a mapping was fixed."""

    ids: list[UUID]


class Replayed(Shape):
    """How many will be read again."""

    replayed: int


@router.get("")
def list_deliveries(
    state: Annotated[str | None, Query(pattern="^(received|processed|ignored|quarantined|refused)$")] = None,
    source: UUID | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("delivery.read"),
) -> Listing[DeliveryOut]:
    """Deliveries, newest first."""
    with reading() as session:
        found = queries.deliveries(session, actor, source_id=source, state=state, before=after, limit=limit)
    return Listing(items=[_out(*pair) for pair in found.items], next=str(found.next) if found.next else None)


@router.get("/{delivery_id}")
def read_delivery(delivery_id: UUID, actor: Actor = may("delivery.read")) -> DeliveryOut:
    """One delivery, by the receipt that its sender got."""
    with reading() as session:
        found = _out(*queries.delivery(session, actor, delivery_id))
    noted(actor, delivery_id, found.source)
    return found


@router.post("/replay")
def replay_deliveries(which: Replay, actor: Actor = may("delivery.replay")) -> Replayed:
    """Have deliveries read again."""
    if not which.ids:
        raise Invalid("Name at least one delivery.")
    with unit_of_work() as uow:
        return Replayed(replayed=process.replay(uow, actor, which.ids))


def _out(delivery: Delivery, source: Source) -> DeliveryOut:
    return DeliveryOut(
        id=delivery.id, source=source.name, received_at=delivery.received_at, state=delivery.state,
        reason=delivery.reason, size=delivery.size, content_type=delivery.content_type,
    )  # fmt: skip
