"""The reported mail that an incident keeps: what was read from it, and where else the same one was seen."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from connectors.entities import normalise
from connectors.shared_ranges import DOMAINS
from core.db import database_now
from incidents.attachments import Upload
from incidents.models import Attachment, Incident, Reporter, Sighting
from incidents.observables import observable_id

CAMPAIGN = timedelta(days=7)
MOST = 5
PREFIX = re.compile(r"^(?:\s*(?:re|aw|fwd?|wg|rv|tr)\s*(?:\[\d+\])?:)+\s*", re.IGNORECASE)
"""What programs put before the subject of an answer or a forward."""


Drawn = Callable[[Session, str], str | None]
_drawing: list[Drawn] = []


def drawn_by(drawn: Drawn) -> Drawn:
    """The function of an upper package that knows the pictures: from a mail's digest to that of its PNG, None where there is none yet."""
    _drawing[:] = [drawn]
    return drawn


def picture(session: Session, incident_id: UUID) -> str | None:
    """The digest of the PNG that shows the original mail of an incident; None without one."""
    mail = session.scalar(_original(incident_id))
    return _drawing[0](session, mail.digest) if mail is not None and _drawing else None


def _original(incident_id: UUID) -> Select[Attachment]:
    """The original mail that is kept, the one that counts first."""
    by_hand = case((Attachment.origin == "person", 0), else_=1)
    return (
        select(Attachment)
        .where(Attachment.incident_id == incident_id, Attachment.mail.is_not(None))
        .order_by(by_hand, case((by_hand == 0, Attachment.created_at)).desc(), Attachment.id)
        .limit(1)
    )


def kept(session: Session, incident_id: UUID) -> dict[str, Any] | None:
    """What was read from the original mail, or None when none is kept: one that a person attached counts before others.

    Beside what was read when it came: `reports` (how many reported it) and `related`: other open incidents of the last seven days with its sender, its subject or a host of its links, as {key, why}.
    """
    found = session.scalar(_original(incident_id))
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
    other = (Incident.id != incident.id, Incident.constituency_id == incident.constituency_id)
    found = _alike(session, incident.title, mail, *other)
    return [{"key": one.key, "why": ", ".join(reasons)} for one, reasons in list(found.items())[:MOST]]


def same_wave(session: Session, files: Iterable[Upload]) -> Incident | None:
    """The open incident to which the first original mail among files surely belongs, None without one.

    Sure is what agrees in two of sender, subject and a host of its links.
    """
    mail = next((file.mail for file in files if file.mail is not None), None)
    if mail is None:
        return None
    found = _alike(session, PREFIX.sub("", str(mail.get("subject") or "")), mail, Incident.category == "phishing")
    return next((one for one, reasons in found.items() if len(reasons) > 1), None)


def _alike(
    session: Session, title: str, mail: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> dict[Incident, list[str]]:
    """Open incidents of the last days that nobody has restricted, and what they have in common with a mail."""
    since = database_now(session) - CAMPAIGN
    others = (
        select(Incident)
        .where(Incident.closed_at.is_(None), Incident.created_at > since, Incident.restricted_to.is_(None), *conditions)
        .order_by(Incident.id.desc())
        .limit(MOST)
    )
    found: dict[Incident, list[str]] = {}

    def note(one: Incident, why: str) -> None:
        if why not in found.setdefault(one, []):
            found[one].append(why)

    for one in session.scalars(others.where(Incident.category == "phishing", func.lower(Incident.title) == title.lower())):
        note(one, "the same subject")
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
        for one in session.scalars(others.where(Incident.id.in_(seen))):
            note(one, why)
    return found
