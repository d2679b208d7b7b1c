"""Stop and call the lead: nothing new begins for an incident, and whoever leads it is paged with the reason."""

from dataclasses import dataclass
from uuid import UUID

from connectors import holds
from connectors.models import SubjectHold
from core.actors import Actor
from core.db import UnitOfWork
from core.errors import Conflict
from core.types import Severity
from incidents import reaching
from incidents.lifecycle import locked


@dataclass(frozen=True)
class Stopped:
    """A hold that was put on an incident; `reached`: somebody is paged (False: there is nobody to page)."""

    hold: SubjectHold
    reached: bool


def stop(uow: UnitOfWork, actor: Actor, incident_id: UUID, reason: str) -> Stopped:
    """Hold the incident's automation and page its lead: without one, or without an answer, whoever is on call.

    What a product was already asked to do ends. Raises Invalid, NotFound, Conflict.
    """
    incident = locked(uow, actor, incident_id)
    if incident.closed_at is not None:
        raise Conflict(f"{incident.key} is closed: nothing runs for it.")
    hold = holds.stop(uow, actor, incident.ref, reason)
    reached = reaching.wake(
        uow,
        incident,
        title=f"stopped, and you are called: {incident.title}",
        message=f"{actor.name} stopped its automation: {hold.reason}",
        severity=max(Severity(incident.severity), Severity.high, key=lambda severity: severity.rank),
        key=f"stopped:{incident.id}:{hold.at.isoformat()}",
        cause=reaching.Cause(f"stopped:{incident.id}", None, at_once=True),
        actor=actor,
    )
    return Stopped(hold, reached)


def let_go(uow: UnitOfWork, actor: Actor, incident_id: UUID, reason: str) -> None:
    """Let its automation go on, with a reason. Raises Invalid, NotFound, Conflict, NeedsSecondFactor."""
    incident = locked(uow, actor, incident_id)
    holds.let_go(uow, actor, incident.ref, reason)
