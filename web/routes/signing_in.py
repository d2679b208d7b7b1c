"""Signing in, in two steps for those who have a second factor, signing out, and the link that sets a password."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from core import chosen
from core.actors import SYSTEM, Actor
from core.auth import factors, passkeys, passwordless, sessions, users
from core.auth.models import User
from core.auth.second_step import Shown
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, Problem, TocsinError
from web import security
from web.languages import LANGUAGES
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, open_to_all
from web.stepping_up import Asked

router = APIRouter(include_in_schema=False)

BEFORE_SESSION = "there is no session yet to forge; Guard refuses other sites' requests once there is one"


@dataclass(kw_only=True)
class LoginPage(Page, template="login.html"):
    """The sign-in form."""

    problem: str | None
    email: str
    next: str
    never_started: bool
    asked: Asked


@dataclass(kw_only=True)
class SecondPage(Page, template="login_second.html"):
    """The second step of signing in."""

    problem: str
    next: str
    step: str
    asked: Asked


@dataclass(kw_only=True)
class StartPage(Page, template="start.html"):
    """The form with which a person sets a password by a signed link; the first time they also say who they are."""

    problems: list[Problem]
    email: str
    name: str
    first: bool
    mail: bool
    asked: Asked


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


@router.get("/login")
def sign_in_page(request: Request) -> Response:
    """The form; somebody already signed in goes straight on."""
    go_on = inside(request.query_params.get("next", "/"))
    token = request.cookies.get(security.COOKIE)
    if token and sessions.actor_for(token):
        return RedirectResponse(go_on, 303)
    with reading() as session:
        never = users.nobody_yet(session)
    return _login_page(request, go_on, never=never)


@router.post("/login", dependencies=[open_to_all(BEFORE_SESSION)])
def sign_in(request: Request, form: Form) -> Response:
    """Check the password and start a session."""
    email, go_on = form.get("email"), inside(form.get("next", "/"))
    password = form.form.get("password", "")
    try:
        token = sessions.sign_in(
            email, password if isinstance(password, str) else "", address=security.peer(request),
            agent=request.headers.get("User-Agent"),
        )  # fmt: skip
    except sessions.NeedsSecondStep as needed:
        return _second(request, needed.ticket, go_on)
    except TocsinError as error:
        return _login_page(request, go_on, error, email)
    return _come_in(token, go_on)


@router.post("/login/second", dependencies=[open_to_all(BEFORE_SESSION)])
def second_step(request: Request, form: Form) -> Response:
    """Check the second factor and start the session."""
    step, go_on = form.get("step"), inside(form.get("next", "/"))
    shown = Shown(form.get("code"), form.get("ticket"), form.get("answer"))
    try:
        token = sessions.sign_in_second(
            step, shown, address=security.peer(request), agent=request.headers.get("User-Agent")
        )
    except TocsinError as error:
        return _second(request, step, go_on, error)
    return _come_in(token, go_on)


@router.post("/login/passkey", dependencies=[open_to_all(BEFORE_SESSION)])
def sign_in_alone(request: Request, form: Form) -> Response:
    """Check the passkey, which is enough, and start a session."""
    go_on = inside(form.get("next", "/"))
    try:
        token = passwordless.sign_in(
            form.get("ticket"), form.get("answer"), address=security.peer(request), agent=request.headers.get("User-Agent")
        )  # fmt: skip
    except TocsinError as error:
        return _login_page(request, go_on, error)
    return _come_in(token, go_on)


def _login_page(
    request: Request, go_on: str, error: TocsinError | None = None, email: str = "", *, never: bool = False
) -> Response:
    with reading() as session:
        question = None if never else passkeys.open_challenge(session)
    page = LoginPage(
        problem=error.message if error else None, email=email, next=go_on, never_started=never,
        asked=Asked(*question) if question else Asked(),
    )  # fmt: skip
    return show(request, page, status=error.status if error else 200)


def _come_in(token: str, go_on: str) -> Response:
    response = RedirectResponse(go_on, 303)
    security.give_cookie(response, token)
    return response


def _second(request: Request, step: str, go_on: str, error: TocsinError | None = None) -> Response:
    """The form of the second step; back to the first one when the step is no longer good."""
    try:
        with reading() as session:
            question = passkeys.challenge(session, sessions.second_step_of(session, step))
    except Invalid as gone:
        return _login_page(request, go_on, gone)
    asked = Asked(*question) if question is not None else Asked()
    problem = error.message if error else ""
    return show(
        request,
        SecondPage(problem=problem, next=go_on, step=step, asked=asked),
        status=error.status if error else 200,
    )


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
    return _start_page(request, user)


@router.post("/start/{token}", dependencies=[open_to_all("the signed link is the proof, good for one use")])
def start(request: Request, form: Form, token: str) -> Response:
    """Set the password, the first time name and address too, and sign in."""
    with reading() as session:
        user = users.from_start(session, token)
    password, again = (str(form.form.get(name, "")) for name in ("password", "again"))
    alone = user.password is None and bool(form.get("answer"))
    try:
        if password != again:
            raise Invalid(_("The two passwords differ."))
        hashed = "" if alone else users.hash_password(password)
        with unit_of_work() as uow:
            person = users.from_start(uow, token)
            me: Actor = users.actor_of(person)
            first = person.password is None
            first_of_all = first and users.nobody_yet(uow)
            if first:
                users.change(uow, me, person.id, name=form.get("name", person.name) or " ")
                users.readdress(uow, me, person.id, form.get("email", person.email))
            agent = request.headers.get("User-Agent")
            if first and alone:
                opened = passwordless.begin(
                    uow, person, form.get("ticket"), form.get("answer"), address=security.peer(request), agent=agent
                )  # fmt: skip
                return _come_in(opened, _after(first_of_all=first_of_all, alone=True))
            users.set_password(uow, SYSTEM if first else me, person.id, hashed)
            if factors.enrolled(uow, person.id):  # the link stands for the password only
                return then("/login", _("The password is set. Sign in with it, and with your second factor."))
            opened = sessions.start(uow, person, address=security.peer(request), agent=agent)
    except (Invalid, Conflict) as error:
        problems = (error.problems if isinstance(error, Invalid) else []) or [Problem("", error.message)]
        return _start_page(request, user, problems, form)
    return _come_in(opened, _after(first_of_all=first_of_all, alone=False))


def _after(*, first_of_all: bool, alone: bool) -> str:
    """Where the first way in leads: what is yours, then the second factor, of which a passkey needs only its recovery codes."""
    if first_of_all:
        return "/settings/yours?first=1"
    return "/" if alone else "/profile/factor"


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


def _start_page(
    request: Request, user: User, problems: list[Problem] | None = None, entered: Form | None = None
) -> Response:
    """The form, empty where only a placeholder is known, or as it was entered."""
    held = {"name": user.name, "email": user.email}
    if user.email.endswith("@localhost"):
        held = {"name": "", "email": ""}  # nobody is called so, and no page would arrive there
    if user.password is None and entered is not None:
        held = {name: entered.get(name, value) for name, value in held.items()}
    first = user.password is None
    with reading() as session:
        mail = bool(chosen.effective(session).smtp_url)
        invitation = passkeys.first_invitation(session, user) if first else None
    page = StartPage(
        problems=problems or [], first=first, mail=mail,
        asked=Asked(*invitation) if invitation else Asked(), **held,
    )  # fmt: skip
    return show(request, page, status=422 if problems else 200)
