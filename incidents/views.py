"""Filters of lists kept under a name: saved by people for themselves or for everybody, and removed."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact
from incidents import facts
from incidents.permissions import READ, SHARE_VIEWS
from incidents.view_models import SavedView

LISTS = ("incidents", "alerts")
MOST = 50
_MOST_QUERY = 2000


def save(uow: UnitOfWork, actor: Actor, *, list_name: str, name: str, query: str, shared: bool = False) -> SavedView:
    """Keep a list's filters under a name, for oneself or for everybody. Raises Invalid, Conflict, Forbidden."""
    permissions.require(actor, SHARE_VIEWS.name if shared else READ.name)
    if actor.user_id is None:
        raise Forbidden("Only a person has views.")
    problems = []
    if list_name not in LISTS:
        problems.append(Problem("list", f"It is a view of {' or '.join(LISTS)}."))
    if not 1 <= len(name.strip()) <= 60:
        problems.append(Problem("name", "Give it a name of 1 to 60 characters."))
    if len(query) > _MOST_QUERY:
        problems.append(Problem("query", "These filters are too long to be kept."))
    if problems:
        raise Invalid(f"The view cannot be saved: {problems[0].message}", problems)
    mine = select(func.count()).select_from(SavedView).where(SavedView.owner_id == actor.user_id)
    if (uow.scalar(mine) or 0) >= MOST:
        raise Conflict(f"You have {MOST} views already; remove one first.")
    kept = [(key, value) for key, value in parse_qsl(query) if key != "after"]
    row = SavedView(
        id=new_id(), created_at=uow.now, owner_id=actor.user_id, owner_name=actor.name, shared=shared,
        list_name=list_name, name=name.strip(), query=urlencode(kept),
    )  # fmt: skip
    uow.add(row)
    uow.flush()
    body = {"list": list_name, "shared": shared}
    journal.record(uow, actor, Fact(facts.VIEW_SAVED, (row.ref,), body, {"name": row.name, "query": row.query}))
    return row


def remove(uow: UnitOfWork, actor: Actor, view_id: UUID) -> SavedView:
    """Forget a view of one's own, or a shared one if one may share. Raises NotFound, Forbidden."""
    permissions.require(actor, READ.name)
    row = uow.get(SavedView, view_id)
    if row is None or (row.owner_id != actor.user_id and not row.shared):
        raise NotFound("There is no such view.")
    if row.owner_id != actor.user_id:
        permissions.require(actor, SHARE_VIEWS.name)
    uow.delete(row)
    journal.record(uow, actor, Fact(facts.VIEW_REMOVED, (row.ref,), {"list": row.list_name}, {"name": row.name}))
    return row


def of_list(session: Session, actor: Actor, list_name: str) -> Sequence[SavedView]:
    """The views of a list that the actor sees: the shared ones and their own, by name, at most two hundred."""
    seen = or_(SavedView.shared, SavedView.owner_id == actor.user_id) if actor.user_id else SavedView.shared
    query = select(SavedView).where(SavedView.list_name == list_name, seen)
    return session.scalars(query.order_by(SavedView.name, SavedView.id).limit(200)).all()
