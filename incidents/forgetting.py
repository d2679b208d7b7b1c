"""What of the record may be forgotten: ended alerts that belong to no incident, with what was noted of them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select

from core import retention
from core.bulk import among
from core.db import UnitOfWork
from core.retention import Old
from incidents.models import Alert, AlertDelivery, SearchWord, Sighting


def _may_go(before: datetime) -> Sequence[ColumnElement[bool]]:
    return [Alert.ended_at < before, Alert.incident_id.is_(None), Alert.recurrence_of.is_(None)]


def _forget(uow: UnitOfWork, before: datetime, ids: Sequence[UUID]) -> int:
    query = select(Alert.id).where(among(uow, Alert.id, ids), *_may_go(before))
    going = uow.scalars(query.with_for_update(skip_locked=True)).all()
    for statement in (
        delete(Sighting).where(among(uow, Sighting.alert_id, going)),
        delete(AlertDelivery).where(among(uow, AlertDelivery.alert_id, going)),
        delete(SearchWord).where(SearchWord.kind == "alert", among(uow, SearchWord.thing_id, going)),
    ):
        retention.deleted(uow, statement)
    return retention.deleted(uow, delete(Alert).where(among(uow, Alert.id, going)))


ALERTS = retention.declare(
    Old("alerts", lambda given: given.keep_alerts, retention.by_age(Alert, _may_go), _forget)
)
"""The observables they named stay: other alerts and incidents may name them, too."""
