"""The moments MTT* are computed from: set as a by-product of what happens, corrected by people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.journal import Entry, Fact
from core.outbox import subscriber
from core.types import Ref
from incidents import facts
from incidents.models import Incident, Milestone
from incidents.permissions import EDIT
from incidents.visibility import visible_to

KINDS = (
    "occurred", "first_malicious", "compromise", "exfiltration", "alerted", "reported", "aware", "acknowledged",
    "declared", "contained", "eradicated", "recovered", "closed",
)  # fmt: skip
PRECISIONS = ("exact", "minute", "hour", "day", "estimated")

_milestones: Any = Milestone.__table__


def project(uow: UnitOfWork, incident_id: UUID, kind: str, at: datetime, source: str, set_by: str) -> None:
    """Note a milestone as a by-product of a change, for an incident that cannot have it yet."""
    row = {
        "id": new_id(), "created_at": uow.now, "incident_id": incident_id, "kind": kind, "at": at, "precision": "exact",
        "source": source, "set_by": set_by[:200],
    }  # fmt: skip
    uow.write_behind(_milestones, row)


def reached(uow: UnitOfWork, incident_id: UUID, kind: str, at: datetime, source: str, set_by: str) -> bool:
    """Note a milestone unless the incident has it already (the first time counts); whether it was noted."""
    uow.write_rows()
    known = uow.scalar(
        select(_milestones.c.id)
        .where(_milestones.c.incident_id == incident_id, _milestones.c.kind == kind)
        .limit(1)
    )
    if known is not None:
        return False
    project(uow, incident_id, kind, at, source, set_by)
    return True


def correct(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, kind: str, at: datetime, *, precision: str, reason: str
) -> Milestone:
    """Say when something truly was: a new row that supersedes the one in force, with the reason."""
    permissions.require(actor, EDIT.name)
    if uow.scalar(select(Incident.id).where(Incident.id == incident_id, visible_to(actor))) is None:
        raise NotFound("There is no such incident, or you may not see it.")
    if kind not in KINDS:
        raise Invalid(f"“{kind}” is not a milestone; they are {', '.join(KINDS)}.")
    if precision not in PRECISIONS:
        raise Invalid(f"The precision must be one of {', '.join(PRECISIONS)}.")
    if not reason.strip():
        raise Invalid("Say how you know: a milestone set by hand needs a reason.")
    before = in_force(uow, incident_id).get(kind)
    row = Milestone(
        id=new_id(), created_at=uow.now, incident_id=incident_id, kind=kind, at=at, precision=precision,
        source="person", set_by=actor.name, reason=reason, supersedes=before.id if before else None,
    )  # fmt: skip
    uow.add(row)
    body = {
        "kind": kind,
        "at": at.isoformat(),
        "precision": precision,
        "was": before.at.isoformat() if before else None,
    }
    journal.record(
        uow, actor, Fact(facts.MILESTONE_SET, (Ref("incident", str(incident_id)),), body, {"reason": reason})
    )
    return row


def in_force(session: Session, incident_id: UUID) -> dict[str, Milestone]:
    """The milestone of each kind that nothing supersedes; of several (reopened, closed again) the last."""
    return of_many(session, [incident_id]).get(incident_id, {})


def of_many(session: Session, incident_ids: Sequence[UUID]) -> dict[UUID, dict[str, Milestone]]:
    """`in_force` of many incidents in one query; the caller has made sure that they may be seen."""
    newer = aliased(Milestone)
    query = (
        select(Milestone)
        # A correction is of the same incident: said here, its index is enough.
        .outerjoin(newer, and_(newer.incident_id == Milestone.incident_id, newer.supersedes == Milestone.id))
        .where(Milestone.incident_id.in_(incident_ids), newer.id.is_(None))
        .order_by(Milestone.created_at, Milestone.id)
    )
    found: dict[UUID, dict[str, Milestone]] = {}
    for row in session.scalars(query):
        found.setdefault(row.incident_id, {})[row.kind] = row
    return found


@dataclass(frozen=True)
class Times:
    """How long things took; None where a moment is not known. To detect: only where a person established the start."""

    to_detect: timedelta | None
    to_acknowledge: timedelta | None
    to_contain: timedelta | None
    to_close: timedelta | None
    to_recover: timedelta | None = None
    dwell: timedelta | None = (
        None  # from the first malicious act that a person established to the containment
    )


def times(known: Mapping[str, Milestone]) -> Times:
    """The durations between the milestones in force of one incident."""

    def between(start: Milestone | None, end: Milestone | None) -> timedelta | None:
        return end.at - start.at if start and end and end.at >= start.at else None

    seen = known.get("alerted") or known.get("reported")
    began = next(
        (known[kind] for kind in ("first_malicious", "compromise", "occurred") if kind in known), None
    )
    began = began if began and began.source == "person" else None
    return Times(
        to_detect=between(began, seen),
        to_acknowledge=between(seen, known.get("acknowledged")),
        to_contain=between(seen, known.get("contained")),
        to_close=between(seen, known.get("closed")),
        to_recover=between(seen, known.get("recovered")),
        dwell=between(began, known.get("contained")),
    )


@subscriber("incidents.acknowledged", verbs=["page.acknowledged"])
def _acknowledged(uow: UnitOfWork, entry: Entry) -> None:
    for ref in entry.refs:
        if ref.kind == "incident" and uow.get(Incident, UUID(ref.id)) is not None:
            reached(uow, UUID(ref.id), "acknowledged", entry.at, "person", entry.actor_name)
