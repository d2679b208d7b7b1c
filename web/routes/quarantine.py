"""Quarantine: deliveries that could not be read, why, and reading them again."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid
from ingest import process, queries
from ingest.models import QUARANTINED, Delivery, Source
from web import keyset
from web.languages import gettext as _
from web.raw_bodies import SHOWN_BYTES, noted, readable
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)



@dataclass(kw_only=True)
class QuarantinePage(Page, template="quarantine.html", rail="alerts"):
    """What is set aside."""

    rows: list[tuple[Delivery, Source]]
    total: int
    most: int
    since: datetime | None
    may_replay: bool
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class DeliveryPage(Page, template="delivery.html", rail="alerts"):
    """One delivery as it was sent."""

    delivery: Delivery
    source: Source
    body: str
    cut: bool
    may_replay: bool


@router.get("/quarantine")
def everything(request: Request, actor: Actor = allowed("delivery.read")) -> Response:
    """Deliveries set aside, newest first."""
    given = request.query_params
    after = given.get("after")
    try:
        before = UUID(after) if after else None
    except ValueError as error:
        raise Invalid(_("This page's address is not complete; go to the first page.")) from error
    with reading() as session:
        found = queries.deliveries(session, actor, state=QUARANTINED, before=before, limit=keyset.SIZE)
        page = QuarantinePage(
            rows=found.items,
            total=queries.quarantined(session, actor, most=queries.MOST_COUNTED),
            most=queries.MOST_COUNTED,
            since=queries.quarantined_since(session, actor),
            may_replay=actor.may("delivery.replay"),
            next=keyset.address("/quarantine", given, after=str(found.next)) if found.next else None,
            first="/quarantine" if after else None,
        )
    return show(request, page)


@router.get("/quarantine/{delivery_id}")
def one(request: Request, delivery_id: UUID, actor: Actor = allowed("delivery.read")) -> Response:
    """One delivery."""
    with reading() as session:
        delivery, source = queries.delivery(session, actor, delivery_id)
    noted(actor, delivery.id, source.name)
    page = DeliveryPage(
        delivery=delivery,
        source=source,
        body=readable(delivery.body).strip(),
        cut=delivery.size > SHOWN_BYTES,
        may_replay=actor.may("delivery.replay"),
    )
    return show(request, page)


@router.post("/quarantine/replay")
def replay(form: Form, actor: Actor = allowed("delivery.replay")) -> Response:
    """Read the ticked deliveries again."""
    try:
        ids = [UUID(value) for value in form.many("delivery")]
    except ValueError as error:
        raise Invalid(_("Something that is no delivery was ticked; reload the page.")) from error
    if not ids:
        raise Invalid(_("Nothing was ticked."))
    with unit_of_work() as uow:
        number = process.replay(uow, actor, ids[:500])
    back = f"/quarantine/{ids[0]}" if len(ids) == 1 else "/quarantine"
    return then(back, _("%(n)s will be read again now.") % {"n": number})
