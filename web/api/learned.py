"""What is learnt of incidents over the API: the attacker's timeline, the points of the review, actions for afterwards."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from core.actors import Actor
from core.clock import now
from core.db import reading, unit_of_work
from incidents import findings, follow_ups, queries, reviewing
from incidents.findings import FindingDraft
from incidents.follow_ups import FollowUpDraft
from incidents.reviewing import PointDraft
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1", tags=["incidents"])


class FindingOut(Shape):
    """One thing the attacker did, and when it happened; entities are `{type, value}`."""

    id: UUID
    version: int
    incident_id: UUID
    alert_id: UUID | None
    attachment_id: UUID | None
    occurred_at: datetime
    precision: str
    says: str
    source: str
    confidence: str
    technique: str | None
    entities: list[dict[str, Any]]
    evidence: str
    added_by: str
    created_at: datetime
    changed_at: datetime | None
    changed_by: str | None
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_because: str | None


class FindingIn(Shape):
    """What the attacker did; precision is exact, minute, hour, day or estimated, confidence high, medium or low."""

    occurred_at: datetime
    says: str = Field(min_length=1, max_length=2000)
    precision: str = "minute"
    source: str = Field(default="", max_length=200)
    confidence: str = "medium"
    technique: str | None = None
    entities: list[str] = Field(default=[], max_length=50)
    evidence: str = Field(default="", max_length=2000)
    attachment_id: UUID | None = None


class FindingCorrection(FindingIn):
    """The whole finding as it should read, why it is corrected, and the version that was read."""

    reason: str = Field(default="", max_length=2000)
    version: int | None = None


class Withdrawal(Shape):
    """Why it is taken back."""

    reason: str = Field(min_length=1, max_length=2000)


class PointOut(Shape):
    """One point of a review; section is one of impact, scope, cause, gap, decision, well, badly, luck, question, confidence, rule, side."""

    id: UUID
    incident_id: UUID
    created_at: datetime
    section: str
    area: str
    state: str
    says: str
    options: str
    result: str
    how: str
    who: str
    added_by: str


class PointIn(Shape):
    """A point to add; 422 says which fields its section does not take."""

    section: str
    says: str = Field(min_length=1, max_length=4000)
    area: str = ""
    state: str = ""
    options: str = Field(default="", max_length=2000)
    result: str = Field(default="", max_length=1000)
    how: str = Field(default="", max_length=2000)
    who: str = Field(default="", max_length=200)


class FollowUpOut(Shape):
    """An action after an incident; state is open, done or dropped."""

    id: UUID
    version: int
    incident_id: UUID
    created_at: datetime
    title: str
    owner_id: UUID | None
    due_at: datetime | None
    link: str
    state: str
    added_by: str
    ended_at: datetime | None
    ended_by: str | None
    note: str


class FollowUpIn(Shape):
    """What is to be changed, by whom, until when, and where it is tracked."""

    title: str = Field(min_length=1, max_length=500)
    owner_id: UUID | None = None
    due_at: datetime | None = None
    link: str = Field(default="", max_length=2000)


class FollowUpEnd(Shape):
    """Whether it is done or dropped; dropping needs a note."""

    state: str
    note: str = Field(default="", max_length=2000)


@router.get("/incidents/{key}/findings")
def list_findings(
    key: str,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[FindingOut]:
    """What the attacker did, in the order it happened."""
    with reading() as session:
        incident = queries.incident(session, actor, key)
        page = findings.of_incident(session, actor, incident.id, after=after, limit=limit)
    return Listing(items=rows(page.items, FindingOut), next=page.next)


@router.post("/incidents/{key}/findings", status_code=201)
def add_finding(key: str, given: FindingIn, actor: Actor = may("incident.edit")) -> FindingOut:
    """Add what the attacker did."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        return FindingOut.model_validate(
            findings.add(uow, actor, incident.id, FindingDraft(**given.model_dump()))
        )


@router.post("/alerts/{alert_id}/finding", status_code=201)
def take_alert(alert_id: UUID, actor: Actor = may("incident.edit")) -> FindingOut:
    """Take an alert of an incident over as a finding; the same alert again is the same finding."""
    with unit_of_work() as uow:
        return FindingOut.model_validate(findings.from_alert(uow, actor, alert_id))


