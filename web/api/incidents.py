"""Incidents over the API: list, open, read, change, move, assign, confirm, close, comment."""
# ruff: noqa: FAST003 - the key is a parameter of the dependency Changing

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from sqlalchemy.orm import Session

from core import access, clock
from core.actors import Actor
from core.auth import users
from core.db import UnitOfWork, reading, unit_of_work
from core.types import Severity
from incidents import closing, comments, lifecycle, named, observables, queries
from incidents.models import Incident
from incidents.filters import IncidentFilter
from reports import contract
from reports.incident import build as build_report
from reports.telling import told
from web.calling import may
from web.shapes import Listing, Shape, etag, expect, rows
from web.subjects import without_hidden

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])


class IncidentOut(Shape):
    """An incident as the API tells it; moments are RFC 3339."""

    id: UUID
    key: str
    version: int
    kind: str
    title: str
    description: str | None
    severity: str
    severity_reason: str | None
    priority: str
    stage: str
    status: str | None
    confirmation: str
    confirmed_at: datetime | None
    confirmed_by: str | None
    waiting_on: str | None
    owner_id: UUID | None
    scribe_id: UUID | None
    communications_id: UUID | None
    category: str | None
    constituency_id: UUID | None
    team_id: UUID | None
    restricted_to: list[str] | None
    tlp: str
    pap: str
    tags: list[str]
    techniques: list[str]
    late: bool
    learning: bool
    exercise: bool
    source: str | None
    trust: str
    alert_count: int
    group_rule: str | None
    group_why: str | None
    recurrence_of: UUID | None
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    disposition: str | None
    root_cause: str | None
    summary: str | None


class ObservableIn(Shape):
    """A value seen; type "auto" is told from the value."""

    value: str = Field(max_length=2000)
    type: str = "auto"


class IncidentIn(Shape):
    """What an incident is opened with by hand."""

    title: str = Field(min_length=1, max_length=500)
    severity: Severity = Severity.unknown
    description: str | None = Field(default=None, max_length=50_000)
    kind: str = "incident"
    category: str | None = None
    tlp: str = "amber"
    pap: str = "amber"
    tags: list[str] = []
    techniques: list[str] = []
    restricted_to: list[str] | None = None
    exercise: bool = False
    observables: list[ObservableIn] = []
    read_values: bool = Field(False, description="Note what title and description name, too.")


class IncidentChange(Shape):
    """Fields to change; those left out stay. `reason` is needed when a person overrides the severity."""

    title: str | None = Field(default=None, max_length=500)
    description: str | None = None
    severity: Severity | None = None
    priority: str | None = None
    category: str | None = None
    kind: str | None = None
    tlp: str | None = None
    pap: str | None = None
    tags: list[str] | None = None
    techniques: list[str] | None = None
    status: str | None = None
    exercise: bool | None = None
    reason: str | None = None


class Move(Shape):
    """The stage to go to."""

    stage: str


class Assignment(Shape):
    """Whose it is now; null takes it from its owner."""

    owner_id: UUID | None


class Confirm(Shape):
    """Whether it is an incident, and by which criterion."""

    confirmation: str
    because: str = ""


class CloseIn(Shape):
    """What it turned out to be; a declared one of high severity needs summary and root cause."""

    disposition: str
    summary: str | None = None
    root_cause: str | None = None


class ReopenIn(Shape):
    """Why it is opened again, and in which stage."""

    reason: str
    stage: str = "investigate"


class CommentIn(Shape):
    """A note in Markdown."""

    body: str = Field(min_length=1, max_length=50_000)


class CommentOut(Shape):
    """A note as it was written."""

    id: UUID
    created_at: datetime
    author_name: str
    author_kind: str
    body: str
    edited_at: datetime | None


class ObservableOut(Shape):
    """An observable of an incident; `others` counts the other incidents it was seen in."""

    id: UUID
    type: str
    value: str
    roles: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    others: int


