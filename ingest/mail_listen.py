"""Mail that is handed to us by SMTP: answered with 250 once it is stored, and never passed on to anybody."""

import asyncio
import io
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from core import blobs, certificates, logs, reach
from core.errors import Invalid, TocsinError, TooLarge
from core.settings import Settings
from ingest import mail_door

log = logs.get(__name__)

MOST_CONNECTIONS = 50
MOST_AT_ONCE = 8
"""So many mails are stored at the same moment; the others wait for their answer."""
MOST_RECIPIENTS = 50
IDLE = 60.0
"""Seconds of silence after which a connection is closed."""
_AGAIN = "451 4.3.0 Not stored: try again later"


def accepts(wanted: Sequence[str], recipient: str) -> bool:
    """Whether we take mail to this address: to all, or to those named (what follows a + in them is ours to use)."""
    local, _at, domain = recipient.rpartition("@")
    plain = f"{local.partition('+')[0]}@{domain}".casefold()
    return not wanted or plain in {one.casefold() for one in wanted}


class Handler:
    """Takes mails in; aiosmtpd calls its methods by name."""

    def __init__(self, most: int, wanted: Sequence[str]) -> None:
        self.most, self.wanted = most, wanted
        self._storing = asyncio.Semaphore(MOST_AT_ONCE)

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or say that there is none."""
        if not accepts(self.wanted, address):
            return "550 5.1.1 No such mailbox here"
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Store the mail, then say so."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        peer = str(session.peer[0]) if session.peer else ""
        given = mail_door.Envelope("smtp", peer, envelope.mail_from or "", tuple(envelope.rcpt_tos))
        async with self._storing:
            return await asyncio.to_thread(self._store, content, given)

    def _store(self, content: bytes, given: mail_door.Envelope) -> str:
        try:
            taken, new = mail_door.take(blobs.measure(io.BytesIO(content), self.most), given)
        except TooLarge:
            return "552 5.3.4 Message too large"
        except TocsinError as error:
            log.warning(
                "a mail was not stored; its sender is asked to try again", extra={"reason": error.message}
            )
            return _AGAIN
        except Exception:  # a full disk, a lost database: whatever it was, the sender must keep the mail
            log.exception("a mail was not stored; its sender is asked to try again")
            return _AGAIN
        return f"250 2.6.0 Stored as {taken}" if new else f"250 2.6.0 Stored before as {taken}"


class _Bounded(SMTP):
    """One connection among at most MOST_CONNECTIONS."""

    open_now: int = 0
    counted = False

    def connection_made(self, transport: Any) -> None:
        if _Bounded.open_now >= MOST_CONNECTIONS and not self.counted:
            transport.write(b"421 4.7.0 Too many connections: try again later\r\n")
            transport.close()
            return
        if not self.counted:  # STARTTLS makes the connection a second time
            self.counted = True
            _Bounded.open_now += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.counted:
            self.counted = False
            _Bounded.open_now -= 1
            super().connection_lost(error)


class _Listener(Controller):
    def factory(self) -> SMTP:
        return _Bounded(self.handler, **self.SMTP_kwargs)


def ready_to(given: Settings) -> None:
    """Have what listening needs. Raises Invalid, saying how to mend it, where other machines would send in the clear."""
    if not given.mail_listen:
        return
    where = reach.mail_place(given.mail_listen)
    if given.tls_certificate is None:
        if where.beyond and not given.allow_plain_http:
            raise Invalid(
                f"TOCSIN_MAIL_LISTEN={given.mail_listen} lets other machines in, and without TLS they would send mails in "
                "the clear. Choose one:\n"
                "  TLS of Tocsin's own   TOCSIN_TLS=generate, or TOCSIN_TLS_CERTIFICATE and TOCSIN_TLS_KEY with your files\n"
                "  this machine alone    TOCSIN_MAIL_LISTEN=127.0.0.1:2525, with your mail server beside it\n"
                "  in the clear          TOCSIN_ALLOW_PLAIN_HTTP=1, where nobody else is on the network, as in a container"
            )
        return
    if given.tls_generated and given.tls_key and not given.tls_certificate.exists():
        certificates.ensure(
            given.tls_certificate, given.tls_key, reach.own_names(where.host, given.base_url)
        )
    _tls(given)


@contextmanager
def listening(given: Settings) -> Iterator[None]:
    """Take mail in for the length of the block, where TOCSIN_MAIL_LISTEN says so. Raises Invalid when it cannot.

    Where other machines reach it, nothing but STARTTLS is answered before TLS, unless TOCSIN_ALLOW_PLAIN_HTTP allows more.
    """
    if not given.mail_listen:
        yield
        return
    ready_to(given)
    where, context = reach.mail_place(given.mail_listen), _tls(given)
    listener = _Listener(
        Handler(given.max_upload, given.mail_to), hostname=where.host, port=where.port,
        server_hostname=urlsplit(given.base_url).hostname or "tocsin.invalid",
        server_kwargs={
            "data_size_limit": given.max_upload, "enable_SMTPUTF8": True, "ident": "Tocsin", "timeout": IDLE,
            "tls_context": context, "require_starttls": where.beyond and not given.allow_plain_http,
        },
    )  # fmt: skip
    try:
        listener.start()
    except OSError as error:
        if listener.server is None:
            listener.loop.close()  # nothing runs in it
        else:
            listener.stop()  # it was too slow to answer, but it listens
        raise Invalid(
            f"Mail cannot be taken in at {given.mail_listen}: {error.strerror or error}. Choose another port, above 1023, "
            "that nothing else listens on."
        ) from error
    at = {"at": f"{where.host}:{where.port}"}
    log.info("mail is taken in", extra=at)
    if where.beyond and given.allow_plain_http:
        log.warning("mail is also taken in the clear, as TOCSIN_ALLOW_PLAIN_HTTP says", extra=at)
    try:
        yield
    finally:
        listener.stop()


def _tls(given: Settings) -> ssl.SSLContext | None:
    """Our own certificate, for STARTTLS, when there is one. Raises Invalid when its files cannot be used."""
    if given.tls_certificate is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(given.tls_certificate, given.tls_key, password="")
    except (OSError, ValueError) as error:  # SSLError is an OSError; a key under a password is a ValueError
        raise Invalid(
            f"The certificate {given.tls_certificate} and its key cannot be used for mail: they are missing, do not belong "
            "together, or are no PEM without a password."
        ) from error
    return made
