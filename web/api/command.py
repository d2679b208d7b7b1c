"""Who leads an incident over the API, and stopping its automation."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from connectors import holds
from core.actors import Actor
from core.db import reading, unit_of_work
from incidents import parts, queries, stopping
from web.calling import may
from web.shapes import Shape, etag, expect

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


class Part(Shape):
    """A part in the response and whose it is now; null clears it. The lead is the incident's owner."""

    part: Literal["lead", "scribe", "communications"]
    user_id: UUID | None


class PartsOut(Shape):
    """Who has each part now."""

    lead: UUID | None
    scribe: UUID | None
    communications: UUID | None


class Reason(Shape):
    """Why its automation is stopped, or may go on."""

    reason: str = Field(min_length=1, max_length=1000)


class HoldOut(Shape):
    """Who stopped the automation of an incident, when and why; null: it is not stopped."""

    by: str
    at: datetime
    reason: str


class StopOut(Shape):
    """The hold, and whether somebody is paged."""

    hold: HoldOut
    paged: bool


@router.post("/{key}/part")
def give_part(
    key: str, to: Part, request: Request, response: Response, actor: Actor = may("incident.edit")
) -> PartsOut:
    """Make somebody its lead, its scribe, or the one who speaks for it."""
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, key)
        expect(request, found.version)
        made = parts.give(uow, actor, found.id, to.part, to.user_id)
        uow.flush()
        etag(response, made.version)
        return PartsOut(**{part.value: who for part, who in parts.held_by(made).items()})


@router.get("/{key}/hold")
def read_hold(key: str, actor: Actor = may("incident.read")) -> HoldOut | None:
    """Whether its automation is stopped."""
    with reading() as session:
        row = holds.of(session, queries.incident(session, actor, key).ref)
        return HoldOut.model_validate(row) if row is not None else None


@router.post("/{key}/stop")
def stop(key: str, why: Reason, actor: Actor = may("automation.hold")) -> StopOut:
    """Stop its automation and page its lead, then whoever is on call; what is under way ends."""
    with unit_of_work() as uow:
        done = stopping.stop(uow, actor, queries.incident(uow, actor, key).id, why.reason)
        return StopOut(hold=HoldOut.model_validate(done.hold), paged=done.reached)


@router.post("/{key}/let-go", status_code=204)
def let_go(key: str, why: Reason, actor: Actor = may("automation.let_go")) -> None:
    """Let its automation go on; a person at a session with a second factor does, no token."""
    with unit_of_work() as uow:
        stopping.let_go(uow, actor, queries.incident(uow, actor, key).id, why.reason)
