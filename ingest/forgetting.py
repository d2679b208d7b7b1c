"""What of the front door may be forgotten: bodies that were read long ago, and keys that can no longer come again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, tuple_
from sqlalchemy.orm import Session

from core import retention
from core.db import UnitOfWork
from core.retention import BITE, NOBODY, Looked, Old
from incidents.models import Alert, AlertDelivery
from ingest.models import IGNORED, PROCESSED, QUARANTINED, REFUSED, Delivery, DeliveryKey

_GRACE = timedelta(minutes=1)


def _may_go(_before: datetime) -> Sequence[ColumnElement[bool]]:
    """Part of no incident and not waiting: read, refused, or so long in quarantine that nobody will read it. What is parked stays."""
    evidence = (
        select(AlertDelivery.alert_id)
        .join(Alert, Alert.id == AlertDelivery.alert_id)
        .where(AlertDelivery.delivery_id == Delivery.id, Alert.incident_id.is_not(None))
    )
    return [
        Delivery.due_at.is_(None),
        Delivery.parked_at.is_(None),
        Delivery.state.in_([PROCESSED, IGNORED, REFUSED, QUARANTINED]),
        ~exists(evidence.correlate(Delivery)),
    ]


def _old_keys(session: Session, before: datetime, _after: UUID) -> Looked:
    query = select(DeliveryKey.source_id, DeliveryKey.key).where(DeliveryKey.expires_at < before)
    found = [tuple(row) for row in session.execute(query.order_by(DeliveryKey.expires_at).limit(BITE))]
    return found, NOBODY if len(
        found
    ) == BITE else None  # what was found is gone, so the next look begins anew


def _forget_keys(uow: UnitOfWork, before: datetime, pairs: Sequence[Any]) -> int:
    mine = tuple_(DeliveryKey.source_id, DeliveryKey.key).in_(pairs)
    return retention.deleted(uow, delete(DeliveryKey).where(mine, DeliveryKey.expires_at < before))


DELIVERIES = retention.declare(
    Old(
        "deliveries", lambda given: given.keep_deliveries, retention.by_age(Delivery, _may_go),
        retention.rows(Delivery, _may_go),
    )
)  # fmt: skip
KEYS = retention.declare(Old("delivery keys", lambda _: _GRACE, _old_keys, _forget_keys))
"""They expire by themselves; the grace is for clocks that differ a little."""
