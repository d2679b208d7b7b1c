"""The report form, the mailboxes and the outside heartbeat: set on one page, tried out there."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response

from core import chosen, heartbeat
from core.actors import Actor
from core.db import reading
from core.errors import Conflict, Invalid, Problem, TocsinError
from core.net import imap
from core.net.imap import Mailbox
from core.settings import CHANGEABLE, Settings
from ingest import mail_ways
from ingest.mail_ways import Standing
from web import installation
from web.installation import Tried
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

HERE = "/settings/installation"
SECURITIES = ("tls", "starttls", "clear")


@dataclass(kw_only=True)
class InstallationPage(Page, template="installation.html", rail="settings"):
    """What is on, by what it is set, and a form for each."""

    given: Settings
    on: int
    mailbox: Mailbox | None
    kept: bool
    every: int
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
        wanted = _free({"imap_url": _typed(form), "imap_every": form.get("every")})
        installation.save(actor, wanted)
    except (Invalid, Conflict) as error:
        return _page(request, "mailbox", form, _problems(error))
    return _page(request, "mailbox", tried=installation.try_mailbox(actor))


@router.post("/settings/installation/mailbox/try")
def try_mailbox(request: Request, actor: Actor = allowed("settings.manage")) -> Response:
    """Sign in there and count what waits."""
    return _page(request, "mailbox", tried=installation.try_mailbox(actor))


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
            request, actor, "heartbeat", {"heartbeat_url": ""}, _("Nobody outside is told any more."), form
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


def _free(wanted: dict[str, str]) -> dict[str, str]:
    """Without what the environment says: its field is shown and cannot be changed."""
    with reading() as session:
        fixed = chosen.effective(session).fixed
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


def _typed(form: Fields) -> str:
    """The mailbox that the form describes, as a URL; an empty password stays as it was. Raises Invalid."""
    with reading() as session:
        url = chosen.effective(session).imap_url
    before = imap.read_url(url) if url else None
    host, user, security = form.get("host"), form.get("user"), form.get("security")
    password = str(form.form.get("password", "")) or (before.password if before else "")
    port = form.get("port") or ("993" if security == "tls" else "143")
    if not host or not user or not password:
        raise Invalid(_("A mailbox needs a server, a user and a password."), [])
    if security not in SECURITIES or any(letter in host for letter in "/@?# "):
        raise Invalid(_("Write the server's name alone, such as mail.example.org."), [])
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise Invalid(_("A port is a number from 1 to 65535."), [])
    if before and before.host != host and not form.form.get("password"):
        raise Invalid(
            _("Type the password again: it is never sent to another server than it was typed for."), []
        )
    return imap.write_url(
        Mailbox(
            host=host, port=int(port), implicit_tls=security == "tls", user=user, password=password,
            folder=form.get("folder") or "INBOX", done=form.get("done") or None, starttls=security != "clear",
            verify=before.verify if before and before.host == host else True, insecure=security == "clear",
        )
    )  # fmt: skip


def _page(
    request: Request, about: str = "", form: Fields | None = None, problems: list[Problem] | None = None,
    tried: Tried | None = None,
) -> Response:  # fmt: skip
    with reading() as session:
        given, kept = chosen.effective(session), chosen.kept(session)
    found = imap.read_url(given.imap_url) if given.imap_url else None
    names = ("host", "port", "user", "folder", "done", "every", "security", "place", "to", "url")
    page = InstallationPage(
        given=given,
        on=sum(map(bool, (given.report_form, given.imap_url, given.mail_listen, given.heartbeat_url))),
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
