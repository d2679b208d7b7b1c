"""Make sure that somebody is reached: about serious incidents nobody was paged for, and no longer once they are closed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import logs
from core.actors import SYSTEM, Actor
from core.db import UnitOfWork
from core.errors import NotFound, TocsinError
from core.journal import Entry
from core.outbox import subscriber
from core.types import Ref, Severity
from incidents.hiding import rule_of
from incidents.models import Alert, Incident
from notify import delivery
from notify.models import Page

log = logs.get(__name__)

POLICY = "default"
PATIENCE = timedelta(seconds=60)
"""How long playbooks and people have before a serious incident is paged for by itself."""
BATCH = 100
MOST_NAMED = 3
_NEED_SOMEBODY = (
    Incident.closed_at.is_(None),
    Incident.severity.in_([Severity.high.value, Severity.critical.value]),
    Incident.stage == "new",
    Incident.owner_id.is_(None),
    Incident.late.is_(False),
    Incident.exercise.is_(False),
    Incident.learning.is_(False) | (Incident.severity == Severity.critical.value),
)
NO_TITLE = "a restricted incident needs somebody"
NO_MESSAGE = "Ask one of its readers."
"""What is said of a restricted incident, which is named by its key alone: who hears it may not be one of its readers."""


@dataclass(frozen=True)
class Cause:
    """What a page is about, beside its words: the sort of thing, and when Tocsin first heard of it (None: from a person).

    `at_once`: it never waits in a bundle, whatever else rings.
    """

    kind: str
    received_at: datetime | None
    at_once: bool = False


def cause_of(session: Session, incident: Incident) -> Cause:
    """The detection that the incident began with; what people opened by hand is of one kind by its category."""
    first = _first_alert(session, incident)
    if first is None:
        return Cause(f"{incident.kind}:{incident.category or 'any'}", None)
    rule = rule_of(first.rule_id, first.rule_name, first.title)
    return Cause(f"alert:{first.source_id}:{rule}", first.first_seen)


def _first_alert(session: Session, incident: Incident) -> Alert | None:
    of_it = select(Alert).where(Alert.incident_id == incident.id)
    return session.scalar(of_it.order_by(Alert.created_at, Alert.id).limit(1))


def wake(
    uow: UnitOfWork, incident: Incident, *, title: str, message: str, severity: Severity, key: str,
    cause: Cause | None = None, actor: Actor = SYSTEM,
) -> bool:  # fmt: skip
    """Page the lead, then whoever is on call; False: there is no policy to page by.

    A restricted incident is named by its key alone: whoever is on call may not be one of its readers. The lead is told in
    the inbox what the page does not say, or when nobody can be paged.
    """
    cause = cause or cause_of(uow, incident)
    restricted = incident.restricted_to is not None
    said = NO_TITLE if restricted else title
    told = NO_MESSAGE if restricted else message
    path = f"/incidents/{incident.key}"
    lead = incident.owner_id if incident.owner_id != actor.user_id else None  # whoever calls is not called
    try:
        delivery.page(
            uow, actor, policy=POLICY, subject=incident.ref, title=f"{incident.key}: {said}", message=told,
            severity=severity, path=path, key=key, kind=cause.kind, received_at=cause.received_at,
            at_once=cause.at_once, lead=lead,
        )  # fmt: skip
        reached = True
    except NotFound as error:
        reached = False
        log.warning("nobody can be paged", extra={"incident": incident.key, "reason": error.message})
    readable = str(lead) in (incident.restricted_to or (str(lead),))
    if lead is not None and readable and (restricted or not reached):
        try:
            delivery.message(
                uow, SYSTEM, channel="inbox", to=f"user:{lead}", title=f"{incident.key}: {title}",
                text=message, subject=incident.ref, path=path, severity=severity,
            )  # fmt: skip
        except TocsinError as error:  # an owner without an inbox is still paged by the policy
            log.warning("the owner cannot be told", extra={"incident": incident.key, "reason": error.message})
    return reached


def page_unattended(uow: UnitOfWork) -> int:
    """Page for open incidents of high or critical severity that nobody has taken, been paged for or looked at.

    Late ones and exercises wake nobody, those of a source in its first day only when they are critical. Returns how many were paged for.
    """
    old = Incident.created_at < uow.now - PATIENCE
    waiting = uow.scalars(select(Incident).where(*_NEED_SOMEBODY, old).order_by(Incident.created_at)).all()
    paged: set[str] = set()
    for start in range(0, len(waiting), 500):
        ids = [str(incident.id) for incident in waiting[start : start + 500]]
        paged |= set(
            uow.scalars(
                select(Page.subject_id).where(Page.subject_kind == "incident", Page.subject_id.in_(ids))
            )
        )
    found = [incident for incident in waiting if str(incident.id) not in paged][:BATCH]
    for count, incident in enumerate(found):
        if not _page_for(uow, incident, "nobody has been reached for it yet"):
            return count  # nobody can be paged for the others either
    return len(found)


def page_unanswered(uow: UnitOfWork, incident_id: UUID) -> bool:
    """Page at once for an incident that no playbook answers to, when it is serious and what page_unattended() pages for."""
    incident = uow.scalar(select(Incident).where(*_NEED_SOMEBODY, Incident.id == incident_id))
    return incident is not None and _page_for(uow, incident, "no playbook answers to it")


def _page_for(uow: UnitOfWork, incident: Incident, why: str) -> bool:
    where, again = _where(uow, incident), _came_back(uow, incident)
    message = f"{incident.severity}, and {why}.{again}" + (f"\n{where}" if where else "")
    severity, key = Severity(incident.severity), f"unattended:{incident.id}"
    return wake(uow, incident, title=incident.title, message=message, severity=severity, key=key)


def _where(session: Session, incident: Incident) -> str:
    """What the first alert is about, and who told: "On finance-7, m.ortiz; told by wazuh"; empty without an alert."""
    first = _first_alert(session, incident)
    if first is None:
        return ""
    hit = [one["value"] for one in first.entities if one["role"] in ("target", "victim")][:MOST_NAMED]
    return f"On {', '.join(hit)}; told by {first.source}" if hit else f"Told by {first.source}"


def _came_back(uow: UnitOfWork, incident: Incident) -> str:
    """That it is a recurrence, and of what; a restricted one is not named."""
    before = uow.get(Incident, incident.recurrence_of) if incident.recurrence_of is not None else None
    if before is None:
        return ""
    named = before.key if before.restricted_to is None else "an earlier one"
    return f" It is a recurrence of {named}, which was closed."


@subscriber("incidents.pages", verbs=["incident.closed"])
def _end_pages(uow: UnitOfWork, entry: Entry) -> None:
    if incident := entry.ref("incident"):
        delivery.close(uow, entry.actor, Ref("incident", str(UUID(incident))))
