"""Whose incidents these are and who works on them: constituencies and teams."""

import re
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import facts
from incidents.models import Constituency, Team
from incidents.permissions import EDIT_CIRCLES

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def add_constituency(
    uow: UnitOfWork, actor: Actor, *, slug: str, name: str, contact: str | None = None
) -> Constituency:
    """Add an organisation whose incidents are worked on here. Raises Invalid, Conflict."""
    _check(uow, actor, Constituency, slug, name)
    row = Constituency(id=new_id(), created_at=uow.now, slug=slug, name=name.strip(), contact=contact)
    uow.add(row)
    _tell(uow, actor, "constituency", row)
    return row


def add_team(uow: UnitOfWork, actor: Actor, *, slug: str, name: str) -> Team:
    """Add a team. Raises Invalid, Conflict."""
    _check(uow, actor, Team, slug, name)
    row = Team(id=new_id(), created_at=uow.now, slug=slug, name=name.strip())
    uow.add(row)
    _tell(uow, actor, "team", row)
    return row


def constituencies(session: Session) -> Sequence[Constituency]:
    """All constituencies by name."""
    return session.scalars(select(Constituency).order_by(Constituency.name)).all()


def teams(session: Session) -> Sequence[Team]:
    """All teams by name."""
    return session.scalars(select(Team).order_by(Team.name)).all()


def _check(
    uow: UnitOfWork, actor: Actor, model: type[Constituency] | type[Team], slug: str, name: str
) -> None:
    permissions.require(actor, EDIT_CIRCLES.name)
    if not _SLUG.fullmatch(slug) or len(slug) > 64:
        raise Invalid("The short name is lower-case letters, digits and single hyphens, at most 64 of them.")
    if not 1 <= len(name.strip()) <= 200:
        raise Invalid("A name of 1 to 200 characters is needed.")
    if uow.scalar(select(model.id).where(model.slug == slug)) is not None:
        raise Conflict(f'"{slug}" is taken.')


def _tell(uow: UnitOfWork, actor: Actor, kind: str, row: Constituency | Team) -> None:
    journal.record(
        uow, actor, Fact(facts.CIRCLE_ADDED, (Ref(kind, str(row.id)),), {"slug": row.slug, "name": row.name})
    )
