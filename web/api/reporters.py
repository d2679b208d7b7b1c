"""Talking with those who reported an incident, over the API."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from core.actors import Actor
from core.db import reading, unit_of_work
from incidents import queries, reporting
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


class ReporterOut(Shape):
    """Somebody who reported the incident."""

    id: UUID
    created_at: datetime
    name: str
    email: str | None
    origin: str
    link_ended_at: datetime | None


class MessageOut(Shape):
    """What a reporter said (`inward`) or was told; `via` is form, page or mail."""

    id: UUID
    created_at: datetime
    reporter_id: UUID
    inward: bool
    via: str
    by_name: str
    body: str


class AnswerIn(Shape):
    """What a reporter is told; with `asks` the incident waits for their answer."""

    reporter: UUID
    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    asks: bool = False


@router.get("/{key}/reporters")
def list_reporters(key: str, actor: Actor = may("incident.read")) -> Listing[ReporterOut]:
    """Who reported it."""
    with reading() as session:
        incident = queries.incident(session, actor, key)
        return Listing(items=rows(reporting.reporters(session, actor, incident.id), ReporterOut), next=None)


@router.get("/{key}/messages")
def list_messages(key: str, actor: Actor = may("incident.read")) -> Listing[MessageOut]:
    """What was said with its reporters, oldest first; the last 200."""
    with reading() as session:
        incident = queries.incident(session, actor, key)
        return Listing(items=rows(reporting.conversation(session, actor, incident.id), MessageOut), next=None)


@router.post("/{key}/messages", status_code=201)
def answer_reporter(key: str, said: AnswerIn, actor: Actor = may("incident.answer")) -> MessageOut:
    """Write to a reporter: it stands on their page, and goes by mail if they left an address."""
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        made = reporting.answer(uow, actor, incident.id, said.reporter, said.text, asks=said.asks)
        uow.flush()
        return MessageOut.model_validate(made)
