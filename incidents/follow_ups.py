"""Actions after an incident: owned, dated, followed until they are done or dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.auth.models import User
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact, Verb
from core.types import Ref
from incidents import facts
from incidents.models import FollowUp, Incident
from incidents.paging import Page, page
from incidents.permissions import EDIT, WORK_TASKS
from incidents.visibility import belongs_to_visible, visible_to

STATES = ("open", "done", "dropped")
MOST_EARLIER = 20


@dataclass(frozen=True)
class FollowUpDraft:
    """What is to be changed, who sees to it, until when; `link` is where the work is tracked elsewhere."""

    title: str
    owner_id: UUID | None = None
    due_at: datetime | None = None
    link: str = ""


@dataclass(frozen=True)
class Earlier:
    """An open action of another incident, and that incident's key and title."""

    row: FollowUp
    key: str
    title: str


def add(uow: UnitOfWork, actor: Actor, incident_id: UUID, draft: FollowUpDraft) -> FollowUp:
    """Add an action to an incident, open or closed. Raises NotFound, Invalid with every problem."""
    permissions.require(actor, EDIT.name)
    if uow.scalar(select(Incident.id).where(Incident.id == incident_id, visible_to(actor))) is None:
        raise NotFound("There is no such incident, or you may not see it.")
    row = FollowUp(
        id=new_id(), created_at=uow.now, incident_id=incident_id, state="open", added_by=actor.name, note=""
    )
    _set(uow, row, draft)
    uow.add(row)
    uow.flush()
    _tell(uow, actor, row, facts.FOLLOW_UP_ADDED, _dated(row), {"title": row.title, "link": row.link})
    return row


def change(
    uow: UnitOfWork, actor: Actor, follow_up_id: UUID, draft: FollowUpDraft, *, version: int | None = None
) -> FollowUp:
    """Say it anew: title, owner, date and link. Raises NotFound, Invalid, Conflict when it has ended or somebody was faster."""
    permissions.require(actor, EDIT.name)
    row = _locked(uow, actor, follow_up_id)
    if version is not None and version != row.version:
        raise Conflict("Somebody else has changed this meanwhile; look at what it says now.")
    before = {**_dated(row), "title": row.title, "link": row.link}
    _set(uow, row, draft)
    now = {**_dated(row), "title": row.title, "link": row.link}
    changed = {name: {"from": before[name], "to": now[name]} for name in now if now[name] != before[name]}
    if changed:
        body = {"fields": sorted(changed)}
        _tell(uow, actor, row, facts.FOLLOW_UP_CHANGED, body, {"title": row.title, "changed": changed})
    return row


def end(uow: UnitOfWork, actor: Actor, follow_up_id: UUID, state: str, note: str = "") -> FollowUp:
    """Say that it is done, or dropped and why. Raises NotFound, Invalid, Conflict when it has ended."""
    permissions.require(actor, WORK_TASKS.name)
    row = _locked(uow, actor, follow_up_id)
    if state not in ("done", "dropped"):
        raise Invalid("An action ends as done or dropped.", [Problem("state", "It must be done or dropped.")])
    if state == "dropped" and not note.strip():
        raise Invalid("Say why it is dropped.", [Problem("note", "A reason is needed.")])
    row.state, row.ended_at, row.ended_by, row.note = state, uow.now, actor.name, note.strip()[:2000]
    told = {"title": row.title, **({"note": row.note} if row.note else {})}
    _tell(uow, actor, row, facts.FOLLOW_UP_ENDED, {"state": state}, told)
    return row


