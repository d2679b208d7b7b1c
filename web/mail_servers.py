"""Reads what a form says about a mail server, coming in or going out, into the URL that is stored."""

from core.errors import Invalid
from core.net import imap, smtp
from core.net.imap import Mailbox
from core.net.smtp import Server
from web.languages import gettext as _
from web.security import Fields

SECURITIES = ("tls", "starttls", "clear")
_PORTS = {"tls": 465, "starttls": 587, "clear": 25}


def mailbox_url(form: Fields, former: str | None) -> str:
    """The mailbox that the form describes, as a URL; an empty password stays as it was. Raises Invalid."""
    before = imap.read_url(former) if former else None
    host, security = _host(form), form.get("security")
    user, password = form.get("user"), _password(form, before)
    if not host or not user or not password:
        raise Invalid(_("A mailbox needs a server, a user and a password."), [])
    same = before is not None and before.host == host
    return imap.write_url(
        Mailbox(
            host=host, port=_port(form, 993 if security == "tls" else 143), implicit_tls=security == "tls", user=user, password=password,
            folder=form.get("folder") or "INBOX", done=form.get("done") or None, starttls=security != "clear",
            verify=before.verify if before and same else True, insecure=security == "clear",
        )
    )  # fmt: skip


def server_url(form: Fields, former: str | None) -> str:
    """The server that takes our mail, as the form describes it; an empty password stays as it was. Raises Invalid."""
    before = smtp.read_url(former) if former else None
    host, security, user = _host(form), form.get("security"), form.get("user")
    if not host:
        raise Invalid(_("Write the name of the server that takes your mail, such as mail.example.org."), [])
    kept = before if before is not None and before.user == user else None
    password = _password(form, kept) if user else ""
    if user and not password:
        raise Invalid(
            _("Type the password of this user. It is not kept while you are asked for a second factor."), []
        )
    same = before is not None and before.host == host
    return smtp.write_url(
        Server(
            host=host, port=_port(form, _PORTS[security]), implicit_tls=security == "tls", user=user, password=password,
            starttls={"tls": None, "starttls": True, "clear": None}[security],
            verify=before.verify if before and same else True, insecure=security == "clear",
            name=before.name if before and same else None,
        )
    )  # fmt: skip


def security_of(server: Server) -> str:
    """How the form names what a server's URL says of encryption."""
    if server.implicit_tls:
        return "tls"
    return "starttls" if server.starttls or (server.user and not server.insecure) else "clear"


def _host(form: Fields) -> str:
    host = form.get("host")
    if (
        form.get("security") not in SECURITIES
        or not host.isprintable()
        or any(letter in host for letter in "/@?# ")
    ):
        raise Invalid(_("Write the server's name alone, such as mail.example.org."), [])
    return host


def _port(form: Fields, usual: int) -> int:
    port = form.get("port") or str(usual)
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise Invalid(_("A port is a number from 1 to 65535."), [])
    return int(port)


def _password(form: Fields, before: Mailbox | Server | None) -> str:
    """As typed, else as it was. Raises Invalid where another server, or everybody on the way, would get the former one."""
    typed = str(form.form.get("password", ""))
    if typed or before is None:
        return typed
    if before.host != form.get("host"):
        raise Invalid(
            _("Type the password again: it is never sent to another server than it was typed for."), []
        )
    if form.get("security") == "clear" and not before.insecure and before.password:
        raise Invalid(_("Type the password again: it would go there in the clear, which it never did."), [])
    return before.password
