"""The gate an incident passes when it is closed, by how bad it was; and the way back."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor, ActorKind
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, Problem
from core.journal import Fact
from core.types import Severity
from incidents import facts, milestones
from incidents.lifecycle import locked
from incidents.models import Incident, Task
from incidents.permissions import CLOSE
from incidents.stages import NOISE, Confirmation, Disposition, Stage

CloseCheck = Callable[[Session, Incident], list[str]]

_checks: dict[str, CloseCheck] = {}  # filled at import


@dataclass(frozen=True)
class Closing:
    """What is said when an incident is closed; `summary` is also the reason of a false positive."""

    disposition: str
    summary: str | None = None
    root_cause: str | None = None


def register_close_check(name: str, check: CloseCheck) -> None:
    """Have `check` asked before a declared incident of high or critical severity is closed: each sentence it returns
    keeps it open. Upper packages register their reasons here (obligations not answered, runs that wait).
    """
    _checks[name] = check


def what_is_missing(session: Session, incident: Incident, closing: Closing) -> list[Problem]:
    """Everything that keeps this incident from being closed like that; empty when it may be."""
    problems: list[Problem] = []
    if closing.disposition not in {disposition.value for disposition in Disposition}:
        return [Problem("disposition", f"It must be one of {', '.join(Disposition)}.")]
    disposition = Disposition(closing.disposition)
    serious = Severity(incident.severity).rank >= Severity.high.rank
    declared = incident.confirmation == Confirmation.declared
    undecided = incident.confirmation in (Confirmation.unconfirmed, Confirmation.suspected)
    if serious and undecided and disposition is Disposition.true_positive:
        problems.append(
            Problem(
                "confirmation",
                "Say first whether this was an incident: declare it, or say that it is not one.",
            )
        )
    if not (declared and serious):
        return problems
    if disposition in NOISE and disposition is not Disposition.duplicate:
        problems.append(
            Problem("confirmation", "It is declared an incident; say first that it is not one, and why.")
        )
    if not (closing.summary or "").strip():
        problems.append(Problem("summary", "A declared incident of this severity needs a summary."))
    if not (closing.root_cause or "").strip():
        problems.append(Problem("root_cause", "A declared incident of this severity needs its root cause."))
    waiting = session.scalar(
        select(func.count()).select_from(Task).where(Task.incident_id == incident.id, Task.status == "open")
    )
    if waiting:
        problems.append(
            Problem("tasks", f"{waiting} open task{'' if waiting == 1 else 's'}: do or skip them first.")
        )
    for name, check in sorted(_checks.items()):
        problems += [Problem(name, sentence) for sentence in check(session, incident)]
    return problems


def close(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, closing: Closing, *, version: int | None = None
) -> Incident:
    """Close an incident. Raises Invalid with everything that is missing, Conflict when it is closed already.

    A false positive needs nothing but its disposition, and is thereby said not to be an incident.
    """
    permissions.require(actor, CLOSE.name)
    incident = locked(uow, actor, incident_id, version)
    if incident.closed_at is not None:
        raise Conflict(f"{incident.key} is closed already.")
    problems = what_is_missing(uow, incident, closing)
    if problems:
        raise Invalid(f"{incident.key} cannot be closed yet: {problems[0].message}", problems)
    disposition = Disposition(closing.disposition)
    was = incident.stage
    if disposition in NOISE and incident.confirmation in (Confirmation.unconfirmed, Confirmation.suspected):
        incident.confirmation = Confirmation.not_an_incident.value
        incident.confirmed_at, incident.confirmed_by = uow.now, actor.name
        incident.confirmed_because = f"closed as {disposition.value.replace('_', ' ')}"
    incident.stage, incident.closed_at, incident.closed_by = Stage.closed.value, uow.now, actor.name
    incident.disposition = disposition.value
    incident.summary = closing.summary or incident.summary
    incident.root_cause = closing.root_cause or incident.root_cause
    incident.waiting_on = None
    incident.group_released_at = incident.group_released_at or uow.now
    skipped = uow.scalars(
        update(Task)
        .where(Task.incident_id == incident.id, Task.status == "open")
        .values(
            status="skipped", ended_at=uow.now, ended_by=actor.name, reason="The incident was closed.",
            version=Task.version + 1,
        )
        .returning(Task.id)
        .execution_options(synchronize_session=False)
    ).all()  # fmt: skip
    uow.flush()
    milestones.project(uow, incident.id, "closed", uow.now, _source(actor), actor.name)
    body = {
        "key": incident.key, "from": was, "disposition": disposition.value, "severity": incident.severity,
        "confirmation": incident.confirmation, "skipped_tasks": len(skipped),
    }  # fmt: skip
    told = {"summary": closing.summary, "root_cause": closing.root_cause}
    journal.record(uow, actor, Fact(facts.INCIDENT_CLOSED, (incident.ref,), body, told))
    return incident


def reopen(
    uow: UnitOfWork,
    actor: Actor,
    incident_id: UUID,
    *,
    reason: str,
    to: str = Stage.investigate,
    version: int | None = None,
) -> Incident:
    """Open a closed incident again, with a reason; its alerts count there again. Raises Invalid, Conflict."""
    permissions.require(actor, CLOSE.name)
    incident = locked(uow, actor, incident_id, version)
    if incident.closed_at is None:
        raise Conflict(f"{incident.key} is open.")
    if not reason.strip():
        raise Invalid("Say why it is opened again.", [Problem("reason", "A reason is needed.")])
    if to not in {stage.value for stage in Stage if stage is not Stage.closed}:
        raise Invalid(f"“{to}” is not a stage an incident can go back to.")
    incident.stage, incident.closed_at, incident.closed_by = to, None, None
    uow.flush()
    body = {"key": incident.key, "to": str(to), "was": incident.disposition}
    journal.record(uow, actor, Fact(facts.INCIDENT_REOPENED, (incident.ref,), body, {"reason": reason}))
    incident.disposition = None
    return incident


def _source(actor: Actor) -> str:
    return "person" if actor.kind is ActorKind.person else actor.kind.value
