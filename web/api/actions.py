"""Actions on an incident's values over the API: what can be done, what would be done, doing it, and what came of it."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from connectors import calls, entities
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import NotFound
from core.ids import new_id
from incidents import observables, queries
from incidents.models import Task
from playbooks import by_hand
from playbooks.by_hand import Wanted
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/incidents", tags=["actions"])


class OfferOut(Shape):
    """Something that can be done with a value; not `bound`: no product here does it, so it becomes a task."""

    name: str
    title: str
    effect: str
    input: str
    bound: bool


class ForeseenOut(Shape):
    """What would be done: at which products, with which request (secrets masked); `refused` says why it would not be,
    `waits_until` when the product has room for one call more.
    """

    name: str
    title: str
    effect: str
    bound: bool
    refused: str | None
    held: str | None
    at: list[str]
    requests: list[dict[str, Any] | None]
    waits_until: datetime | None
    lasts_seconds: int | None
    review_seconds: int | None
    told: str | None


class ActionIn(Shape):
    """An action (or a verb) on a value that the incident holds; `inputs` are what else the action must be told."""

    action: str = Field(max_length=100)
    type: str = Field(max_length=32)
    value: str = Field(max_length=2048)
    inputs: dict[str, Any] = {}
    instance: str | None = Field(default=None, max_length=64)
    reason: str = Field(default="", max_length=1000)
    lasts_seconds: int | None = Field(default=None, ge=60, le=31_536_000)
    review_seconds: int | None = Field(default=None, ge=60, le=31_536_000)


class CallOut(Shape):
    """One call of a product: what was asked, where it stands, and what the product answered."""

    id: UUID
    created_at: datetime
    asked: str
    action: str | None
    instance: str | None
    effect: str
    state: str
    note: str | None
    reason: str | None
    inputs: dict[str, Any]
    output: dict[str, Any] | None
    run: str | None
    actor_name: str
    approved_by: list[str]
    finished_at: datetime | None


class AskedOut(Shape):
    """A call that is on its way, held or refused (its note says why); or the task that took its place."""

    call: CallOut | None
    task: UUID | None


@router.get("/{key}/actions")
def list_actions(
    key: str,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[CallOut]:
    """What products were asked to do for it, by playbooks and by people, newest first."""
    with reading() as session:
        found = queries.incident(session, actor, key)
        items = rows(calls.of_subject(session, found.ref, limit, before=after), CallOut)
    return Listing(items=items, next=str(items[-1].id) if len(items) == limit else None)


@router.get("/{key}/actions/offered")
def list_offers(
    key: str, kind: Annotated[str, Query(alias="type", max_length=32)], actor: Actor = may("action.run")
) -> Listing[OfferOut]:
    """What can be done with a value of this type: by the products that are configured here first."""
    with reading() as session:
        queries.incident(session, actor, key)
        return Listing(items=rows(by_hand.offers(session, [kind])[kind], OfferOut), next=None)


@router.get("/{key}/actions/foreseen")
def foresee(
    key: str,
    action: Annotated[str, Query(max_length=100)],
    kind: Annotated[str, Query(alias="type", max_length=32)],
    value: Annotated[str, Query(max_length=2048)],
    actor: Actor = may("action.run"),
) -> ForeseenOut:
    """What an action would do with a value, and what the guard rails say; nothing is done."""
    with reading() as session:
        found = queries.incident(session, actor, key)
        seen = _seen(session, actor, found.id, kind, value)
        look = by_hand.look(session, actor, found, Wanted(action, kind, seen))
    told = look.foreseen
    verdict = told.verdict if told is not None else None
    return ForeseenOut(
        name=look.offer.name,
        title=look.offer.title,
        effect=look.offer.effect,
        bound=look.offer.bound,
        refused=look.refused or None,
        held=verdict.why if verdict is not None and verdict.state == "held" else None,
        at=[one.instance for one in told.at] if told is not None else [],
        requests=[one.request for one in told.at] if told is not None else [],
        waits_until=_latest([one.waits.until for one in told.at if one.waits]) if told is not None else None,
        lasts_seconds=_seconds(told.lasts) if told is not None else None,
        review_seconds=_seconds(told.reviewed) if told is not None else None,
        told=look.told or None,
    )


@router.post("/{key}/actions", status_code=202)
def ask(
    key: str,
    wanted: ActionIn,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
    actor: Actor = may("action.run"),
) -> AskedOut:
    """Have an action done on a value. The same `Idempotency-Key` again is the same call, and does nothing twice.

    What disrupts needs a person at a session with a second factor: a token is refused.
    """
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, key)
        value = _seen(uow, actor, found.id, wanted.type, wanted.value)
        made = by_hand.ask(
            uow,
            actor,
            found.id,
            Wanted(
                wanted.action, wanted.type, value, idempotency_key or str(new_id()), wanted.inputs, wanted.instance,
                wanted.reason, _span(wanted.lasts_seconds), _span(wanted.review_seconds),
            ),
        )  # fmt: skip
        uow.flush()
        if isinstance(made, Task):
            response.headers["Location"] = f"/api/v1/tasks/{made.id}"
            return AskedOut(call=None, task=made.id)
        return AskedOut(call=CallOut.model_validate(made), task=None)


def _seen(session: Session, actor: Actor, incident_id: UUID, kind: str, value: str) -> str:
    """The value as the incident holds it. Raises NotFound."""
    spelled = entities.normalise(kind, value) if kind in entities.TYPES else None
    wanted = observables.observable_id(kind, spelled or value)
    for one in observables.of_incident(session, actor, incident_id, only=wanted):
        return one.value
    raise NotFound("The incident holds no such value: add it first (POST …/observables), so that the record shows it.")


def _span(seconds: int | None) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds is not None else None


def _latest(moments: list[datetime]) -> datetime | None:
    return max(moments, default=None)


def _seconds(span: timedelta | None) -> int | None:
    return int(span.total_seconds()) if span is not None else None
