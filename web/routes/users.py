"""Users: who works here, with which roles; adding, changing and disabling them."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.auth import factors, permissions, users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, Problem, TocsinError
from core.settings import settings
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class UsersPage(Page, template="users.html", rail="settings"):
    """Everybody who may sign in."""

    people: list[User]
    roles: tuple[str, ...]
    may_manage: bool
    me: str
    enrolled: set[UUID]
    about: str
    problems: list[Problem]
    entered: dict[str, str]


@dataclass(kw_only=True)
class UserLinkPage(Page, template="user_link.html", rail="settings"):
    """The link with which a new user sets a password, shown once."""

    person: User
    link: str


def _page(
    request: Request, actor: Actor, about: str = "", error: TocsinError | None = None, **entered: str
) -> Response:
    problems = [Problem("", error.message)] if error else []
    problems = getattr(error, "problems", None) or problems
    with reading() as session:
        people = users.everyone(session)
        enrolled = factors.everybody_enrolled(session)
    page = UsersPage(
        people=people,
        roles=permissions.ROLES,
        may_manage=actor.may("user.manage"),
        me=actor.id,
        enrolled=enrolled,
        about=about,
        problems=problems,
        entered=entered,
    )
    return show(request, page, status=422 if problems else 200)


@router.get("/settings/users")
def everyone(request: Request, actor: Actor = allowed("user.read")) -> Response:
    """Everybody who may sign in."""
    return _page(request, actor)


@router.post("/settings/users")
def add(request: Request, form: Form, actor: Actor = allowed("user.manage")) -> Response:
    """Add a user and show the link that sets their password."""
    try:
        with unit_of_work() as uow:
            added = users.create(
                uow,
                actor,
                email=form.get("email"),
                name=form.get("name"),
                roles=form.many("role"),
                timezone="UTC",
            )
            link = settings().base_url + users.start_path(added)
    except TocsinError as error:
        return _page(request, actor, "new", error, email=form.get("email"), name=form.get("name"))
    return show(request, UserLinkPage(person=added, link=link))


@router.post("/settings/users/{user_id}/link")
def link_again(request: Request, user_id: UUID, actor: Actor = allowed("user.manage")) -> Response:
    """Make a new link for a user who lost the password or the link."""
    del actor
    with reading() as session:
        person = users.get(session, user_id)
    return show(request, UserLinkPage(person=person, link=settings().base_url + users.start_path(person)))


@router.post("/settings/users/{user_id}/factor")
def reset_factor(request: Request, user_id: UUID, actor: Actor = allowed("user.manage")) -> Response:
    """Take somebody's second factors away: for whoever has lost phone and codes."""
    with unit_of_work() as uow:
        person = factors.reset(uow, actor, user_id)
    if not users.has_password(person):  # a passkey was all they had: now this link is
        return show(request, UserLinkPage(person=person, link=settings().base_url + users.start_path(person)))
    said = _("%(name)s signs in with the password alone until a new second factor is added, and has been told.")
    return then("/settings/users", said % {"name": person.name})


@router.post("/settings/users/{user_id}/roles")
def change_roles(form: Form, user_id: UUID, actor: Actor = allowed("user.manage")) -> Response:
    """Give a user other roles."""
    with unit_of_work() as uow:
        person = users.change(uow, actor, user_id, roles=form.many("role"))
        name = person.name
    return then("/settings/users", _("%(name)s has new roles.") % {"name": name})


@router.post("/settings/users/{user_id}/email")
def change_address(
    request: Request, form: Form, user_id: UUID, actor: Actor = allowed("user.manage")
) -> Response:
    """Give somebody else another address; one's own asks for the password, on one's own page."""
    try:
        if user_id == actor.user_id:
            raise Conflict(_("Change your own address on your own page: it asks for your password."))
        with unit_of_work() as uow:
            person = users.readdress(uow, actor, user_id, form.get("email"))
            told = {"name": person.name, "email": person.email}
    except (Invalid, Conflict) as error:
        return _page(request, actor, str(user_id), error, email=form.get("email"))
    return then(
        "/settings/users", _("%(name)s signs in with %(email)s from now on; open sessions have ended.") % told
    )


@router.post("/settings/users/{user_id}/disable")
def disable(user_id: UUID, actor: Actor = allowed("user.manage")) -> Response:
    """Lock a user out."""
    with unit_of_work() as uow:
        name = users.disable(uow, actor, user_id).name
    return then(
        "/settings/users", _("%(name)s can no longer sign in; open sessions have ended.") % {"name": name}
    )


@router.post("/settings/users/{user_id}/enable")
def enable(user_id: UUID, actor: Actor = allowed("user.manage")) -> Response:
    """Let a user in again."""
    with unit_of_work() as uow:
        name = users.enable(uow, actor, user_id).name
    return then("/settings/users", _("%(name)s can sign in again.") % {"name": name})
