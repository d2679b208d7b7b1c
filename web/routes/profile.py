"""One's own account: name, zone, password and how one is reached."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from core import chosen
from core.actors import Actor
from core.auth import factors, recovery, sessions, users
from core.auth.models import SecondFactor, User, UserSession
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Problem, TocsinError
from core.settings import settings
from notify import contacts, policies, queries, registry
from notify.contract import Channel
from notify.models import ContactMethod
from reports import doctor
from reports.doctor import Finding
from web import first_steps, security, way_back
from web.first_steps import Step
from web.languages import LANGUAGES
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed
from web.testing_contacts import Way, confirm, count_try, send_test, way_of
from web.way_back import LastKey
from web.zones import zone_names

router = APIRouter(include_in_schema=False)

HOME = "/profile"
WAYS = f"{HOME}#contacts"


@dataclass(frozen=True, kw_only=True)
class Seat:
    """One signed-in browser."""

    held: UserSession
    here: bool


@dataclass(frozen=True, kw_only=True)
class Otherwise:
    """What is missing for the case that the reader does not answer: what the doctor says, and after how many seconds it counts."""

    wait: int
    finding: Finding


@dataclass(kw_only=True)
class ProfilePage(Page, template="profile.html"):
    """Me: how I am called, how I am reached, where I am signed in."""

    me: User
    has_password: bool
    last: LastKey | None
    ways: list[Way]
    channels: list[Channel]
    mail: bool
    may_set: bool
    seats: list[Seat]
    factors: list[SecondFactor]
    codes: int
    zones: list[str]
    problems: list[Problem]
    about: str
    entered: dict[str, str]
    next_step: Step | None
    otherwise: Otherwise | None


def me_of(session: Session, actor: Actor) -> User:
    """The reader's account. Raises NotFound for programs."""
    if actor.user_id is None:
        raise NotFound(_("Only people have a profile."))
    return users.get(session, actor.user_id)


