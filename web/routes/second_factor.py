"""One's own second factor: adding an authenticator app or a passkey, recovery codes, removing them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.auth import factors, passkeys, recovery, totp, users
from core.auth.models import SecondFactor
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import token_digest
from core.settings import settings
from web import first_steps, security, way_back
from web.first_steps import Step
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed
from web.way_back import LastKey

router = APIRouter(include_in_schema=False)

HERE = "/profile/factor"


@dataclass(kw_only=True)
class FactorPage(Page, template="factor.html"):
    """What one has, and what one can add."""

    factors: list[SecondFactor]
    has_password: bool
    last: LastKey | None
    codes: int
    required: bool
    passkeys: bool
    address: str
    ask_password: bool
    minutes: int
    own_certificate: bool
    next_step: Step | None
    problems: list[Problem]


@dataclass(kw_only=True)
class AppPage(Page, template="factor_app.html"):
    """The secret of a new app, as a picture and as text."""

    factor_id: UUID
    picture: str
    secret: str
    problems: list[Problem]


@dataclass(kw_only=True)
class PasskeyPage(Page, template="factor_passkey.html"):
    """The browser is asked to make a passkey."""

    options: dict[str, Any]
    ticket: str


@dataclass(kw_only=True)
class CodesPage(Page, template="factor_codes.html"):
    """New recovery codes, shown this once."""

    codes: list[str]


@router.get("/profile/factor")
def mine(request: Request, actor: Actor = allowed("contact.manage_own")) -> Response:
    """One's own factors."""
    return _page(request, actor)


@router.post("/profile/factor/app")
def begin_app(request: Request, form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Begin with an authenticator app."""
    right = _password(request, form, actor)
    try:
        with unit_of_work() as uow:
            factor = totp.begin(uow, actor, password=right)
    except Conflict as error:
        return _page(request, actor, error)
    return then(f"{HERE}/app/{factor.id}")


@router.get("/profile/factor/app/{factor_id}")
def app(request: Request, factor_id: UUID, actor: Actor = allowed("contact.manage_own")) -> Response:
    """The secret to scan; once a code has been typed it is never shown again."""
    return _app(request, actor, factor_id, [])


@router.post("/profile/factor/app/{factor_id}")
def finish_app(
    request: Request, form: Form, factor_id: UUID, actor: Actor = allowed("contact.manage_own")
) -> Response:
    """The code proves that the app works."""
    code = "".join(form.get("code").split())
    try:
        with unit_of_work() as uow:
            first = actor.user_id is not None and not factors.enrolled(uow, actor.user_id)
            factor = totp.confirm(uow, actor, factor_id, code, session=_digest(request))
            codes = recovery.fresh(uow, actor, factor.user_id) if first else []
    except Invalid as error:
        return _app(request, actor, factor_id, [Problem("", error.message)])
    return _added(request, codes)


@router.post("/profile/factor/passkey")
def begin_passkey(request: Request, form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Have the browser make a passkey."""
    right = _password(request, form, actor)
    try:
        with reading() as session:
            options, ticket = passkeys.invite(session, actor, password=right)
    except Conflict as error:
        return _page(request, actor, error)
    return show(request, PasskeyPage(options=options, ticket=ticket))


@router.post("/profile/factor/passkey/made")
def finish_passkey(request: Request, form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Keep what the browser has made."""
    try:
        with unit_of_work() as uow:
            first = actor.user_id is not None and not factors.enrolled(uow, actor.user_id)
            factor = passkeys.enrol(
                uow, actor, form.get("ticket"), form.get("answer"), name=form.get("name"), session=_digest(request)
            )  # fmt: skip
            codes = recovery.fresh(uow, actor, factor.user_id) if first else []
    except (Invalid, Conflict) as error:
        return _page(request, actor, error)
    return _added(request, codes)


@router.post("/profile/factor/codes")
def new_codes(request: Request, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Ten new recovery codes."""
    try:
        with unit_of_work() as uow:
            codes = recovery.make(uow, actor)
    except Conflict as error:
        return _page(request, actor, error)
    return show(request, CodesPage(codes=codes))


@router.post("/profile/factor/{factor_id}/remove")
def remove(factor_id: UUID, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Take one away."""
    with unit_of_work() as uow:
        name = factors.remove(uow, actor, factor_id).name
    return then(HERE, _("%(name)s is no longer asked for. Remove it from the device as well.") % {"name": name})


def _added(request: Request, codes: list[str]) -> Response:
    if codes:
        return show(request, CodesPage(codes=codes))
    return then(HERE, _("Added: you are asked for it from now on."))


def _digest(request: Request) -> bytes:
    return token_digest(request.cookies.get(security.COOKIE, ""))


def _password(request: Request, form: Fields, actor: Actor) -> bool:
    """Whether the password was given and is right, or was given at sign-in a moment ago. Slow: no transaction is open."""
    with reading() as session:
        if factors.just_signed_in(session, _digest(request)):
            return True
        stored = users.get(session, actor.user_id).password if actor.user_id else None
    given = str(form.form.get("present", ""))
    return bool(given) and users.password_fits(stored, given)


def _app(request: Request, actor: Actor, factor_id: UUID, problems: list[Problem]) -> Response:
    import segno  # only here, and it brings much along

    with reading() as session:
        factor = factors.mine(session, actor, factor_id)
        user = users.get(session, factor.user_id)
    if factor.kind != totp.KIND or factor.confirmed_at is not None:
        raise NotFound(_("This has been set up already; its secret is not shown again."))
    picture = segno.make(totp.address_of(factor, user.email), error="m").svg_data_uri(scale=4, border=3, light="#fff")
    page = AppPage(factor_id=factor.id, picture=picture, secret=totp.secret_of(factor), problems=problems)
    return show(request, page, status=422 if problems else 200)


def _page(request: Request, actor: Actor, error: Invalid | Conflict | None = None) -> Response:
    if actor.user_id is None:
        raise NotFound(_("Only people have second factors."))
    with reading() as session:
        known, me = factors.of_user(session, actor.user_id), users.get(session, actor.user_id)
        page = FactorPage(
            factors=known,
            has_password=users.has_password(me),
            last=way_back.last_key(session, me),
            codes=recovery.left(session, actor.user_id),
            required=settings().second_factor_required,
            passkeys=passkeys.possible(),
            address=settings().base_url,
            ask_password=not known and not factors.just_signed_in(session, _digest(request)),
            minutes=int(settings().second_factor_fresh.total_seconds() // 60),
            own_certificate=settings().tls_generated,
            next_step=first_steps.following(session, actor, "factor"),
            problems=[Problem("", error.message)] if error else [],
        )
    return show(request, page, status=error.status if error else 200)
