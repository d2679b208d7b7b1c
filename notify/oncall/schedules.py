"""Reads schedules from their rows into the values the resolver works on."""

from collections.abc import Iterable
from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from notify.models import OverrideRow, Rotation, ScheduleRow
from notify.oncall.resolver import EVERY_DAY, Kind, Layer, Override, Schedule, Window


def load(session: Session, ids: Iterable[UUID] | None, *, since: datetime) -> dict[UUID, Schedule]:
    """Schedules by id (all of them with None), with the overrides that end after `since`."""
    query = select(ScheduleRow).order_by(ScheduleRow.name)
    if ids is not None:
        query = query.where(ScheduleRow.id.in_(list(ids)))
    rows = list(session.scalars(query))
    if not rows:
        return {}
    found = [row.id for row in rows]
    layers: dict[UUID, list[Layer]] = {}
    for rotation in session.scalars(
        select(Rotation).where(Rotation.schedule_id.in_(found)).order_by(Rotation.position, Rotation.id)
    ):
        layers.setdefault(rotation.schedule_id, []).append(layer_of(rotation))
    overrides: dict[UUID, list[Override]] = {}
    for row in session.scalars(
        select(OverrideRow)
        .where(OverrideRow.schedule_id.in_(found), OverrideRow.end_at > since)
        .order_by(OverrideRow.created_at, OverrideRow.id)
    ):
        override = Override(row.start_at, row.end_at, row.user_id, row.instead_of, row.reason)
        overrides.setdefault(row.schedule_id, []).append(override)
    return {
        row.id: Schedule(row.name, row.zone, tuple(layers.get(row.id, ())), tuple(overrides.get(row.id, ())))
        for row in rows
    }


def layer_of(row: Rotation) -> Layer:
    """A rotation's row as the resolver's layer."""
    return Layer(
        name=row.name,
        kind=Kind(row.kind),
        every=row.every,
        starts=datetime.fromisoformat(row.starts),
        people=tuple(UUID(person) for person in row.people),
        windows=tuple(window_of(window) for window in row.windows),
        until=datetime.fromisoformat(row.until) if row.until else None,
    )


def window_of(said: dict[str, Any]) -> Window:
    """A window from {weekdays: [0…6], start: "HH:MM", end: "HH:MM"}."""
    return Window(
        frozenset(said.get("weekdays") or EVERY_DAY),
        time.fromisoformat(said.get("start") or "00:00"),
        time.fromisoformat(said.get("end") or "00:00"),
    )
