"""The reported mail that an incident keeps: what was read from it, and where else the same one was seen."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from connectors.entities import normalise
from connectors.shared_ranges import DOMAINS
from core.db import database_now
from incidents.models import Attachment, Incident, Reporter, Sighting
from incidents.observables import observable_id

CAMPAIGN = timedelta(days=7)
MOST = 5


def kept(session: Session, incident_id: UUID) -> dict[str, Any] | None:
    """What was read from the original mail, or None when none is kept: one that a person attached counts before others.

    Beside what was read when it came: `reports` (how many reported it) and `related`: other open incidents of the last seven days with its sender, its subject or a host of its links, as {key, why}.
    """
    by_hand = case((Attachment.origin == "person", 0), else_=1)
    query = (
        select(Attachment)
        .where(Attachment.incident_id == incident_id, Attachment.mail.is_not(None))
        .order_by(by_hand, case((by_hand == 0, Attachment.created_at)).desc(), Attachment.id)
    )
    found = session.scalar(query.limit(1))
    incident = session.get(Incident, incident_id)
    if found is None or found.mail is None or incident is None:
        return None
    reports = session.scalar(select(func.count()).select_from(Reporter).where(Reporter.incident_id == incident_id))
    return {
        **found.mail,
        "reports": reports or 0,
        "related": related(session, incident, found.mail),
    }


def related(session: Session, incident: Incident, mail: Mapping[str, Any]) -> list[dict[str, str]]:
    """Other open incidents that may be of the same campaign, the newest first: {key, why}; never a restricted one."""
    since = database_now(session) - CAMPAIGN
    others = (
        select(Incident.key)
        .where(Incident.id != incident.id, Incident.closed_at.is_(None), Incident.created_at > since)
        .where(Incident.restricted_to.is_(None), Incident.constituency_id == incident.constituency_id)
        .order_by(Incident.id.desc())
        .limit(MOST)
    )
    found: dict[str, str] = {}
    same_title = others.where(Incident.category == "phishing", func.lower(Incident.title) == incident.title.lower())
    for key in session.scalars(same_title):
        found.setdefault(key, "the same subject")
    named = {("email", str(mail.get("sender") or "")): "the same sender"}
    for host in list(mail.get("hosts") or ())[:20]:
        named["domain", str(host)] = "a link to the same host"
    for (kind, given), why in named.items():
        value = normalise(kind, given) if given else None
        if value is None or value in DOMAINS:
            continue
        seen = select(Sighting.incident_id).where(
            Sighting.observable_id == observable_id(kind, value), Sighting.alert_id.is_(None)
        )
        for key in session.scalars(others.where(Incident.id.in_(seen))):
            found.setdefault(key, why)
    return [{"key": key, "why": why} for key, why in list(found.items())[:MOST]]
