"""What an installation needs from outside: mail, report form, heartbeat and witness, set on one page and tried out there."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import chosen, heartbeat, witness
from core.actors import Actor
from core.auth.models import User
from core.db import reading
from core.errors import Conflict, Invalid, Problem, TocsinError
from core.net import imap, smtp
from core.net.imap import Mailbox
from core.net.smtp import Server
from core.settings import CHANGEABLE, Settings
from ingest import mail_ways
from ingest.mail_ways import Standing
from web import installation, mail_servers
from web.installation import Tried
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

HERE = "/settings/installation"


@dataclass(kw_only=True)
class InstallationPage(Page, template="installation.html", rail="settings"):
    """What is on, by what it is set, and a form for each."""

    given: Settings
    on: int
    mailbox: Mailbox | None
    kept: bool
    every: int
    server: Server | None
    security: str
    sender: str
    mine: str
    witnesses: list[witness.Kept]
    standing: Standing
    beaten: datetime | None
    fixed: dict[str, str]
    broken: frozenset[str]
    form_url: str
    entered: dict[str, str]
    problems: list[Problem]
    about: str
    tried: Tried | None


@router.get("/settings/installation")
def overview(request: Request, actor: Actor = allowed("settings.manage")) -> Response:
    """What is set, and by what."""
    del actor
    return _page(request)


@router.post("/settings/installation/form")
def report_form(request: Request, form: Form, actor: Actor = allowed("settings.manage")) -> Response:
    """Let people without an account report something, or no longer."""
    on = form.get("on") == "1"
    wanted = {"report_form": "1" if on else ""}
    if on and (form.get("code") or form.flag("no_code")):
        wanted["report_code"] = "" if form.flag("no_code") else form.get("code")
    said = _("The report form is on.") if on else _("The report form is off.")
    return _saved(request, actor, "form", _free(wanted), said, form)


@router.post("/settings/installation/mailbox")
def mailbox(request: Request, form: Form, actor: Actor = allowed("settings.manage")) -> Response:
    """Have a mailbox looked into, and say at once whether it works; or no longer."""
    if form.flag("remove"):
        return _saved(
            request, actor, "mailbox", {"imap_url": ""}, _("The mailbox is no longer looked into."), form
        )
    try:
        wanted = _free({"imap_url": mail_servers.mailbox_url(form, _now().imap_url), "imap_every": form.get("every")})
        installation.save(actor, wanted)
    except (Invalid, Conflict) as error:
        return _page(request, "mailbox", form, _problems(error))
    return _page(request, "mailbox", tried=installation.try_mailbox(actor))


@router.post("/settings/installation/mailbox/try")
def try_mailbox(request: Request, actor: Actor = allowed("settings.manage")) -> Response:
    """Sign in there and count what waits."""
    return _page(request, "mailbox", tried=installation.try_mailbox(actor))


@router.post("/settings/installation/outgoing")
def outgoing(request: Request, form: Form, actor: Actor = allowed("settings.manage")) -> Response:
    """Say by which server mail leaves, and from which address; or that none does."""
    if form.flag("remove"):
        wanted = _free({"smtp_url": "", "smtp_from": ""})
        return _saved(request, actor, "outgoing", wanted, _("No mail leaves any more."), form)
    given = _now()
    wanted = {"smtp_from": form.get("sender")}
    try:
        if "smtp_url" not in given.fixed:
            wanted["smtp_url"] = mail_servers.server_url(form, given.smtp_url)
        if "smtp_from" not in given.fixed and not wanted["smtp_from"]:
            raise Invalid(_("Write the address that mail comes from, such as tocsin@example.org."), [])
        installation.save(actor, _free(wanted))
    except (Invalid, Conflict) as error:
        return _page(request, "outgoing", form, _problems(error))
    return then(f"{HERE}#outgoing", _("Saved. Send yourself a test mail now."))


@router.post("/settings/installation/outgoing/test")
def send_test(request: Request, form: Form, actor: Actor = allowed("settings.manage")) -> Response:
    """Send one mail now, and say what the server answered."""
    try:
        return _page(request, "outgoing", tried=installation.try_outgoing(actor, form.get("to")))
    except (Invalid, Conflict) as error:
        return _page(request, "outgoing", form, _problems(error))


@router.post("/settings/installation/witness")
def new_witness(request: Request, form: Form, actor: Actor = allowed("settings.manage")) -> Response:
    """Have one more witness keep the journal's checkpoints, and send the newest one at once."""
    place = form.get("place")
    target = f"mailto:{quote(place, safe='@')}" if form.get("kind") == "mail" else place
    try:
        return _page(request, "witness", tried=installation.add_witness(actor, target))
    except (Invalid, Conflict) as error:
        return _page(request, "witness", form, _problems(error))


