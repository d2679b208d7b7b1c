"""Verdicts on an incident's values and what is told to people outside, over the API."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from core.actors import Actor
from core.db import reading, unit_of_work
from incidents import disclosing, queries, verdicts
from incidents.disclosing import DisclosureDraft
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1", tags=["incidents"])


class VerdictOut(Shape):
    """What holds of one value: said by a person, or (proposed) by a look-up that nobody has judged yet."""

    observable_id: UUID
    verdict: str
    by: str
    at: datetime
    says: str
    look_up: str
    call_id: UUID | None
    proposed: bool


class VerdictIn(Shape):
    """What a value is: malicious, suspicious, harmless or unknown; call_id names the look-up that it follows."""

    observable_id: UUID
    verdict: str
    because: str = Field(default="", max_length=1000)
    call_id: UUID | None = None


class DisclosureOut(Shape):
    """A notice to somebody outside, or indicators shared with them; without observable_id: all of them."""

    id: UUID
    version: int
    incident_id: UUID
    created_at: datetime
    kind: str
    to_whom: str
    what: str
    tlp: str
    applies: bool
    because: str
    observable_id: UUID | None
    due_at: datetime | None
    sent_at: datetime | None
    receipt_at: datetime | None
    reference: str
    added_by: str
    changed_at: datetime | None
    changed_by: str | None


class DisclosureIn(Shape):
    """Who is told what; kind is notice or indicators, an empty tlp is the incident's own.

    applies false: a duty that was looked at and does not apply; then because is needed.
    """

    to_whom: str = Field(min_length=1, max_length=200)
    what: str = Field(default="", max_length=2000)
    kind: str = "notice"
    tlp: str = ""
    applies: bool = True
    because: str = Field(default="", max_length=2000)
    observable_id: UUID | None = None
    due_at: datetime | None = None
    sent_at: datetime | None = None
    receipt_at: datetime | None = None
    reference: str = Field(default="", max_length=200)


class DisclosureChange(DisclosureIn):
    """The whole of it as it should read, and the version that was read."""

    version: int | None = None


class TakenBack(Shape):
    """Why it is taken back."""

    reason: str = Field(min_length=1, max_length=2000)


@router.get("/incidents/{key}/verdicts")
def list_verdicts(key: str, actor: Actor = may("incident.read")) -> Listing[VerdictOut]:
    """What holds of each value of an incident; values of which nothing was said are left out."""
    with reading() as session:
        incident = queries.incident(session, actor, key)
        found = verdicts.of_incident(session, actor, incident.id)
    items = [
        VerdictOut(
            observable_id=of, verdict=one.verdict, by=one.by, at=one.at, says=one.says, look_up=one.look_up,
            call_id=one.call_id, proposed=one.proposed,
        )
        for of, one in found.items()
    ]  # fmt: skip
    return Listing(items=items, next=None)


@router.post("/incidents/{key}/verdicts", status_code=201)
def add_verdict(key: str, given: VerdictIn, actor: Actor = may("incident.edit")) -> VerdictOut:
    """Say what a value of an incident is; what was said before stays in the journal."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        row = verdicts.judge(
            uow, actor, incident.id, given.observable_id, given.verdict, because=given.because, call_id=given.call_id
        )  # fmt: skip
        return VerdictOut(
            observable_id=row.observable_id, verdict=row.verdict, by=row.by, at=row.created_at, says=row.because,
            look_up=row.look_up, call_id=row.call_id, proposed=False,
        )  # fmt: skip


@router.get("/incidents/{key}/disclosures")
def list_disclosures(key: str, actor: Actor = may("incident.read")) -> Listing[DisclosureOut]:
    """What people outside are told about an incident, oldest first; at most 500."""
    with reading() as session:
        incident = queries.incident(session, actor, key)
        return Listing(
            items=rows(disclosing.of_incident(session, actor, incident.id), DisclosureOut), next=None
        )


@router.post("/incidents/{key}/disclosures", status_code=201)
def add_disclosure(key: str, given: DisclosureIn, actor: Actor = may("incident.edit")) -> DisclosureOut:
    """Note a notice that is due, was sent or does not apply, or indicators that were shared."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        draft = DisclosureDraft(**given.model_dump())
        return DisclosureOut.model_validate(disclosing.add(uow, actor, incident.id, draft))


@router.put("/disclosures/{disclosure_id}")
def change_disclosure(
    disclosure_id: UUID, given: DisclosureChange, actor: Actor = may("incident.edit")
) -> DisclosureOut:
    """Say it anew: when it was sent, when they confirmed it, under which number. 409 when somebody was faster."""
    draft = DisclosureDraft(**given.model_dump(exclude={"version"}))
    with unit_of_work() as uow:
        row = disclosing.change(uow, actor, disclosure_id, draft, version=given.version)
        return DisclosureOut.model_validate(row)


@router.post("/disclosures/{disclosure_id}/withdraw")
def withdraw_disclosure(
    disclosure_id: UUID, given: TakenBack, actor: Actor = may("incident.edit")
) -> DisclosureOut:
    """Take a note back that was wrong."""
    with unit_of_work() as uow:
        return DisclosureOut.model_validate(disclosing.withdraw(uow, actor, disclosure_id, given.reason))
