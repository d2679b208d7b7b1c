"""Hand one message to a mail server and bring back what it said."""

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import getaddresses
from typing import Any, Self
from urllib.parse import quote, urlencode

from core.errors import Invalid
from core.net import egress as ways
from core.net import mail_urls, patience
from core.net.egress import Egress, current
from core.net.errors import NetError, NetFailed, NetTimeout, SmtpRefused
from core.net.tls import Tls
from core.net.tls import context as tls_context


MOST_TIMEOUTS = 2.5  # a whole conversation may last so many times what one answer may

# A line break that does not continue the header (RFC 5322 §2.2.3).
_NEXT_LINE = re.compile(r"\0|(\r\n?|\n)(?![ \t])")


class Reply(str):
    """The server's last words, with its queue id when it gives one; `refused`: recipients it did not take, and why."""

    __slots__ = ("refused",)
    refused: Mapping[str, str]

    def __new__(cls, text: str, refused: Mapping[str, str]) -> Self:
        made = super().__new__(cls, text)
        made.refused = dict(refused)
        return made


@dataclass(frozen=True)
class Server:
    """A mail server, from smtp[s]://user:password@host:port?starttls=1&verify=0&insecure=1&name=mx.example.org.

    starttls: True requires it, False forbids it, None uses it when offered (and requires it before a password).
    """

    host: str
    port: int
    implicit_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool | None = None
    verify: bool = True
    insecure: bool = False
    name: str | None = None

    @property
    def place(self) -> str:
        """host:port, for messages."""
        return f"{self.host}:{self.port}"


def read_url(url: str) -> Server:
    """The server a URL names; raises Invalid, never repeating the URL."""
    given = mail_urls.read(url, "mail server", ("smtp", "smtps"), ("starttls", "verify", "insecure", "name"))
    if given is None:
        raise Invalid(
            "a mail server is written smtp://host:25, smtp://user:password@host:587?starttls=1 or smtps://…"
        )
    return Server(
        host=given.host,
        port=given.port or (465 if given.scheme == "smtps" else 587 if given.user else 25),
        implicit_tls=given.scheme == "smtps",
        user=given.user,
        password=given.password,
        starttls=given.yes("starttls", "0") if "starttls" in given.options else None,
        verify=given.yes("verify", "1"),
        insecure=given.yes("insecure", "0"),
        name=given.options.get("name"),
    )


def write_url(server: Server) -> str:
    """The URL that read_url() reads as this server."""
    options = {
        "starttls": None if server.starttls is None else "1" if server.starttls else "0",
        "verify": None if server.verify else "0", "insecure": "1" if server.insecure else None, "name": server.name,
    }  # fmt: skip
    given = urlencode({name: value for name, value in options.items() if value})
    host = f"[{server.host}]" if ":" in server.host else server.host
    who = f"{quote(server.user, safe='')}:{quote(server.password, safe='')}@" if server.user else ""
    return f"{'smtps' if server.implicit_tls else 'smtp'}://{who}{host}:{server.port}{'?' if given else ''}{given}"