class TimelineOut(Shape):
    """One entry of the journal about an incident."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_name: str
    verb: str
    text: str
    body: dict[str, Any]
    data: dict[str, Any] | None


@router.get("")
def list_incidents(
    state: Annotated[str, Query(pattern="^(open|closed|all)$")] = "open",
    severity: Annotated[list[str], Query()] = [],
    stage: Annotated[list[str], Query()] = [],
    owner: str | None = None,
    category: str | None = None,
    tag: str | None = None,
    observable: str | None = None,
    words: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[IncidentOut]:
    """Incidents, newest first; `after` is the `next` of the page before."""
    wanted = IncidentFilter(
        state=state, severities=severity, stages=stage, owner=owner, category=category, tag=tag, observable=observable,
        words=words,
    )  # fmt: skip
    with reading() as session:
        page = queries.incidents(session, actor, wanted, before=after, limit=limit)
        items = without_hidden(session, actor, rows(page.items, IncidentOut))
    return Listing(items=items, next=page.next)


@router.post("", status_code=201)
def open_incident(draft: IncidentIn, response: Response, actor: Actor = may("incident.open")) -> IncidentOut:
    """Open an incident by hand."""
    with unit_of_work() as uow:
        given = draft.model_dump(exclude={"observables", "read_values"})
        values = [(o.type, o.value) for o in draft.observables]
        if draft.read_values:
            values += [(one.type, one.value) for one in named.values_in(draft.title, draft.description or "")]
        made = lifecycle.open_by_hand(uow, actor, lifecycle.IncidentDraft(**given, observables=values))
        uow.flush()
        response.headers["Location"] = f"/api/v1/incidents/{made.key}"
        return _out(uow, actor, made, response)


@router.get("/{key}")
def read_incident(key: str, response: Response, actor: Actor = may("incident.read")) -> IncidentOut:
    """One incident, by its key or its id."""
    with reading() as session:
        return _out(session, actor, queries.incident(session, actor, key), response)


class _Change:
    """A change to the incident of the address, as long as it is the version that the caller saw (If-Match)."""

    def __init__(self, key: str, request: Request, response: Response) -> None:
        self.key, self.request, self.response = key, request, response

    def change(self, actor: Actor, how: Callable[[UnitOfWork, UUID], Incident]) -> IncidentOut:
        """Do `how` to it in a unit of work; the answer is what it became, with its new ETag."""
        with unit_of_work() as uow:
            found = queries.incident(uow, actor, self.key)
            expect(self.request, found.version)
            made = how(uow, found.id)
            uow.flush()
            return _out(uow, actor, made, self.response)


Changing = Annotated[_Change, Depends()]


@router.patch("/{key}")
def change_incident(it: Changing, change: IncidentChange, actor: Actor = may("incident.edit")) -> IncidentOut:
    """Change fields; send the ETag as If-Match to be told when somebody else was faster."""
    changes = change.model_dump(exclude_unset=True, exclude={"reason"})
    return it.change(actor, lambda uow, of: lifecycle.change(uow, actor, of, changes, reason=change.reason))


@router.post("/{key}/move")
def move_incident(it: Changing, to: Move, actor: Actor = may("incident.edit")) -> IncidentOut:
    """Move it to another stage."""
    return it.change(actor, lambda uow, of: lifecycle.move(uow, actor, of, to.stage))


@router.post("/{key}/assign")
def assign_incident(it: Changing, to: Assignment, actor: Actor = may("incident.edit")) -> IncidentOut:
    """Give it to somebody, or to nobody."""
    return it.change(actor, lambda uow, of: lifecycle.assign(uow, actor, of, to.owner_id))


@router.post("/{key}/confirm")
def confirm_incident(it: Changing, said: Confirm, actor: Actor = may("incident.declare")) -> IncidentOut:
    """Say whether this is an incident: unconfirmed, suspected, declared, not_an_incident."""
    return it.change(
        actor, lambda uow, of: lifecycle.confirm(uow, actor, of, said.confirmation, because=said.because)
    )


@router.post("/{key}/close")
def close_incident(it: Changing, end: CloseIn, actor: Actor = may("incident.close")) -> IncidentOut:
    """Close it; 422 lists everything that is missing."""
    closed = closing.Closing(end.disposition, end.summary, end.root_cause)
    return it.change(actor, lambda uow, of: closing.close(uow, actor, of, closed))


@router.post("/{key}/reopen")
def reopen_incident(it: Changing, again: ReopenIn, actor: Actor = may("incident.close")) -> IncidentOut:
    """Open a closed one again."""
    return it.change(
        actor, lambda uow, of: closing.reopen(uow, actor, of, reason=again.reason, to=again.stage)
    )


@router.get("/{key}/timeline")
def read_timeline(
    key: str,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[TimelineOut]:
    """Its journal, newest first."""
    with reading() as session:
        found = queries.incident(session, actor, key)
        entries = queries.timeline(session, actor, found.id, before=after, limit=limit)
        names = users.names(session)
    items = [
        TimelineOut(
            id=e.id, at=e.at, actor_kind=e.actor_kind, actor_name=e.actor_name, verb=e.verb, text=told(e, names), body=e.body,
            data=e.data,
        )
        for e in entries
    ]  # fmt: skip
    return Listing(items=items, next=str(entries[-1].id) if len(entries) == limit else None)


@router.get("/{key}/observables")
def read_observables(key: str, actor: Actor = may("incident.read")) -> Listing[ObservableOut]:
    """What was seen in it."""
    with reading() as session:
        found = queries.incident(session, actor, key)
        return Listing(
            items=rows(observables.of_incident(session, actor, found.id), ObservableOut), next=None
        )


@router.post("/{key}/observables", status_code=201)
def add_observable(
    key: str, seen: ObservableIn, actor: Actor = may("incident.edit")
) -> Listing[ObservableOut]:
    """Attach a value; answers all of the incident's."""
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, key)
        observables.attach(uow, actor, found.id, seen.type, seen.value)
        uow.flush()
        return Listing(items=rows(observables.of_incident(uow, actor, found.id), ObservableOut), next=None)


