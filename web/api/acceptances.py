"""What is ignored for a time over the API: list, read, say, extend, end."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from core.actors import Actor
from core.db import reading, unit_of_work
from incidents import accepting
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/acceptances", tags=["alerts"])


class AcceptanceOut(Shape):
    """Alerts of one rule of one source about one thing, ignored until then; `hidden` counts what came meanwhile."""

    id: UUID
    created_at: datetime
    source_id: UUID
    source: str
    rule: str
    rule_name: str
    entity_type: str
    entity_value: str
    entity_role: str
    severity: str
    criticals: bool
    reason: str
    owner_id: UUID | None
    made_by: str
    alert_id: UUID
    incident_id: UUID | None
    until: datetime
    ended_at: datetime | None
    ended_by: str | None
    hidden: int
    last_hidden_at: datetime | None


class AcceptanceIn(Shape):
    """What to ignore: alerts like this one that name the entity. `criticals` confirms that critical ones are meant."""

    alert: UUID
    entity_type: str
    entity_value: str
    entity_role: str
    days: int
    reason: str = Field(min_length=1, max_length=2000)
    owner_id: UUID | None = None
    criticals: bool = False


class Extension(Shape):
    """For how many days from now: 7, 30 or 90."""

    days: int


@router.get("")
def list_acceptances(
    state: Annotated[str, Query(pattern="^(live|ended|all)$")] = "live",
    source: UUID | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[AcceptanceOut]:
    """What is ignored, newest first."""
    live = {"live": True, "ended": False, "all": None}[state]
    with reading() as session:
        page = accepting.listed(session, actor, live=live, source_id=source, before=after, limit=limit)
    return Listing(items=rows(page.items, AcceptanceOut), next=page.next)


@router.post("", status_code=201)
def make_acceptance(said: AcceptanceIn, actor: Actor = may("alert.accept")) -> AcceptanceOut:
    """Ignore alerts of one rule about one thing for a time; 422 lists what is wrong."""
    draft = accepting.AcceptanceDraft(
        (said.entity_type, said.entity_value, said.entity_role),
        said.days,
        said.reason,
        said.owner_id,
        said.criticals,
    )
    with unit_of_work() as uow:
        return AcceptanceOut.model_validate(accepting.accept(uow, actor, said.alert, draft))


@router.get("/{acceptance_id}")
def read_acceptance(acceptance_id: UUID, actor: Actor = may("incident.read")) -> AcceptanceOut:
    """One of them."""
    with reading() as session:
        return AcceptanceOut.model_validate(accepting.get(session, actor, acceptance_id))


@router.post("/{acceptance_id}/extend")
def extend_acceptance(
    acceptance_id: UUID, to: Extension, actor: Actor = may("alert.accept")
) -> AcceptanceOut:
    """Ignore it for longer."""
    with unit_of_work() as uow:
        return AcceptanceOut.model_validate(accepting.extend(uow, actor, acceptance_id, to.days))


@router.post("/{acceptance_id}/end")
def end_acceptance(acceptance_id: UUID, actor: Actor = may("alert.accept")) -> AcceptanceOut:
    """Judge such alerts like any other from now on."""
    with unit_of_work() as uow:
        return AcceptanceOut.model_validate(accepting.end(uow, actor, acceptance_id))
