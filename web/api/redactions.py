"""Taking a value out of an incident's record over the API: proposed here, agreed to by a person at the pages."""

from uuid import UUID

from fastapi import APIRouter

from core.actors import Actor
from core.db import unit_of_work
from incidents import redacting
from web.calling import may
from web.shapes import Shape

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


class RedactionIn(Shape):
    """The whole value, and why; it is checked where it is used, so that no error repeats it."""

    value: str
    reason: str


class RedactionOut(Shape):
    """The proposal that somebody else must agree to; null: it was done at once. What it leaves, in words."""

    change: UUID | None
    not_reached: list[str]


@router.post("/{key}/redactions", status_code=202)
def redact(key: str, given: RedactionIn, actor: Actor = may("incident.redact")) -> RedactionOut:
    """Have a value taken out of an incident, for ever."""
    with unit_of_work() as uow:
        change = redacting.propose(uow, actor, key, given.value, given.reason)
        found = change.id if change is not None else None
    return RedactionOut(change=found, not_reached=list(redacting.NOT_REACHED))
