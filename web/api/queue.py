"""The queue over the API: taking the next incident, watching one."""

from uuid import UUID

from fastapi import APIRouter, Response

from core.actors import Actor
from core.db import unit_of_work
from incidents import following, queries, queueing
from web.calling import may
from web.shapes import Shape, etag

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


class TakenOut(Shape):
    """The incident that is the caller's now; the rest of it is at its own address."""

    id: UUID
    key: str
    version: int
    title: str
    severity: str
    stage: str
    owner_id: UUID | None


class Watching(Shape):
    """Whether the caller watches it."""

    on: bool = True


@router.post("/next")
def take_next_incident(response: Response, actor: Actor = may("incident.edit")) -> TakenOut:
    """Own the oldest of the highest severity that nobody owns; 404 when all have an owner."""
    with unit_of_work() as uow:
        taken = queueing.take_next(uow, actor)
        uow.flush()
        etag(response, taken.version)
        return TakenOut.model_validate(taken)


@router.post("/{key}/watch")
def watch_incident(key: str, said: Watching, actor: Actor = may("incident.read")) -> Watching:
    """Be told in your inbox what others do to it, or no longer; a program cannot."""
    with unit_of_work() as uow:
        following.watch(uow, actor, queries.incident(uow, actor, key).id, on=said.on)
    return said
