"""What the page and the API do with the settings of this installation: save them, have them taken up, try them out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from core import chosen, clock, heartbeat, limits, reach, sealing, witness
from core.actors import Actor
from core.auth import permissions
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Problem, TocsinError
from core.net import LoginRefused, NetError, NetRefused, NetTimeout, imap
from core.settings import settings
from core.witness_places import name_of
from ingest import mail_poll, mail_ways
from web import trying_mail
from web.languages import gettext as _
from web.languages import ngettext

TEST_MAILS = 20
"""So many test mails one person may send in an hour."""


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
        if "witness" in changed or "smtp_url" in changed:
            witness.seed(uow)
    if "heartbeat_url" in changed:
        heartbeat.forget(settings().data_dir)
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


def try_outgoing(actor: Actor, to: str) -> Tried:
    """Send one test mail now; what the server answered. Blocks. Raises Forbidden, Conflict (none is set up), Invalid (the address)."""
    permissions.require(actor, chosen.MANAGE.name)
    limits.take("test-mail", actor.id, most=TEST_MAILS, overall=10 * TEST_MAILS)
    with reading() as session:
        given = chosen.effective(session)
    if not given.smtp_url:
        raise Conflict(_("No mail server is set up yet: save one first."))
    answer = trying_mail.attempt(given, to)
    return _noted(actor, Tried("smtp_url", answer.worked, answer.says, answer.mend))


def add_witness(actor: Actor, target: str) -> Tried:
    """One more witness beside those there are, and what came of sending it the newest checkpoint. Blocks.

    Raises Forbidden, NeedsSecondFactor, Conflict (the environment says who), Invalid.
    """
    with unit_of_work() as uow:
        before = chosen.effective(uow).witness
        if target in before:
            raise Conflict(_("This witness is there already."))
        if "," in target or "\n" in target:
            message = _("Write one address at a time.")
            raise Invalid(message, [Problem("witness", message)])
        chosen.put(uow, actor, {"witness": "\n".join((*before, target))})
        witness.seed(uow, timedelta(minutes=1))  # first it is tried here and now
    return try_witness(actor, witness.id_of(target))


def remove_witness(actor: Actor, number: UUID) -> str:
    """Let a witness go; what it was called. Raises Forbidden, NeedsSecondFactor, NotFound, Conflict."""
    with unit_of_work() as uow:
        before = chosen.effective(uow).witness
        gone = _witness(before, number)
        chosen.put(uow, actor, {"witness": "\n".join(one for one in before if one != gone)})
    return name_of(gone)


def try_witness(actor: Actor, number: UUID) -> Tried:
    """Send a witness the newest checkpoint now. Blocks. Raises Forbidden, NotFound."""
    permissions.require(actor, chosen.MANAGE.name)
    with reading() as session:
        given, last = chosen.effective(session), sealing.latest(session)
    target = _witness(given.witness, number)
    name = {"name": name_of(target)}
    if last is None:
        return Tried("witness", True, _("Nothing is sealed yet; %(name)s gets the first checkpoint within a minute.") % name)
    try:
        answer = witness.send(given, target, last)
    except (NetError, Invalid) as error:
        mend = _("Mail goes out by the server above: try that first.") if target.startswith("mailto:") else _(
            "Check the address, and whether a firewall lets this machine out to it."
        )  # fmt: skip
        return _noted(actor, Tried("witness", False, error.message, f"{mend} {_('It is tried again by itself.')}"))
    with unit_of_work() as uow:
        witness.note(uow, actor, number, last, answer, given.witness_every)
    said = _("It works: %(name)s got the newest checkpoint, and answered: %(answer)s") % {**name, "answer": answer[:300]}
    return _noted(actor, Tried("witness", True, said))


def _witness(known: tuple[str, ...], number: UUID) -> str:
    found = next((one for one in known if witness.id_of(one) == number), None)
    if found is None:
        raise NotFound(_("This witness is not there any more."))
    return found


def _noted(actor: Actor, tried: Tried) -> Tried:
    with unit_of_work() as uow:
        chosen.tried(uow, actor, tried.name, worked=tried.worked)
    return tried