def send(
    url: str,
    message: EmailMessage,
    *,
    timeout: float = 20.0,
    egress: Egress | None = None,
    ca: str | None = None,
    sender: str | None = None,
) -> Reply:
    """Send `message` to everyone in To, Cc and Bcc (which is taken out) and return the server's reply.

    sender: the envelope's sender, otherwise the address in From; "" for answers that must not be answered.
    timeout: seconds for each answer; the whole conversation may last MOST_TIMEOUTS times as long.
    Raises SmtpRefused (the server said no), NetRefused, NetTimeout and NetFailed; `.sent` is True only when the text
    was on its way and no answer came: it may have been delivered. Raises Invalid for addresses and headers that
    cannot be sent.
    """
    server = read_url(url)
    recipients = _recipients(message)
    from_ = _envelope(sender if sender is not None else _first_sender(message))
    text, utf8 = _text(message, [from_, *recipients])
    rules = egress if egress is not None else current(allow_private=True)
    stage = _Stage()
    guard = _Guard(patience.until(time.monotonic() + MOST_TIMEOUTS * timeout))
    try:
        client = _open(server, rules, timeout, ca, guard)
        try:
            return _converse(client, server, from_, recipients, text, utf8, stage)
        finally:
            with suppress(OSError):
                client.quit() if not stage.broken else client.close()
    except NetError:
        raise
    except ssl.SSLCertVerificationError as error:
        raise NetFailed(f"{server.place} has a certificate we do not trust: {error.verify_message}") from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(server, error.smtp_code, error.smtp_error) from None
    except TimeoutError:
        raise NetTimeout(f"{server.place} did not answer in time", sent=stage.text_sent) from None
    except smtplib.SMTPServerDisconnected as error:
        if isinstance(error.__context__, TimeoutError) or guard.out_of_time:
            raise NetTimeout(f"{server.place} did not answer in time", sent=stage.text_sent) from None
        raise NetFailed(f"{server.place} closed the connection", sent=stage.text_sent) from None
    except OSError as error:  # smtplib's own errors too
        if guard.out_of_time:
            raise NetTimeout(f"{server.place} did not finish in time", sent=stage.text_sent) from None
        said = error.strerror or type(error).__name__
        raise NetFailed(f"{server.place} broke off: {said}", sent=stage.text_sent) from None
    finally:
        guard.leave()


class _Guard:
    """Breaks a connection off when the whole conversation has lasted too long, whatever is still said on it."""

    def __init__(self, until: float) -> None:
        self.out_of_time = False
        self._timer = threading.Timer(max(until - time.monotonic(), 0.001), self._break_off)
        self._timer.daemon = True
        self._twin: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """Begin; a twin of the socket, since TLS takes the first one over."""
        self._twin = connection.dup()
        self._timer.start()

    def leave(self) -> None:
        """The conversation has ended."""
        self._timer.cancel()
        if self._twin is not None:
            self._twin.close()

    def _break_off(self) -> None:
        self.out_of_time = True
        with suppress(OSError):
            if self._twin is not None:
                self._twin.shutdown(socket.SHUT_RDWR)


@dataclass
class _Stage:
    """How far it came: `broken` while the connection is of no more use, `text_sent` once the text is on its way."""

    text_sent: bool = False
    broken: bool = True


class _Pinned(smtplib.SMTP):
    """smtplib over a socket that the egress rules opened."""

    rules: Egress
    guard: _Guard
    wrap: ssl.SSLContext | None = None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened = ways.connect(host, port, self.rules, timeout)
        opened.settimeout(timeout)
        self.guard.watch(opened)
        return self.wrap.wrap_socket(opened, server_hostname=host) if self.wrap is not None else opened


def _open(server: Server, rules: Egress, timeout: float, ca: str | None, guard: _Guard) -> _Pinned:
    client = _Pinned(timeout=timeout, local_hostname=server.name)
    client.rules, client.guard = rules, guard
    client.wrap = tls_context(Tls(ca=ca, verify=server.verify)) if server.implicit_tls else None
    client._host = server.host  # type: ignore[attr-defined]  # not in the stubs; the name that STARTTLS checks
    try:
        _greet(client, server, ca)
    except BaseException:
        client.close()
        raise
    return client


def _greet(client: _Pinned, server: Server, ca: str | None) -> None:
    code, words = client.connect(server.host, server.port)
    if code != 220:
        raise _refusal(server, code, words)
    client.ehlo_or_helo_if_needed()
    if server.implicit_tls:
        return
    offered = client.has_extn("starttls")
    if server.starttls and not offered:
        raise NetFailed(f"{server.place} does not offer STARTTLS, which its URL asks for")
    if offered and server.starttls is not False:
        strict = server.verify and (server.starttls is True or bool(server.user))
        client.starttls(context=tls_context(Tls(ca=ca, verify=strict)))
        client.ehlo_or_helo_if_needed()
    elif server.user and not server.insecure:
        raise NetFailed(
            f"{server.place} would get the password without TLS; use smtps:// or starttls=1, or insecure=1"
        )


