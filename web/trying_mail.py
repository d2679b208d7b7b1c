"""Sends one test mail by the server that is set up, and says in words what came of it and how it is mended."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

from core import heartbeat
from core.errors import Invalid, Problem, TocsinError
from core.net import NetError, NetRefused, NetTimeout, SmtpRefused, smtp
from core.settings import Settings
from web.languages import gettext as _

TIMEOUT = 10.0


@dataclass(frozen=True)
class Answer:
    """Whether the server took the mail, what it said, and how what went wrong is mended."""

    worked: bool
    says: str
    mend: str = ""


def attempt(given: Settings, to: str) -> Answer:
    """Send it, and wait for the server. Blocks. Raises Invalid when `to` is no mail address."""
    local, _at, domain = to.rpartition("@")
    if not local or not domain or len(to) > 320 or not to.isprintable() or any(one in to for one in " ,;<>"):
        message = _("Write one mail address that the test goes to.")
        raise Invalid(message, [Problem("to", message)])
    url, sender = given.smtp_url or "", given.smtp_from
    mail = EmailMessage()
    try:
        mail["From"] = sender if "<" in sender else f"Tocsin <{sender}>"
        mail["To"] = to
        mail["Subject"] = _("A test mail of Tocsin")
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=urlsplit(given.base_url).hostname or "tocsin.invalid")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(
            _("Mail leaves Tocsin at %(place)s. Pages and notices can reach people by mail.")
            % {"place": given.base_url}
            + "\n"
        )
        reply = smtp.send(url, mail, timeout=TIMEOUT, egress=heartbeat.towards(url))
    except (NetError, Invalid, ValueError) as error:
        if not isinstance(error, TocsinError):
            return Answer(
                False,
                _("The mail cannot be written: the sender's address is not a usable one."),
                _("Correct the sender."),
            )
        return Answer(False, error.message, _mend(error))
    said = _("The server took the mail for %(to)s and answered: %(answer)s") % {
        "to": to,
        "answer": reply[:300],
    }
    return Answer(
        True,
        said,
        _("Look whether it has arrived. If not, look among the junk, and ask who runs the mail server."),
    )


def _mend(error: TocsinError) -> str:
    said = error.message.lower()
    match error:
        case NetRefused():
            return _("A rule of this installation forbids going there; the sentence says which.")
        case NetTimeout():
            return _(
                "Check the server's name and its port, and whether a firewall lets this machine out to it. Many providers close port 25."
            )
        case SmtpRefused() if "user name or password" in said:
            return _(
                "Check the user and the password. Many providers want an app password here, and SMTP switched on for the account."
            )
        case SmtpRefused():
            return _(
                "The server spoke, and did not take this mail: its own words say why. Often it takes no mail from this sender, or wants a user and a password first."
            )
    if "certificate" in said:
        return _(
            "Its certificate is not trusted: write the name that stands in it, or give this machine your authority's certificate."
        )
    if "starttls" in said or "tls" in said:
        return _(
            "Choose another way to encrypt: most servers want STARTTLS on port 587, or TLS from the start on port 465."
        )
    return _("Check the server's name, its port and how it is encrypted.")