@router.post("/settings/installation/witness/{witness_id}/remove")
def no_witness(request: Request, witness_id: UUID, actor: Actor = allowed("settings.manage")) -> Response:
    """Let a witness go."""
    try:
        name = installation.remove_witness(actor, witness_id)
    except Conflict as error:
        return _page(request, "witness", None, _problems(error))
    return then(f"{HERE}#witness", _("%(name)s gets no checkpoints any more.") % {"name": name})


@router.post("/settings/installation/witness/{witness_id}/try")
def try_witness(request: Request, witness_id: UUID, actor: Actor = allowed("settings.manage")) -> Response:
    """Send the newest checkpoint there now."""
    return _page(request, "witness", tried=installation.try_witness(actor, witness_id))


@router.post("/settings/installation/listener")
def listener(request: Request, form: Form, actor: Actor = allowed("settings.manage")) -> Response:
    """Take mail in by SMTP somewhere, or no longer."""
    off = form.flag("remove")
    wanted = {"mail_listen": "" if off else form.get("place"), "mail_to": "" if off else form.get("to")}
    if not off and not wanted["mail_listen"]:
        message = _("Write where mail is to be taken in, such as 127.0.0.1:2525.")
        return _page(request, "listener", form, [Problem("mail_listen", message)])
    return _saved(request, actor, "listener", _free(wanted), "", form)


@router.post("/settings/installation/heartbeat")
def outside(request: Request, form: Form, actor: Actor = allowed("settings.manage")) -> Response:
    """Have a dead man's switch told every minute, and tell it at once; or no longer."""
    if form.flag("remove"):
        return _saved(
            request, actor, "heartbeat", {"heartbeat_url": ""}, _("Nobody outside is told any more. Pause the check at your switch now, or it alarms."), form
        )
    if form.get("url"):
        try:
            installation.save(actor, {"heartbeat_url": form.get("url")})
        except (Invalid, Conflict) as error:
            return _page(request, "heartbeat", form, _problems(error))
    return try_heartbeat(request, actor)


@router.post("/settings/installation/heartbeat/try")
def try_heartbeat(request: Request, actor: Actor = allowed("settings.manage")) -> Response:
    """Send one now."""
    try:
        return _page(request, "heartbeat", tried=installation.try_heartbeat(actor))
    except Conflict as error:
        return _page(request, "heartbeat", None, _problems(error))


def _now() -> Settings:
    with reading() as session:
        return chosen.effective(session)


def _free(wanted: dict[str, str]) -> dict[str, str]:
    """Without what the environment says: its field is shown and cannot be changed."""
    fixed = _now().fixed
    return {name: text for name, text in wanted.items() if name not in fixed}


def _saved(
    request: Request, actor: Actor, about: str, wanted: dict[str, str], said: str, form: Fields
) -> Response:
    try:
        installation.save(actor, wanted)
    except (Invalid, Conflict) as error:
        return _page(request, about, form, _problems(error))
    return then(f"{HERE}#{about}", said)


def _problems(error: TocsinError) -> list[Problem]:
    return (error.problems if isinstance(error, Invalid) else []) or [Problem("", error.message)]


def _page(
    request: Request, about: str = "", form: Fields | None = None, problems: list[Problem] | None = None,
    tried: Tried | None = None,
) -> Response:  # fmt: skip
    with reading() as session:
        given, kept, witnesses = chosen.effective(session), chosen.kept(session), witness.witnesses(session)
        user = session.get(User, actor_id) if (actor_id := request.state.actor.user_id) else None
    found = imap.read_url(given.imap_url) if given.imap_url else None
    names = ("host", "port", "user", "folder", "done", "every", "security", "place", "to", "url", "sender", "kind")
    on = (given.smtp_url, given.report_form, given.imap_url, given.mail_listen, given.heartbeat_url, given.witness)
    server = smtp.read_url(given.smtp_url) if given.smtp_url else None
    page = InstallationPage(
        given=given,
        on=sum(map(bool, on)),
        server=server,
        security=mail_servers.security_of(server) if server else "starttls",
        sender="" if given.smtp_from.endswith("@localhost") else given.smtp_from,
        mine=user.email if user and not user.email.endswith("@localhost") else "",
        witnesses=witnesses,
        mailbox=found,
        kept=found is not None,
        every=int(given.imap_every.total_seconds()),
        standing=mail_ways.standing(),
        beaten=heartbeat.last(given.data_dir),
        fixed={name: CHANGEABLE[name] for name in given.fixed & CHANGEABLE.keys()},
        broken=kept.broken,
        form_url=f"{given.base_url}/report",
        entered={name: form.get(name) for name in names} if form is not None else {},
        problems=problems or [],
        about=about,
        tried=tried,
    )
    return show(request, page, status=422 if problems else 200)