def _converse(
    client: _Pinned, server: Server, from_: str, recipients: list[str], text: bytes, utf8: bool, stage: _Stage
) -> Reply:
    if server.user:
        try:
            client.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as error:
            stage.broken = False
            message = f"{server.place} refused the user name or password ({error.smtp_code})"
            raise SmtpRefused(message, permanent=error.smtp_code >= 500, reply_code=error.smtp_code) from None
    if utf8 and not client.has_extn("smtputf8"):
        raise Invalid(f"{server.place} takes no addresses with letters beyond ASCII")
    options = [option for option, wanted in (("SMTPUTF8", utf8), ("BODY=8BITMIME", utf8)) if wanted]
    stage.broken = False
    code, words = client.mail(from_, options)
    if code != 250:
        raise _refusal(server, code, words)
    refused: dict[str, tuple[int, bytes]] = {}
    for recipient in recipients:
        code, words = client.rcpt(recipient)
        if code not in (250, 251):
            refused[recipient] = (code, words)
    if len(refused) == len(recipients):
        raise _refusal(server, *max(refused.values(), key=lambda answer: answer[0] < 500))
    code, words = client.docmd("DATA")
    if code != 354:
        raise _refusal(server, code, words)
    stage.text_sent = stage.broken = True
    client.send(_dotted(text))
    code, words = client.getreply()
    stage.broken = False
    if code != 250:
        raise _refusal(server, code, words)
    told = {recipient: f"{answer[0]} {_words(answer[1])}" for recipient, answer in refused.items()}
    return Reply(f"{code} {_words(words)}", told)


def _dotted(text: bytes) -> bytes:
    """The text as DATA wants it (RFC 5321 §4.5.2): CRLF lines, leading dots doubled, ended by a dot."""
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b"\r\n.\r\n"


def _refusal(server: Server, code: int, words: bytes | str) -> SmtpRefused:
    said = _words(words)
    if server.password:
        said = said.replace(server.password, "••••")
    return SmtpRefused(f"{server.place} answered {code} {said}", permanent=code >= 500, reply_code=code)


def _words(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:500]


def _recipients(message: EmailMessage) -> list[str]:
    found = [address for name in ("To", "Cc", "Bcc") for address in _addresses(message.get_all(name, []))]
    if not found:
        raise Invalid("the message has no recipient")
    return list(dict.fromkeys(_envelope(address) for address in found))


def _first_sender(message: EmailMessage) -> str:
    found = _addresses(message.get_all("Sender", []) or message.get_all("From", []))
    if not found:
        raise Invalid("the message has no sender")
    return found[0]


def _addresses(values: list[Any]) -> list[str]:
    return [address for _, address in getaddresses([str(value) for value in values]) if address]


def _envelope(address: str) -> str:
    """An address for MAIL FROM or RCPT TO; nothing in it can end the command."""
    if address == "":
        return ""
    try:
        parsed = Address(addr_spec=address)
    except (ValueError, IndexError):
        parsed = None
    if (
        parsed is None
        or any(ord(letter) < 33 or letter in "<>\x7f" for letter in address)
        or not parsed.domain
    ):
        raise Invalid(f"{address[:80]!r} is no mail address")
    return address


def _text(message: EmailMessage, addresses: list[str]) -> tuple[bytes, bool]:
    """The bytes to send, and whether they need SMTPUTF8; refuses a header that would begin another line."""
    for name, value in message.raw_items():
        if _NEXT_LINE.search(f"{name}: {value}"):
            raise Invalid(f'the header "{name[:40]!r}" holds a line break')
    utf8 = not all(address.isascii() for address in addresses)
    shown = copy(message)
    del shown["Bcc"]
    return shown.as_bytes(policy=SMTPUTF8 if utf8 else SMTP), utf8