@router.get("/{key}/comments")
def read_comments(key: str, actor: Actor = may("incident.read")) -> Listing[CommentOut]:
    """Its notes, oldest first."""
    with reading() as session:
        found = queries.incident(session, actor, key)
        return Listing(items=rows(comments.of_incident(session, actor, found.id), CommentOut), next=None)


@router.post("/{key}/comments", status_code=201)
def add_comment(key: str, note: CommentIn, actor: Actor = may("incident.comment")) -> CommentOut:
    """Add a note."""
    with unit_of_work() as uow:
        found = queries.incident(uow, actor, key)
        made = comments.add(uow, actor, found.id, note.body)
        uow.flush()
        return CommentOut.model_validate(made)


def _out(session: Session, actor: Actor, incident: Incident, response: Response) -> IncidentOut:
    etag(response, incident.version)
    (told,) = without_hidden(session, actor, [IncidentOut.model_validate(incident)])
    return told


@router.get("/{key}/report")
def read_report(
    key: str,
    name: Annotated[str, Query(alias="format")] = "json",
    of: Annotated[str, Query(alias="print")] = "",
    external: bool = False,
    actor: Actor = may("incident.read"),
) -> Response:
    """Its report: `format` is json, html, pdf or stix; `print` of pdf is executive, full or annex; `external`: roles for names."""
    chosen = contract.get(name)
    with reading() as session:
        report = build_report(session, actor, key, now=clock.now(), external=external)
        about = queries.incident(session, actor, key)
    access.note(actor, "took the report of", about.ref, about.key, within=about.id)
    disposition = f'attachment; filename="{chosen.filename(report, of)}"'
    return Response(
        chosen.written(report, of), media_type=chosen.media_type, headers={"Content-Disposition": disposition}
    )
