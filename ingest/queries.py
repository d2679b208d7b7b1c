"""What people ask of the front door: deliveries, the quarantine, and how each source is doing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, defer

from core.db import database_now
from core.errors import NotFound
from ingest.models import ASIDE, QUARANTINED, Delivery, Source, SourceSecret, Subscription

RATE_OVER = timedelta(hours=1)


@dataclass(frozen=True)
class SourceHealth:
    """One source as its page shows it; `quarantined` counts what waits, `last_hour` what came in the last hour."""

    source: Source
    live_secrets: int
    last_hour: int
    quarantined: int
    waiting: int


def deliveries(
    session: Session,
    *,
    source_id: UUID | None = None,
    state: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[tuple[Delivery, Source]]:
    """Deliveries newest first, without their bodies; the next page is `before=` the last one's id."""
    query = (
        select(Delivery, Source)
        .join(Source, Source.id == Delivery.source_id)
        .options(defer(Delivery.body, raiseload=True))
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    if source_id is not None:
        query = query.where(Delivery.source_id == source_id)
    if state == QUARANTINED:
        query = query.where(ASIDE)
    elif state is not None:
        query = query.where(Delivery.state == state)
    if before is not None:
        query = query.where(Delivery.id < before)
    return [(delivery, source) for delivery, source in session.execute(query)]


def delivery(session: Session, delivery_id: UUID) -> tuple[Delivery, Source]:
    """One delivery with its body. Raises NotFound."""
    row = session.execute(
        select(Delivery, Source)
        .join(Source, Source.id == Delivery.source_id)
        .where(Delivery.id == delivery_id)
    ).first()
    if row is None:
        raise NotFound("There is no such delivery; bodies are kept for a limited time.")
    return row[0], row[1]


def quarantined(session: Session, *, most: int | None = None) -> int:
    """How many deliveries are set aside now; counted to `most`, where that is given."""
    aside = select(Delivery.id).where(ASIDE)
    if most is not None:
        aside = aside.order_by(Delivery.id).limit(most)
    return session.scalar(select(func.count()).select_from(aside.subquery())) or 0


def quarantined_since(session: Session) -> datetime | None:
    """Since when the oldest of them has been waiting; None when there is none."""
    return session.scalar(select(func.min(Delivery.received_at)).where(ASIDE))


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
    query = select(Delivery.source_id, func.count()).where(condition).group_by(Delivery.source_id)
    return {row[0]: row[1] for row in session.execute(query)}
