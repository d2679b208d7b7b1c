"""Tokens: keys for programs that speak with the API, shown once when made."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import clock
from core.actors import Actor
from core.auth import permissions, tokens
from core.auth.models import ApiToken
from core.auth.permissions import Permission
from core.db import reading, unit_of_work
from core.errors import Problem, TocsinError
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class TokensPage(Page, template="tokens.html", rail="settings"):
    """The tokens there are, a form for another one, and the new one's value once."""

    tokens: list[ApiToken]
    known: list[Permission]
    roles: tuple[str, ...]
    fresh: str | None
    problems: list[Problem]


def _page(request: Request, *, fresh: str | None = None, problems: list[Problem] | None = None) -> Response:
    with reading() as session:
        rows = tokens.everything(session)
    page = TokensPage(
        tokens=rows,
        known=sorted(permissions.declared().values(), key=lambda permission: permission.name),
        roles=permissions.ROLES,
        fresh=fresh,
        problems=problems or [],
    )
    return show(request, page, status=422 if problems else 200)


@router.get("/settings/tokens")
def everything(request: Request, actor: Actor = allowed("user.manage")) -> Response:
    """Every token, without its value."""
    del actor
    return _page(request)


@router.post("/settings/tokens")
def make(request: Request, form: Form, actor: Actor = allowed("user.manage")) -> Response:
    """Make a token and show it once."""
    days = form.get("days")
    expires = clock.now() + timedelta(days=int(days)) if days.isdecimal() and days != "0" else None
    try:
        with unit_of_work() as uow:
            _row, token = tokens.create(
                uow, actor, name=form.get("name"), scopes=form.many("scope"), expires_at=expires
            )
    except TocsinError as error:
        return _page(request, problems=getattr(error, "problems", None) or [Problem("", error.message)])
    return _page(request, fresh=token)


@router.post("/settings/tokens/{token_id}/revoke")
def revoke(token_id: UUID, actor: Actor = allowed("user.manage")) -> Response:
    """Make a token useless."""
    with unit_of_work() as uow:
        tokens.revoke(uow, actor, token_id)
    return then("/settings/tokens", _("The token no longer works."))
