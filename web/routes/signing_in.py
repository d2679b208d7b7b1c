"""Signing in and out, and the one link with which a person sets the first password."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from core.actors import SYSTEM, Actor
from core.auth import sessions, users
from core.auth.models import User
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem, TocsinError
from web import security
from web.languages import LANGUAGES
from web.languages import gettext as _
from web.pages import Page, show
from web.security import Form, open_to_all

router = APIRouter(include_in_schema=False)

BEFORE_SESSION = "there is no session yet to forge; Guard refuses other sites' requests once there is one"


@dataclass(kw_only=True)
class LoginPage(Page, template="login.html"):
    """The sign-in form."""

    problem: str | None
    email: str
    next: str
    wants_code: bool
    never_started: bool


@dataclass(kw_only=True)
class StartPage(Page, template="start.html"):
    """The form with which a person sets a password by a signed link."""

    problems: list[Problem]
    email: str
    name: str
    asks_name: bool


def inside(address: str) -> str:
    """A path of ours to go on to; anything else becomes the first page."""
    parts = urlsplit(address)
    ours = (
        not parts.scheme
        and not parts.netloc
        and address.startswith("/")
        and not address.startswith(("//", "/\\"))
    )
    return address if ours else "/"


def peer(request: Request) -> str | None:
    """The address the request comes from."""
    return request.client.host if request.client else None


@router.get("/login")
def sign_in_page(request: Request) -> Response:
    """The form; somebody already signed in goes straight on."""
    go_on = inside(request.query_params.get("next", "/"))
    token = request.cookies.get(security.COOKIE)
    if token and sessions.actor_for(token):
        return RedirectResponse(go_on, 303)
    with reading() as session:
        never = users.nobody_yet(session)
    return show(request, LoginPage(problem=None, email="", next=go_on, wants_code=False, never_started=never))


@router.post("/login", dependencies=[open_to_all(BEFORE_SESSION)])
def sign_in(request: Request, form: Form) -> Response:
    """Check the password and start a session."""
    email, go_on = form.get("email"), inside(form.get("next", "/"))
    password = form.form.get("password", "")
    try:
        token = sessions.sign_in(
            email, password if isinstance(password, str) else "", address=peer(request),
            agent=request.headers.get("User-Agent"),
        )  # fmt: skip
    except TocsinError as error:
        page = LoginPage(
            problem=error.message, email=email, next=go_on, wants_code=False, never_started=False
        )
        return show(request, page, status=error.status)
    response = RedirectResponse(go_on, 303)
    security.give_cookie(response, token)
    return response


@router.post("/logout", dependencies=[open_to_all("ends only the session whose cookie it carries")])
def sign_out(request: Request) -> Response:
    """End the session."""
    if token := request.cookies.get(security.COOKIE):
        sessions.sign_out(token)
    response = RedirectResponse("/login", 303)
    security.take_cookie(response)
    return response


@router.get("/start/{token}")
def start_page(request: Request, token: str) -> Response:
    """The form for a first password."""
    with reading() as session:
        user = users.from_start(session, token)
    return show(request, _start_page(user, []))


@router.post("/start/{token}", dependencies=[open_to_all("the signed link is the proof, good for one use")])
def start(request: Request, form: Form, token: str) -> Response:
    """Set the password and sign in."""
    with reading() as session:
        user = users.from_start(session, token)
    password, again = (str(form.form.get(name, "")) for name in ("password", "again"))
    if password != again:
        return show(request, _start_page(user, [Problem("", _("The two passwords differ."))]), status=422)
    try:
        hashed = users.hash_password(password)
    except Invalid as error:
        return show(request, _start_page(user, [Problem("", error.message)]), status=422)
    with unit_of_work() as uow:
        user = users.from_start(uow, token)
        me: Actor = users.actor_of(user)
        if user.password is None and (name := form.get("name")) and name != user.name:
            users.change(uow, me, user.id, name=name)
        users.set_password(uow, me if user.password else SYSTEM, user.id, hashed)
        opened = sessions.start(uow, user, address=peer(request), agent=request.headers.get("User-Agent"))
    response = RedirectResponse("/", 303)
    security.give_cookie(response, opened)
    return response


@router.post("/language", dependencies=[open_to_all("changes nothing but this browser's own cookie")])
def language(form: Form) -> Response:
    """Remember the reader's language in this browser."""
    chosen = form.get("language")
    response = RedirectResponse(inside(form.get("back", "/")), 303)
    if chosen in LANGUAGES:
        response.set_cookie(
            security.LANGUAGE_COOKIE, chosen, max_age=365 * 86400, samesite="lax", secure=security.secure()
        )
    return response


def _start_page(user: User, problems: list[Problem]) -> StartPage:
    first = user.password is None
    name = "" if user.name == "Administrator" else user.name
    return StartPage(problems=problems, email=user.email, name=name, asks_name=first)
