"""E-mail: a plain and an HTML form of the same few lines, handed to the configured SMTP server."""

from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from notify import outward
from notify.contract import Channel, Context, Field, Outgoing, Sent, Undeliverable
from notify.wording import headline, one_line

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """Hand the mail over; the provider id is our Message-ID, the answer the server's own words."""
    if not context.smtp_url:
        raise Undeliverable("No mail server is set up: an administrator sets one on Settings, Installation.", permanent=True)
    mail = compose(outgoing, address["to"], context)
    answer = outward.mail(context, mail)
    return Sent(str(mail["Message-ID"]), answer)


def compose(outgoing: Outgoing, to: str, context: Context) -> EmailMessage:
    """The mail (RFC 5322): automatic mail says so (RFC 3834), and all mail about one page is one thread."""
    host = urlsplit(context.base_url).hostname or "tocsin.invalid"
    mail = EmailMessage()
    mail["From"] = context.smtp_from if "<" in context.smtp_from else f"Tocsin <{context.smtp_from}>"
    mail["To"] = _address(to)
    mail["Subject"] = headline(outgoing)
    mail["Date"] = format_datetime(outgoing.at)
    mail["Message-ID"] = f"<{outgoing.id}@{host}>"
    if outgoing.thread:
        mail["In-Reply-To"] = mail["References"] = f"<{outgoing.thread}@{host}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = f"Tocsin {outgoing.kind}s <{outgoing.kind}s.{host}>"
    if outgoing.kind in ("page", "bundle") and outgoing.severity.rank >= 4:
        mail["Importance"], mail["X-Priority"] = "high", "1"
    values = {"outgoing": outgoing, "base_url": context.base_url}
    mail.set_content(_templates.get_template("mail.txt").render(values))
    mail.add_alternative(_templates.get_template("mail.html").render(values), subtype="html")
    if outgoing.picture is not None:
        mail.add_attachment(outgoing.picture, maintype="image", subtype="png", filename="picture.png")
    return mail


def _address(to: str) -> Address:
    try:
        return Address(addr_spec=one_line(to))
    except (ValueError, IndexError) as error:
        raise Undeliverable(f'"{one_line(to)}" is not a mail address.', permanent=True) from error


channel = Channel(
    name="email",
    title="E-mail",
    docs="https://www.rfc-editor.org/rfc/rfc5322",
    send=send,
    address=(Field("to", "Address", "email", help="Where pages and messages are sent."),),
    shown=lambda address: address.get("to", ""),
)
