"""What people do with an alert the rules kept: open an incident for it, put it into one, take it out again."""

from uuid import UUID

from sqlalchemy import select, update

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, NotFound
from core.journal import Fact
from core.types import Ref, Severity
from incidents import facts, milestones, observables
from incidents.lifecycle import IncidentDraft, locked, open_by_hand
from incidents.models import Alert, Incident, Sighting
from incidents.permissions import EDIT
from incidents.stages import least_trust
from incidents.visibility import alerts_visible_to


def open_for(uow: UnitOfWork, actor: Actor, alert_id: UUID, *, title: str | None = None) -> Incident:
    """Open an incident for an alert that has none. Raises NotFound, Conflict when it belongs to one already."""
    alert = _alert(uow, actor, alert_id)
    if alert.incident_id is not None:
        raise Conflict("This alert belongs to an incident already; open that one.")
    draft = IncidentDraft(
        title=title or alert.title, severity=Severity(alert.severity), description=alert.description,
        category=alert.category, tags=alert.tags, techniques=alert.techniques, constituency_id=alert.constituency_id,
        team_id=alert.team_id, restricted_to=alert.restricted_to, exercise=alert.is_test,
    )  # fmt: skip
    incident = open_by_hand(uow, actor, draft)
    incident.severity_reason = None  # it is the alert's word, so a worse alert may raise it
    incident.source, incident.trust = alert.source, alert.trust
    incident.late, incident.learning = alert.late, alert.learning
    milestones.project(uow, incident.id, "alerted", alert.first_seen, "alert", alert.source)
    _put(uow, actor, alert, incident, f"put here by {actor.name}, who opened {incident.key} for it")
    return incident


def attach(uow: UnitOfWork, actor: Actor, incident_id: UUID, alert_id: UUID) -> Incident:
    """Put an alert that has no incident into an open one. Raises NotFound, Conflict."""
    incident = locked(uow, actor, incident_id)
    alert = _alert(uow, actor, alert_id)
    if incident.closed_at is not None:
        raise Conflict(f"{incident.key} is closed; reopen it before you put alerts into it.")
    if alert.incident_id is not None:
        raise Conflict("This alert belongs to an incident already; take it out of that one first.")
    incident.trust = least_trust(incident.trust, alert.trust)
    if incident.severity_reason is None and Severity(alert.severity).rank > Severity(incident.severity).rank:
        body = {"from": incident.severity, "to": alert.severity, "late": incident.late}
        incident.severity = alert.severity
        journal.record(uow, actor, Fact(facts.SEVERITY_RAISED, (incident.ref,), body))
    _put(uow, actor, alert, incident, f"put here by {actor.name}")
    return incident


def detach(uow: UnitOfWork, actor: Actor, alert_id: UUID, *, reason: str) -> Alert:
    """Take an alert out of its incident; what it named stays there until somebody removes it. Raises NotFound."""
    permissions.require(actor, EDIT.name)
    alert = _alert(uow, actor, alert_id)
    if alert.incident_id is None:
        raise Conflict("This alert belongs to no incident.")
    incident = locked(uow, actor, alert.incident_id)
    incident.alert_count = max(incident.alert_count - 1, 0)
    alert.incident_id, alert.rule, alert.group_key = None, None, None
    alert.why = f"taken out of {incident.key} by {actor.name}"
    _sightings_belong_to(uow, alert, None)
    body = {"key": incident.key}
    journal.record(
        uow,
        actor,
        Fact(facts.ALERT_DETACHED, (incident.ref, alert.ref), body, {"reason": reason, "title": alert.title}),
    )
    return alert


def _put(uow: UnitOfWork, actor: Actor, alert: Alert, incident: Incident, why: str) -> None:
    alert.incident_id, alert.why, alert.rule, alert.acceptance_id = incident.id, why, None, None
    incident.alert_count += 1
    uow.flush()
    _sightings_belong_to(uow, alert, incident.id)
    observables.note(
        uow,
        [
            observables.Seen(
                e["type"], e["value"], e["role"], None, incident.id, alert.last_seen, alert.source
            )
            for e in alert.entities
        ],
    )
    told = [{"id": str(alert.id), "title": alert.title, "why": why}]
    fact = Fact(
        facts.ALERT_ATTACHED, (incident.ref, alert.ref), {"count": 1, "late": alert.late}, {"alerts": told}
    )
    journal.record(uow, actor, fact)


def _sightings_belong_to(uow: UnitOfWork, alert: Alert, incident_id: UUID | None) -> None:
    uow.execute(
        update(Sighting).where(Sighting.alert_id == alert.id).values(incident_id=incident_id),
        execution_options={"synchronize_session": False},
    )


def _alert(uow: UnitOfWork, actor: Actor, alert_id: UUID) -> Alert:
    permissions.require(actor, EDIT.name)
    query = select(Alert).where(Alert.id == alert_id, alerts_visible_to(actor)).with_for_update(of=Alert)
    alert = uow.scalar(query.execution_options(populate_existing=True))
    if alert is None:
        raise NotFound(f"There is no such alert as {Ref('alert', str(alert_id))}, or you may not see it.")
    return alert
