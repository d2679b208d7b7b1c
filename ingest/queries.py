"""What people ask of the front door: deliveries, the quarantine, and how each source is doing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, defer

from core import lookback
from core.actors import Actor
from core.db import database_now
from core.errors import NotFound
from incidents.models import Alert, AlertDelivery, Incident
from ingest.models import ASIDE, QUARANTINED, Delivery, Source, SourceSecret, Subscription
from ingest.visibility import deliveries_visible_to

RATE_OVER = timedelta(hours=1)
MOST_COUNTED = 10_000
"""Counts go so far: they are looked at many times a minute, whatever has piled up."""


@dataclass(frozen=True)
class SourceHealth:
    """One source as its page shows it; `quarantined` counts what is set aside, `last_hour` what came in the last hour.

    Each is counted until all sources together have more than MOST_COUNTED.
    """

    source: Source
    live_secrets: int
    last_hour: int
    quarantined: int
    waiting: int


@dataclass(frozen=True)
class Deliveries:
    """A page of deliveries, each with its source; `next` is the id before which the following page begins, if there is one."""

    items: list[tuple[Delivery, Source]]
    next: UUID | None


def deliveries(
    session: Session,
    actor: Actor,
    *,
    source_id: UUID | None = None,
    state: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Deliveries:
    """Deliveries that the actor may see, newest first, without their bodies; the next page is `before=` what this one says.

    Rows are looked through lookback.AT_ONCE at a time: a page of a rare state may be empty and still have a next one.
    """
    led: list[ColumnElement[bool]] = [] if before is None else [Delivery.id < before]
    rest: list[ColumnElement[bool]] = []
    if source_id is not None:
        led.append(Delivery.source_id == source_id)
    if state is not None:
        known = ASIDE if state == QUARANTINED else Delivery.state == state
        (led if state == QUARANTINED and source_id is None else rest).append(known)
    floor = None
    if rest:
        floor = lookback.floor(session, select(Delivery.id).where(*led).order_by(Delivery.id.desc()))
        rest += [Delivery.id >= floor.id] if floor is not None else []
    query = (
        select(Delivery)
        .options(defer(Delivery.body, raiseload=True))
        .where(*led, *rest, deliveries_visible_to(actor))
        .order_by(Delivery.id.desc())
        .limit(limit + 1)
    )
    rows = session.scalars(query).all()
    ids = {row.source_id for row in rows}
    named = {source.id: source for source in session.scalars(select(Source).where(Source.id.in_(ids)))}
    shown = rows[:limit]
    more = shown[-1].id if len(rows) > limit else floor.id if floor is not None else None
    return Deliveries([(row, named[row.source_id]) for row in shown if row.source_id in named], more)


def delivery(session: Session, actor: Actor, delivery_id: UUID) -> tuple[Delivery, Source]:
    """One delivery with its body. Raises NotFound."""
    row = session.execute(
        select(Delivery, Source)
        .join(Source, Source.id == Delivery.source_id)
        .where(Delivery.id == delivery_id, deliveries_visible_to(actor))
    ).first()
    if row is None:
        raise NotFound(
            "There is no such delivery, or you may not see it; bodies are kept for a limited time."
        )
    return row[0], row[1]


def within(session: Session, delivery_id: UUID) -> UUID | None:
    """The incident whose readers may know who reads this delivery: of several that it led to, a restricted one."""
    brought = (
        select(Incident.id)
        .join(Alert, Alert.incident_id == Incident.id)
        .join(AlertDelivery, AlertDelivery.alert_id == Alert.id)
        .where(AlertDelivery.delivery_id == delivery_id)
        .order_by(Incident.restricted_to.is_(None), Incident.id)
    )
    return session.scalar(brought.limit(1))


def quarantined(session: Session, actor: Actor, *, most: int | None = None) -> int:
    """How many deliveries that the actor may see are set aside now; counted to `most`, where that is given."""
    aside = set_aside(actor) if most is None else set_aside(actor).order_by(Delivery.id).limit(most)
    return session.scalar(select(func.count()).select_from(aside.subquery())) or 0


def set_aside(actor: Actor) -> Select[UUID]:
    """The deliveries that are set aside now, of those that the actor may see."""
    return select(Delivery.id).where(ASIDE, deliveries_visible_to(actor))


def quarantined_since(session: Session, actor: Actor) -> datetime | None:
    """Since when the oldest of them has been waiting; None when there is none."""
    aside = select(Delivery.received_at).where(ASIDE, deliveries_visible_to(actor))
    return session.scalar(aside.order_by(Delivery.id).limit(1))


def aside_by_source(session: Session, actor: Actor) -> dict[UUID, int]:
    """How many of a source's deliveries are set aside; of all together at most MOST_COUNTED + 1 are counted."""
    return _counts(session, and_(ASIDE, deliveries_visible_to(actor)))


def every_source(session: Session) -> Sequence[Source]:
    """Every source by name."""
    return session.scalars(select(Source).order_by(Source.name)).all()


def sources(session: Session) -> list[SourceHealth]:
    """Every source by name, with how it is doing."""
    since = database_now(session) - RATE_OVER
    floor = UUID(
        int=(int(since.timestamp() * 1000) & 0xFFFFFFFFFFFF) << 80
    )  # ids are in order of time: no extra index
    rows = every_source(session)
    recent = _counts(session, Delivery.id >= floor)
    aside = _counts(session, ASIDE)
    waiting = _counts(session, Delivery.due_at.is_not(None))
    secrets = session.execute(
        select(SourceSecret.source_id, func.count())
        .where(SourceSecret.retired_at.is_(None))
        .group_by(SourceSecret.source_id)
    )
    live = {row[0]: row[1] for row in secrets}
    return [
        SourceHealth(
            row, live.get(row.id, 0), recent.get(row.id, 0), aside.get(row.id, 0), waiting.get(row.id, 0)
        )
        for row in rows
    ]


def subscriptions(session: Session, source_id: UUID) -> Sequence[Subscription]:
    """The topics that have asked to be confirmed for a source, newest first."""
    query = select(Subscription).where(Subscription.source_id == source_id).order_by(Subscription.id.desc())
    return session.scalars(query).all()


def _counts(session: Session, condition: ColumnElement[bool]) -> dict[UUID, int]:
    some = select(Delivery.source_id).where(condition).limit(MOST_COUNTED + 1).subquery()
    query = select(some.c.source_id, func.count()).group_by(some.c.source_id)
    return {row[0]: row[1] for row in session.execute(query)}
