"""Tells those who reported an incident, by mail, that it is closed: nobody is left to wonder."""

from uuid import UUID

from sqlalchemy import select

from core.actors import SYSTEM
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from incidents import facts, reporting
from incidents.models import Incident, Reporter

MOST = 50
"""So many reporters of one incident are written to by themselves; a wave of them is for a person to answer."""


@subscriber("incidents.reporter_news", verbs=[facts.INCIDENT_CLOSED.name])
def _closed(uow: UnitOfWork, entry: Entry) -> None:
    incident_id = entry.ref("incident")
    incident = uow.get(Incident, UUID(incident_id)) if incident_id else None
    if incident is None or incident.closed_at is None or reporting.keeps_back(incident):
        return
    query = select(Reporter).where(Reporter.incident_id == incident.id, Reporter.email.is_not(None))
    for reporter in uow.scalars(query.order_by(Reporter.created_at).limit(MOST)):
        reporting.tell_closed(uow, SYSTEM, reporter)