def listed(
    session: Session,
    actor: Actor,
    *,
    state: str | None = "open",
    incident_id: UUID | None = None,
    owner_id: UUID | None = None,
    overdue_at: datetime | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Page[FollowUp]:
    """A page of actions, newest first. overdue_at: only those that were due before it. Raises Invalid for a foreign cursor."""
    query = select(FollowUp).where(belongs_to_visible(actor, FollowUp.incident_id))
    if state is not None:
        query = query.where(FollowUp.state == state)
    if incident_id is not None:
        query = query.where(FollowUp.incident_id == incident_id)
    if owner_id is not None:
        query = query.where(FollowUp.owner_id == owner_id)
    if overdue_at is not None:
        query = query.where(FollowUp.due_at < overdue_at)
    found: Page[FollowUp] = page(session, query, FollowUp, before=before, limit=limit)
    return found


def overdue_of(session: Session, actor: Actor, at: datetime, limit: int = 50) -> list[FollowUp]:
    """The actor's own open actions that were due before `at`, the longest overdue first."""
    if actor.user_id is None:
        return []
    query = select(FollowUp).where(
        FollowUp.state == "open",
        FollowUp.owner_id == actor.user_id,
        FollowUp.due_at < at,
        belongs_to_visible(actor, FollowUp.incident_id),
    )
    return list(session.scalars(query.order_by(FollowUp.due_at, FollowUp.id).limit(limit)))


def overdue_count(session: Session, actor: Actor, at: datetime) -> int:
    """How many open actions were due before `at`, of what the actor may see; counted to 1,000."""
    some = select(FollowUp.id).where(
        FollowUp.state == "open", FollowUp.due_at < at, belongs_to_visible(actor, FollowUp.incident_id)
    )
    return session.scalar(select(func.count()).select_from(some.limit(1000).subquery())) or 0


def of_incident(session: Session, actor: Actor, incident_id: UUID) -> list[FollowUp]:
    """Every action of an incident, oldest first, at most 500."""
    query = select(FollowUp).where(
        FollowUp.incident_id == incident_id, belongs_to_visible(actor, FollowUp.incident_id)
    )
    return list(session.scalars(query.order_by(FollowUp.created_at, FollowUp.id).limit(500)))


def earlier(session: Session, actor: Actor, incident: Incident) -> list[Earlier]:
    """What earlier incidents of the same category or root cause still have open: it may have happened again for that."""
    alike: list[ColumnElement[bool]] = []
    if incident.category:
        alike.append(Incident.category == incident.category)
    if incident.root_cause and incident.root_cause.strip():
        alike.append(func.lower(Incident.root_cause) == incident.root_cause.strip().lower())
    if incident.recurrence_of is not None:
        alike.append(Incident.id == incident.recurrence_of)
    if not alike:
        return []
    query = (
        select(FollowUp, Incident.key, Incident.title)
        .join(Incident, Incident.id == FollowUp.incident_id)
        .where(
            FollowUp.state == "open", Incident.id != incident.id, Incident.opened_at < incident.opened_at,
            or_(*alike), visible_to(actor),
        )
        .order_by(FollowUp.created_at, FollowUp.id)
        .limit(MOST_EARLIER)
    )  # fmt: skip
    return [Earlier(row, key, title) for row, key, title in session.execute(query)]


def one(session: Session, actor: Actor, follow_up_id: UUID) -> FollowUp:
    """One action. Raises NotFound."""
    row = session.scalar(
        select(FollowUp).where(FollowUp.id == follow_up_id, belongs_to_visible(actor, FollowUp.incident_id))
    )
    if row is None:
        raise NotFound("There is no such action, or you may not see it.")
    return row


def keys_of(session: Session, rows: Sequence[FollowUp]) -> dict[UUID, str]:
    """The keys of the incidents of rows that somebody may see."""
    query = select(Incident.id, Incident.key).where(Incident.id.in_({row.incident_id for row in rows}))
    return {row.id: row.key for row in session.execute(query)}


def _locked(uow: UnitOfWork, actor: Actor, follow_up_id: UUID) -> FollowUp:
    query = select(FollowUp).where(
        FollowUp.id == follow_up_id, belongs_to_visible(actor, FollowUp.incident_id)
    )
    row = uow.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise NotFound("There is no such action, or you may not see it.")
    if row.state != "open":
        raise Conflict(f"This action is {row.state} already; {row.ended_by} said so.")
    return row


def _set(uow: UnitOfWork, row: FollowUp, draft: FollowUpDraft) -> None:
    problems = []
    title = " ".join(draft.title.replace("\x00", "\ufffd").split())
    if not title:
        problems.append(Problem("title", "Say what is to be changed."))
    if draft.owner_id is not None and draft.owner_id != row.owner_id:
        owner = uow.get(User, draft.owner_id)
        if owner is None or owner.disabled_at is not None:
            problems.append(Problem("owner_id", "There is no such person, or they have left."))
    if problems:
        raise Invalid(problems[0].message, problems)
    row.title, row.owner_id, row.due_at, row.link = (
        title[:500],
        draft.owner_id,
        draft.due_at,
        draft.link.strip()[:2000],
    )


def _dated(row: FollowUp) -> dict[str, Any]:
    return {
        "owner": str(row.owner_id) if row.owner_id else None,
        "due_at": row.due_at.isoformat() if row.due_at else None,
    }


def _tell(
    uow: UnitOfWork, actor: Actor, row: FollowUp, verb: Verb, body: dict[str, Any], data: dict[str, Any]
) -> None:
    uow.flush()
    journal.record(uow, actor, Fact(verb, (Ref("incident", str(row.incident_id)), row.ref), body, data))