def _page(
    request: Request, actor: Actor, about: str = "", problems: list[Problem] | None = None,
    entered: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    token = request.cookies.get(security.COOKIE, "")
    with reading() as session:
        me = me_of(session, actor)
        methods = queries.contact_methods(session, me.id)
        known = registry.all_channels()
        page = ProfilePage(
            me=me,
            has_password=users.has_password(me),
            last=way_back.last_key(session, me),
            ways=[
                way_of(session, one)
                for one in methods
                if one.channel in known and known[one.channel].reaches_out
            ],
            channels=[channel for channel in known.values() if channel.reaches_out],
            mail=bool(chosen.effective(session).smtp_url),
            may_set=actor.may("settings.manage"),
            seats=[
                Seat(held=held, here=sessions.is_of(held, token)) for held in sessions.of_user(session, me.id)
            ],
            factors=factors.of_user(session, me.id),
            codes=recovery.left(session, me.id),
            zones=zone_names(),
            problems=problems or [],
            about=about,
            entered=entered or {},
            next_step=first_steps.following(session, actor, "way"),
            otherwise=_otherwise(session, actor) if methods else None,
        )
    return show(request, page, status=422 if problems else 200)


def _otherwise(session: Session, actor: Actor) -> Otherwise | None:
    """For those who look after the installation: what the light for a second responder says while it is not green."""
    if not actor.may("doctor.read") or settings().muzzled:
        return None
    found = doctor.one(session, "responders")
    if found.state is not doctor.State.yellow:
        return None
    steps = policies.plan(session, "")["steps"]
    return Otherwise(wait=steps[0]["delay"] if steps else policies.CATCH_ALL_WAITS, finding=found)


def _require_present(actor: Actor, me: User, present: str) -> None:
    """The present password, or a passkey shown lately by whoever has none. Raises Invalid, NeedsSecondFactor."""
    if not users.has_password(me):
        with reading() as session:
            factors.require_fresh(session, actor)
    elif not users.password_fits(me.password, present):
        raise Invalid(_("The present password is not right."))


def _problems(error: TocsinError) -> list[Problem]:
    return (error.problems if isinstance(error, Invalid) else []) or [Problem("", error.message)]


@router.get("/profile")
def profile(request: Request, actor: Actor = allowed("contact.manage_own")) -> Response:
    """The reader's own account."""
    return _page(request, actor)


@router.post("/profile")
def change(request: Request, form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Change name, zone and language."""
    locale = form.get("locale") if form.get("locale") in LANGUAGES else None
    try:
        with unit_of_work() as uow:
            users.change(
                uow,
                actor,
                me_of(uow, actor).id,
                name=form.get("name"),
                timezone=form.get("zone"),
                locale=locale,
            )
    except Invalid as error:
        return _page(
            request, actor, "you", _problems(error), {"name": form.get("name"), "zone": form.get("zone")}
        )
    response = then(HOME, _("Saved."))
    if locale:
        response.set_cookie(
            security.LANGUAGE_COOKIE, locale, max_age=365 * 86400, samesite="lax", secure=security.secure()
        )
    return response


@router.post("/profile/password")
def password(request: Request, form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """A new password; every other session ends."""
    present, new, again = (str(form.form.get(name, "")) for name in ("present", "password", "again"))
    with reading() as session:
        me = me_of(session, actor)
    try:
        _require_present(actor, me, present)
        if new != again:
            raise Invalid(_("The two new passwords differ."))
        hashed = users.hash_password(new)
    except Invalid as error:
        return _page(request, actor, "password", [Problem("", error.message)])
    with unit_of_work() as uow:
        proved = sessions.proved_at(uow, request.cookies.get(security.COOKIE, ""))
        user = users.set_password(uow, actor, me_of(uow, actor).id, hashed)
        token = sessions.start(
            uow,
            user,
            proved_at=proved,
            address=security.peer(request),
            agent=request.headers.get("User-Agent"),
        )
    response = then(HOME, _("The new password is in force; your other sessions have ended."))
    security.give_cookie(response, token)
    return response


@router.post("/profile/email")
def email(request: Request, form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Another address, for those who know the password; every other session ends."""
    wanted = form.get("email")
    with reading() as session:
        me = me_of(session, actor)
    try:
        _require_present(actor, me, str(form.form.get("present", "")))
        with unit_of_work() as uow:
            here = request.cookies.get(security.COOKIE, "")
            users.readdress(uow, actor, me_of(uow, actor).id, wanted, keep=here)
    except (Invalid, Conflict) as error:
        return _page(request, actor, "address", _problems(error), {"email": wanted})
    return then(
        HOME, _("You sign in with %(email)s from now on. Test that mails arrive there.") % {"email": wanted}
    )


@router.post("/profile/sessions/end")
def end_sessions(request: Request, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Sign out everywhere else."""
    with unit_of_work() as uow:
        ended = sessions.end_others(uow, actor, request.cookies.get(security.COOKIE, ""))
    return then(HOME, _("%(n)s other sessions have ended.") % {"n": ended})


@router.post("/profile/contacts")
def add_contact(request: Request, form: Form, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Add a way to be reached."""
    channel, delay = form.get("channel"), form.get("delay", "180")
    address = {name: value for name, value in form.starting("address.").items() if value}
    try:
        with unit_of_work() as uow:
            contacts.add(
                uow,
                actor,
                user_id=me_of(uow, actor).id,
                channel=channel,
                address=address,
                name=form.get("name"),
                urgency=form.get("urgency", "any"),
                delay=int(delay) if delay.isdecimal() else -1,
            )
    except TocsinError as error:
        if error.status not in (404, 409, 422):
            raise
        shown = {name: value for name, value in address.items() if name in ("to", "server")}
        return _page(request, actor, channel, _problems(error), shown)
    return then(WAYS, _("Added. Send a test, so that you know it arrives."))


def _mine(session: Session, actor: Actor, method_id: UUID) -> ContactMethod:
    method = session.get(ContactMethod, method_id)
    if method is None or method.disabled_at is not None or method.user_id != actor.user_id:
        raise NotFound(_("There is no such contact method of yours."))
    return method


@router.post("/profile/contacts/{method_id}/test")
def try_contact(method_id: UUID, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Send something there."""
    with unit_of_work() as uow:
        method = _mine(uow, actor, method_id)
        send_test(uow, actor, method)
    return then(WAYS, _("A test is on its way. Type the code that it brings below."))


@router.post("/profile/contacts/{method_id}/arrived")
def arrived(
    request: Request, form: Form, method_id: UUID, actor: Actor = allowed("contact.manage_own")
) -> Response:
    """The person types back the code that the test brought."""
    with reading() as session:
        count_try(_mine(session, actor, method_id))
    try:
        with unit_of_work() as uow:
            confirm(uow, actor, _mine(uow, actor, method_id), form.get("code"))
    except Invalid as error:
        return _page(request, actor, f"code-{method_id}", _problems(error))
    return then(WAYS, _("Good: this way is confirmed."))


@router.post("/profile/contacts/{method_id}/remove")
def remove_contact(method_id: UUID, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Take a way out of use."""
    with unit_of_work() as uow:
        contacts.remove(uow, actor, _mine(uow, actor, method_id).id)
    return then(WAYS, _("Removed."))


@router.post("/profile/contacts/{method_id}/up")
def earlier(method_id: UUID, actor: Actor = allowed("contact.manage_own")) -> Response:
    """Try this way one place earlier."""
    with unit_of_work() as uow:
        me = me_of(uow, actor)
        order = [method.id for method in queries.contact_methods(uow, me.id)]
        place = order.index(_mine(uow, actor, method_id).id)
        order.insert(max(place - 1, 0), order.pop(place))
        contacts.reorder(uow, actor, me.id, order)
    return then(WAYS)
