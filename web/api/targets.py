"""Targets over the API: how quickly the team means to answer, contain, recover and close."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from core.actors import Actor
from core.db import reading, unit_of_work
from incidents import targets
from web.calling import may
from web.shapes import Listing, Shape

router = APIRouter(prefix="/api/v1/targets", tags=["incidents"])


class TargetOut(Shape):
    """One target: seconds from the first alert or report until the span ends."""

    severity: str
    span: str
    seconds: int


class TargetIn(Shape):
    """One target to set; without seconds it is taken away."""

    severity: str
    span: str
    seconds: int | None = None


class TargetsIn(Shape):
    """Targets to set; those that are not named stay as they are."""

    items: Annotated[list[TargetIn], Field(max_length=50)]


@router.get("")
def list_targets(actor: Actor = may("incident.read")) -> Listing[TargetOut]:
    """All that are set."""
    del actor
    with reading() as session:
        known = targets.every(session)
    items = [
        TargetOut(severity=severity, span=span, seconds=seconds)
        for (severity, span), seconds in sorted(known.items())
    ]
    return Listing(items=items, next=None)


@router.put("")
def put_targets(given: TargetsIn, actor: Actor = may("target.edit")) -> Listing[TargetOut]:
    """Set some; 422 names what cannot be set."""
    with unit_of_work() as uow:
        targets.put(uow, actor, {(one.severity, one.span): one.seconds for one in given.items})
    return list_targets(actor)
