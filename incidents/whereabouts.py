"""Where a value was seen: in how many incidents and alerts that the reader may see, since when and until when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.actors import Actor
from incidents.alert_models import Alert, Sighting
from incidents.models import Incident
from incidents.observables import observable_id
from incidents.search import known, meanings
from incidents.visibility import alerts_visible_to, visible_to


@dataclass(frozen=True)
class Whereabouts:
    """One value and how often it was seen; the instants are None when it never was."""

    id: UUID
    type: str
    value: str
    incidents: int
    alerts: int
    first_seen: datetime | None
    last_seen: datetime | None


def whereabouts(session: Session, actor: Actor, text: str) -> list[Whereabouts]:
    """The values that a text may mean: those seen anywhere, or else the one it surely is, with zero counts."""
    meant = meanings(text)
    found = [_of(session, actor, kind, value, of) for kind, value, of in known(session, meant)]
    if seen := [one for one in found if one.incidents or one.alerts]:
        return seen
    return [Whereabouts(observable_id(*meant[0]), *meant[0], 0, 0, None, None)] if meant else []


def incident_keys(session: Session, actor: Actor, observable: UUID, limit: int = 50) -> list[str]:
    """The keys of the incidents that saw a value, newest first."""
    seen = select(Sighting.incident_id).where(Sighting.observable_id == observable)
    query = select(Incident.key).where(Incident.id.in_(seen), visible_to(actor))
    return list(session.scalars(query.order_by(Incident.created_at.desc(), Incident.id.desc()).limit(limit)))


def _of(session: Session, actor: Actor, kind: str, value: str, of: UUID) -> Whereabouts:
    incidents = _counted(session, of, Incident, Sighting.incident_id, visible_to(actor))
    alerts = _counted(session, of, Alert, Sighting.alert_id, alerts_visible_to(actor))
    first = min((row.first for row in (incidents, alerts) if row.first is not None), default=None)
    last = max((row.last for row in (incidents, alerts) if row.last is not None), default=None)
    return Whereabouts(of, kind, value, incidents.number, alerts.number, first, last)


def _counted(session: Session, of: UUID, model: Any, link: Any, visible: Any) -> Any:
    number: Any = func.count(func.distinct(model.id)).label("number")
    first: Any = func.min(Sighting.first_seen).label("first")
    last: Any = func.max(Sighting.last_seen).label("last")
    query = (
        select(number, first, last).join(model, model.id == link).where(Sighting.observable_id == of, visible)
    )
    return session.execute(query).one()
