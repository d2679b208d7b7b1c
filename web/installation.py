"""What the page and the API do with the settings of this installation: save them, have them taken up, try them out."""

from collections.abc import Mapping
from dataclasses import dataclass

from core import chosen, clock, heartbeat, reach
from core.actors import Actor
from core.auth import permissions
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, Problem, TocsinError
from core.net import LoginRefused, NetError, NetRefused, NetTimeout, imap
from core.settings import settings
from ingest import mail_poll, mail_ways
from web.languages import gettext as _
from web.languages import ngettext


@dataclass(frozen=True)
class Tried:
    """What came of trying: a sentence, and for what did not work how it is mended."""

    name: str
    worked: bool
    says: str
    mend: str = ""


def save(actor: Actor, wanted: Mapping[str, str]) -> list[str]:
    """Set these and have them taken up; the names of those that changed. Raises Forbidden, Conflict, Invalid."""
    if wanted.get("mail_listen"):
        _safe(wanted["mail_listen"])
    with unit_of_work() as uow:
        changed = chosen.put(uow, actor, wanted)
        if "imap_url" in changed or "imap_every" in changed:
            mail_poll.seed(uow)
    if "mail_listen" in changed or "mail_to" in changed:
        mail_ways.take_up()
    return changed


def _safe(place: str) -> None:
    given = settings()
    try:
        beyond = reach.mail_place(place).beyond
    except Invalid:
        return  # chosen.put says what is wrong
    if beyond and given.tls_certificate is None and not given.allow_plain_http:
        message = _(
            "Other machines would send mails there in the clear: Tocsin has no certificate. Write 127.0.0.1:2525 and let "
            "your mail server stand beside it, or start Tocsin with TOCSIN_TLS=generate."
        )
        raise Invalid(message, [Problem("mail_listen", message)])


def try_mailbox(actor: Actor) -> Tried:
    """Sign in at the mailbox that is set and count what waits; nothing is taken. Blocks. Raises Forbidden, Conflict (none is set)."""
    permissions.require(actor, chosen.MANAGE.name)
    with reading() as session:
        url = chosen.effective(session).imap_url
    if not url:
        raise Conflict(_("No mailbox is set up yet."))
    try:
        waiting = mail_poll.waiting(imap.read_url(url))
        told = ngettext("It works: %(num)s mail waits there.", "It works: %(num)s mails wait there.", waiting)
        tried = Tried("imap_url", True, told % {"num": waiting})
    except (NetError, Invalid) as error:
        tried = Tried("imap_url", False, error.message, _mend_mailbox(error))
    return _noted(actor, tried)


def _mend_mailbox(error: TocsinError) -> str:
    match error:
        case LoginRefused():
            return _(
                "Check the user and the password. Many providers want an app password here, and IMAP switched on for the account."
            )
        case NetRefused():
            return _("A rule of this installation forbids going there; the sentence says which.")
        case NetTimeout():
            return _(
                "Check the server's name and its port, and whether a firewall lets this machine out to it."
            )
    said = error.message.lower()
    if "certificate" in said:
        return _(
            "Its certificate is not trusted: write the name that stands in it, or give this machine your authority's certificate."
        )
    if "no folder" in said:
        return _("Write the folder as your mail server names it, such as INBOX or INBOX/Reported.")
    if "without tls" in said:
        return _("Choose TLS, which is port 993 almost everywhere.")
    return _("Check the server's name, its port and how it is encrypted.")


def try_heartbeat(actor: Actor) -> Tried:
    """Send one heartbeat now. Blocks. Raises Forbidden, Conflict (none is set)."""
    permissions.require(actor, chosen.MANAGE.name)
    with reading() as session:
        given = chosen.effective(session)
    if not given.heartbeat_url:
        raise Conflict(_("No outside heartbeat is set up yet."))
    try:
        status = heartbeat.send(given.heartbeat_url)
    except (NetError, Invalid) as error:
        mend = _("Check the address, and whether a firewall lets this machine out to it.")
        return _noted(actor, Tried("heartbeat_url", False, error.message, mend))
    if not 200 <= status < 300:
        said = _("It was reached, and answered %(status)s.") % {"status": status}
        mend = _(
            "Check the address: it is the whole one that your switch shows for a call that says all is well."
        )
        return _noted(actor, Tried("heartbeat_url", False, said, mend))
    heartbeat.remember(given.data_dir, clock.now())
    said = _("It works: one heartbeat was sent, and answered %(status)s.") % {"status": status}
    return _noted(actor, Tried("heartbeat_url", True, said))


def _noted(actor: Actor, tried: Tried) -> Tried:
    with unit_of_work() as uow:
        chosen.tried(uow, actor, tried.name, worked=tried.worked)
    return tried
