"""What is known here of an incident's host: its other alerts of a week, and why it is on the list of what is protected."""

from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from connectors import guards, rails
from connectors.entities import entity
from incidents.models import Alert, Incident, Sighting
from incidents.observables import observable_id
from incidents.visibility import hidden_from

WEEK = timedelta(days=7)
MOST = 20


def of_host(session: Session, incident: Incident, host: str | None) -> dict[str, Any]:
    """`host_alerts` ("title (severity, source, 20 Nov 14:03)", the latest first, of seven days) and `host_protected` (why, or None).

    Nothing of what is restricted is told, nor of another constituency.
    """
    found = entity("host", host, "victim") if host else None
    if found is None:
        return {"host_alerts": [], "host_protected": None}
    seen = select(Sighting.alert_id).where(
        Sighting.observable_id == observable_id(found.type, found.value), Sighting.alert_id.is_not(None)
    )
    query = (
        select(Alert.title, Alert.severity, Alert.source, Alert.last_seen)
        .where(
            Alert.id.in_(seen),
            Alert.last_seen > incident.opened_at - WEEK,
            Alert.incident_id.is_distinct_from(incident.id),
            Alert.restricted_to.is_(None),
            or_(Alert.incident_id.is_(None), Alert.incident_id.not_in(hidden_from(None))),
            Alert.constituency_id.is_not_distinct_from(incident.constituency_id),
        )
        .order_by(Alert.last_seen.desc(), Alert.id)
        .limit(MOST)
    )
    protected = [guards.Protected(row.kind, row.value, row.reason, row.own) for row in rails.protected(session)]
    told = [
        f"{title[:120]} ({severity}, {source}, {at:%d %b %H:%M})" for title, severity, source, at in session.execute(query)
    ]
    return {"host_alerts": told, "host_protected": guards.protection(found, protected)}
