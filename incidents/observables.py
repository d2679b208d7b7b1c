"""Observables: values once, sightings of them in alerts and incidents, and how often a value was seen elsewhere."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from connectors.entities import entity
from core import bulk, journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import facts
from incidents.alert_models import Observable, Sighting
from incidents.models import Incident
from incidents.permissions import EDIT
from incidents.visibility import visible_to

_observables: Any = Observable.__table__
_sightings: Any = Sighting.__table__


def observable_id(kind: str, value: str) -> UUID:
    """The id of an observable: made from its type and value, so that it need not be looked up."""
    digest = hashlib.sha256(f"{kind}\x00{value}".encode("utf-8", "surrogatepass")).digest()
    return UUID(bytes=digest[:16])


@dataclass(frozen=True)
class Seen:
    """One value to be noted: in an alert, or (alert_id None) in an incident itself."""

    type: str
    value: str
    role: str
    alert_id: UUID | None
    incident_id: UUID | None
    at: datetime
    by: str


def note(uow: UnitOfWork, seen: Iterable[Seen]) -> None:
    """Store values and sightings that are not stored yet, in bulk; a known sighting's time moves on."""
    values: dict[UUID, dict[str, Any]] = {}
    in_alerts: dict[tuple[Any, ...], dict[str, Any]] = {}
    in_incidents: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in seen:
        of = observable_id(one.type, one.value)
        values[of] = {"id": of, "type": one.type, "value": one.value, "created_at": uow.now}
        row = {
            "id": new_id(), "created_at": uow.now, "observable_id": of, "alert_id": one.alert_id,
            "incident_id": one.incident_id, "role": one.role, "first_seen": one.at, "last_seen": one.at,
            "added_by": one.by,
        }  # fmt: skip
        if one.alert_id is not None:
            in_alerts[one.alert_id, of, one.role] = row
        else:
            in_incidents[one.incident_id, of, one.role] = row
    if not values:
        return
    bulk.insert(uow, _observables, [values[key] for key in sorted(values)], "ON CONFLICT DO NOTHING")
    for rows, owner, where in (
        (in_alerts, "alert_id", "alert_id IS NOT NULL"),
        (in_incidents, "incident_id", "alert_id IS NULL"),
    ):
        known = f"ON CONFLICT ({owner}, observable_id, role) WHERE {where} DO UPDATE SET last_seen = excluded.last_seen"
        bulk.insert(uow, _sightings, [rows[key] for key in sorted(rows)], known)


def attach(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, kind: str, value: str, role: str = "artifact"
) -> Observable:
    """Add a value to an incident by hand or by a playbook; `kind` may be "auto". Raises Invalid if it is no such value."""
    permissions.require(actor, EDIT.name)
    incident = _incident(uow, actor, incident_id)
    found = entity(kind, value, role)
    if found is None:
        raise Invalid(f"“{value[:80]}” is not a value of the type {kind}.")
    note(uow, [Seen(found.type, found.value, role, None, incident.id, uow.now, actor.name)])
    of = observable_id(found.type, found.value)
    journal.record(
        uow,
        actor,
        Fact(
            facts.OBSERVABLE_ADDED,
            (incident.ref, Ref("observable", str(of))),
            {"type": found.type, "role": role},
            {"value": found.value},
        ),
    )
    observable = uow.get(Observable, of)
    assert observable is not None
    return observable


def detach(uow: UnitOfWork, actor: Actor, incident_id: UUID, observable: UUID) -> None:
    """Take a value out of an incident; what alerts saw stays in the alerts. Raises NotFound."""
    permissions.require(actor, EDIT.name)
    incident = _incident(uow, actor, incident_id)
    gone = uow.scalars(
        delete(_sightings)
        .where(
            _sightings.c.incident_id == incident.id,
            _sightings.c.observable_id == observable,
            _sightings.c.alert_id.is_(None),
        )
        .returning(_sightings.c.id)
    ).all()
    if not gone:
        raise NotFound("This incident has no such observable.")
    told = uow.get(Observable, observable)
    journal.record(
        uow,
        actor,
        Fact(
            facts.OBSERVABLE_REMOVED,
            (incident.ref, Ref("observable", str(observable))),
            {"type": told.type if told else None},
            {"value": told.value if told else None},
        ),
    )


@dataclass(frozen=True)
class Listed:
    """An observable of an incident, and in how many other incidents it was seen that the reader may see."""

    id: UUID
    type: str
    value: str
    roles: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    others: int


def of_incident(
    session: Session, actor: Actor, incident_id: UUID, *, limit: int | None = None, only: UUID | None = None
) -> list[Listed]:
    """The observables of an incident by type and value, each once; of the first `limit` sightings, when that is given.

    `only`: this observable alone.
    """
    one = [Observable.id == only] if only is not None else []
    rows = session.execute(
        select(Observable.id, Observable.type, Observable.value, Sighting.role, Sighting.first_seen, Sighting.last_seen)
        .join(Sighting, Sighting.observable_id == Observable.id)
        .join(Incident, Incident.id == Sighting.incident_id)
        .where(Sighting.incident_id == incident_id, Sighting.alert_id.is_(None), visible_to(actor), *one)
        .order_by(Observable.type, Observable.value)
        .limit(limit)
    ).all()
    others = seen_elsewhere(session, actor, incident_id, list({row.id for row in rows}))
    listed: dict[UUID, Listed] = {}
    for row in rows:
        known = listed.get(row.id)
        listed[row.id] = Listed(
            row.id, row.type, row.value,
            (*(known.roles if known else ()), row.role),
            min(row.first_seen, known.first_seen) if known else row.first_seen,
            max(row.last_seen, known.last_seen) if known else row.last_seen,
            others.get(row.id, 0),
        )  # fmt: skip
    return list(listed.values())


def number_in(session: Session, actor: Actor, incident_id: UUID) -> int:
    """How many sightings of values an incident holds, if the actor may see it: a storm's may hold thousands."""
    query = (
        select(func.count())
        .select_from(Sighting)
        .join(Incident, Incident.id == Sighting.incident_id)
        .where(Sighting.incident_id == incident_id, Sighting.alert_id.is_(None), visible_to(actor))
    )
    return session.scalar(query) or 0


def seen_elsewhere(
    session: Session, actor: Actor, incident_id: UUID, observables: Sequence[UUID]
) -> dict[UUID, int]:
    """In how many other incidents that the actor may see each of these was seen."""
    if not observables:
        return {}
    query = (
        select(Sighting.observable_id, func.count(func.distinct(Sighting.incident_id)))
        .join(Incident, Incident.id == Sighting.incident_id)
        .where(
            bulk.among(session, Sighting.observable_id, observables),
            Sighting.alert_id.is_(None),
            Sighting.incident_id != incident_id,
            visible_to(actor),
        )
        .group_by(Sighting.observable_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _incident(uow: UnitOfWork, actor: Actor, incident_id: UUID) -> Incident:
    incident = uow.scalar(select(Incident).where(Incident.id == incident_id, visible_to(actor)))
    if incident is None:
        raise NotFound("There is no such incident, or you may not see it.")
    return incident
