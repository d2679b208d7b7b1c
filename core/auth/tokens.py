"""API tokens: for programs, with named permissions, shown once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.actors import Actor, ActorKind
from core.auth import facts, permissions
from core.auth.models import ApiToken
from core.db import UnitOfWork, database_now, reading, unit_of_work
from core.errors import Invalid, NotFound, Problem
from core.ids import secret_token, token_digest
from core.journal import Fact, record
from core.types import Ref

PREFIX = "toc_"
_USED_EVERY = timedelta(minutes=5)


def create(
    uow: UnitOfWork, actor: Actor, *, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token with these permissions (or roles, as "role:responder"); returns the row and the token itself."""
    permissions.require(actor, "user.manage")
    granted: set[str] = set()
    problems = []
    for scope in scopes:
        role = scope.removeprefix("role:")
        if scope.startswith("role:") and role in permissions.ROLES:
            granted |= permissions.of_roles([role])
        elif scope in permissions.declared():
            granted.add(scope)
        else:
            problems.append(Problem("scopes", f"{scope!r} is neither a permission nor role:<name of a role>"))
    if not name.strip():
        problems.append(Problem("name", "say what the token is for"))
    if not granted and not problems:
        problems.append(Problem("scopes", "name at least one permission"))
    if problems:
        raise Invalid("The token cannot be made as entered.", problems)
    token = PREFIX + secret_token()
    row = ApiToken(
        name=name.strip()[:200], digest=token_digest(token), permissions=sorted(granted),
        made_by=actor.user_id, expires_at=expires_at, created_at=uow.now,
    )  # fmt: skip
    uow.add(row)
    uow.flush()
    told = Fact(
        facts.TOKEN_CREATED, (Ref("token", str(row.id)),), {"name": row.name, "permissions": row.permissions}
    )
    record(uow, actor, told)
    return row, token


def revoke(uow: UnitOfWork, actor: Actor, token_id: UUID) -> None:
    """Make a token useless from now on. Raises NotFound."""
    permissions.require(actor, "user.manage")
    row = uow.get(ApiToken, token_id)
    if row is None:
        raise NotFound("There is no such token.")
    if row.revoked_at is None:
        row.revoked_at = uow.now
        record(uow, actor, Fact(facts.TOKEN_REVOKED, (Ref("token", str(row.id)),), {"name": row.name}))


def actor_for(token: str) -> Actor | None:
    """The actor of a valid token, or None."""
    with reading() as session:
        row = session.scalar(select(ApiToken).where(ApiToken.digest == token_digest(token)))
        at = database_now(session)
    if row is None or row.revoked_at or (row.expires_at and row.expires_at <= at):
        return None
    if row.used_at is None or row.used_at <= at - _USED_EVERY:
        with unit_of_work() as uow:
            uow.execute(update(ApiToken).where(ApiToken.id == row.id).values(used_at=at))
    return Actor(ActorKind.token, str(row.id), row.name, frozenset(row.permissions))


def everything(session: Session) -> list[ApiToken]:
    """All tokens, newest first."""
    return list(session.scalars(select(ApiToken).order_by(ApiToken.created_at.desc())))