@router.get("/findings/{finding_id}")
def read_finding(finding_id: UUID, actor: Actor = may("incident.read")) -> FindingOut:
    """One finding, withdrawn or not."""
    with reading() as session:
        return FindingOut.model_validate(findings.one(session, actor, finding_id))


@router.put("/findings/{finding_id}")
def correct_finding(
    finding_id: UUID, given: FindingCorrection, actor: Actor = may("incident.edit")
) -> FindingOut:
    """Say it better; the journal keeps what it said. 409 when somebody else was faster."""
    draft = FindingDraft(**given.model_dump(exclude={"reason", "version"}))
    with unit_of_work() as uow:
        row = findings.correct(uow, actor, finding_id, draft, reason=given.reason, version=given.version)
        return FindingOut.model_validate(row)


@router.post("/findings/{finding_id}/withdraw")
def withdraw_finding(finding_id: UUID, given: Withdrawal, actor: Actor = may("incident.edit")) -> FindingOut:
    """Take it off the timeline."""
    with unit_of_work() as uow:
        return FindingOut.model_validate(findings.withdraw(uow, actor, finding_id, given.reason))


@router.get("/incidents/{key}/review")
def read_review(key: str, actor: Actor = may("incident.read")) -> Listing[PointOut]:
    """The points of its review, oldest first; at most 500."""
    with reading() as session:
        incident = queries.incident(session, actor, key)
        return Listing(items=rows(reviewing.of_incident(session, actor, incident.id), PointOut), next=None)


@router.post("/incidents/{key}/review", status_code=201)
def add_point(key: str, given: PointIn, actor: Actor = may("incident.edit")) -> PointOut:
    """Add a point to its review."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        return PointOut.model_validate(
            reviewing.add(uow, actor, incident.id, PointDraft(**given.model_dump()))
        )


@router.post("/review-points/{point_id}/withdraw")
def withdraw_point(point_id: UUID, actor: Actor = may("incident.edit")) -> PointOut:
    """Take a point back."""
    with unit_of_work() as uow:
        return PointOut.model_validate(reviewing.withdraw(uow, actor, point_id))


@router.get("/follow-ups")
def list_follow_ups(
    incident: UUID | None = None,
    state: Annotated[str | None, Query(pattern="^(open|done|dropped)$")] = None,
    owner: UUID | None = None,
    overdue: Annotated[bool, Query(description="Only open ones that should have been done by now.")] = False,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[FollowUpOut]:
    """Actions after incidents, newest first."""
    with reading() as session:
        page = follow_ups.listed(
            session, actor, incident_id=incident, state="open" if overdue else state, owner_id=owner,
            overdue_at=now() if overdue else None, before=after, limit=limit,
        )  # fmt: skip
    return Listing(items=rows(page.items, FollowUpOut), next=page.next)


@router.post("/incidents/{key}/follow-ups", status_code=201)
def add_follow_up(key: str, given: FollowUpIn, actor: Actor = may("incident.edit")) -> FollowUpOut:
    """Add an action for afterwards."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        return FollowUpOut.model_validate(
            follow_ups.add(uow, actor, incident.id, FollowUpDraft(**given.model_dump()))
        )


@router.put("/follow-ups/{follow_up_id}")
def change_follow_up(
    follow_up_id: UUID, given: FollowUpIn, actor: Actor = may("incident.edit")
) -> FollowUpOut:
    """Say it anew: title, owner, date and link."""
    with unit_of_work() as uow:
        return FollowUpOut.model_validate(
            follow_ups.change(uow, actor, follow_up_id, FollowUpDraft(**given.model_dump()))
        )


@router.post("/follow-ups/{follow_up_id}/end")
def end_follow_up(follow_up_id: UUID, given: FollowUpEnd, actor: Actor = may("task.work")) -> FollowUpOut:
    """Say that it is done, or dropped and why."""
    with unit_of_work() as uow:
        return FollowUpOut.model_validate(follow_ups.end(uow, actor, follow_up_id, given.state, given.note))
