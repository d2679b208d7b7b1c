"""Read new mail from an IMAP mailbox, and mark or move what has been stored."""

import imaplib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from core.errors import Invalid
from core.net import egress as ways
from core.net import mail_urls, patience
from core.net.egress import Egress, current
from core.net.errors import LoginRefused, NetError, NetFailed, NetTimeout
from core.net.tls import Tls
from core.net.tls import context as tls_context

_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_WHOLE = 300.0  # seconds that a whole visit may last


@dataclass(frozen=True)
class Mailbox:
    """A mailbox, from imaps://user:password@host:993/INBOX?done=Folder&starttls=1&verify=0&insecure=1.

    done: the folder that stored mails are moved to; without one they are marked as read. starttls: for imap:// only.
    """

    host: str
    port: int
    implicit_tls: bool
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    done: str | None = None
    starttls: bool = True
    verify: bool = True
    insecure: bool = False

    @property
    def shown(self) -> str:
        """The mailbox without its password."""
        return f"{self.user} at {self.host}:{self.port}, {self.folder}"


def read_url(url: str) -> Mailbox:
    """The mailbox a URL names; raises Invalid, never repeating the URL."""
    given = mail_urls.read(url, "mailbox", ("imap", "imaps"), ("done", "starttls", "verify", "insecure"))
    if given is None or not given.user:
        raise Invalid("a mailbox is written imaps://user:password@host:993/INBOX")
    done = given.options.get("done")
    return Mailbox(
        host=given.host,
        port=given.port or (993 if given.scheme == "imaps" else 143),
        implicit_tls=given.scheme == "imaps",
        user=given.user,
        password=given.password,
        folder=_folder(given.path.strip("/") or "INBOX"),
        done=_folder(done) if done else None,
        starttls=given.yes("starttls", "1"),
        verify=given.yes("verify", "1"),
        insecure=given.yes("insecure", "0"),
    )


def write_url(mailbox: Mailbox) -> str:
    """The URL that read_url() reads as this mailbox."""
    host = f"[{mailbox.host}]" if ":" in mailbox.host else mailbox.host
    options = {
        "done": mailbox.done, "starttls": None if mailbox.starttls else "0", "verify": None if mailbox.verify else "0",
        "insecure": "1" if mailbox.insecure else None,
    }  # fmt: skip
    given = urlencode({name: value for name, value in options.items() if value})
    who = f"{quote(mailbox.user, safe='')}:{quote(mailbox.password, safe='')}"
    scheme = "imaps" if mailbox.implicit_tls else "imap"
    return f"{scheme}://{who}@{host}:{mailbox.port}/{quote(mailbox.folder, safe='')}{'?' if given else ''}{given}"


def _folder(name: str) -> str:
    if len(name) > 200 or any(ord(letter) < 32 or letter in '"\\' or ord(letter) > 126 for letter in name):
        raise Invalid("a mailbox's folder is named with plain letters; write others in IMAP's modified UTF-7")
    return name


class Visit:
    """An open mailbox."""

    def __init__(self, client: imaplib.IMAP4, mailbox: Mailbox) -> None:
        self._client, self._mailbox = client, mailbox

    def count(self) -> int:
        """How many mails have not been taken yet."""
        return len(_first(self._said(self._client.uid("SEARCH", self._wanted))).split())

    @property
    def _wanted(self) -> str:
        return "UNDELETED" if self._mailbox.done else "UNSEEN"

    def waiting(self, most: int) -> list[tuple[str, int]]:
        """What has not been taken yet: (uid, size in bytes), oldest first."""
        uids = _first(self._said(self._client.uid("SEARCH", self._wanted))).split()[:most]
        found = []
        for uid in uids:
            size = _SIZE.search(
                _flat(self._said(self._client.uid("FETCH", uid.decode("ascii"), "(RFC822.SIZE)")))
            )
            if size is not None:
                found.append((uid.decode("ascii"), int(size[1])))
        return found

    def fetch(self, uid: str, most: int) -> bytes:
        """A mail's bytes, at most `most` of them, without marking it as read. Raises NetFailed when it is gone."""
        answer = self._said(self._client.uid("FETCH", uid, f"(BODY.PEEK[]<0.{most}>)"))
        for part in answer:
            if isinstance(part, tuple) and len(part) == 2:
                return bytes(part[1])
        raise NetFailed("the mail is no longer in the mailbox")

    def done(self, uid: str) -> None:
        """The mail is stored: move it, or mark it as read."""
        folder = self._mailbox.done
        if folder is None:
            self._said(self._client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)"))
            return
        if "MOVE" in self._client.capabilities:
            self._said(self._client.uid("MOVE", uid, f'"{folder}"'))
            return
        self._said(self._client.uid("COPY", uid, f'"{folder}"'))
        self._said(self._client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))
        if "UIDPLUS" in self._client.capabilities:
            self._said(self._client.uid("EXPUNGE", uid))

    @staticmethod
    def _said(answer: tuple[str, Any]) -> list[Any]:
        kind, parts = answer
        if kind != "OK":
            raise NetFailed(
                f"the mail server answered {kind}: {_flat(parts)[:200].decode('utf-8', 'replace')}"
            )
        return list(parts)


@contextmanager
def visit(
    mailbox: Mailbox, *, timeout: float = 30.0, egress: Egress | None = None, ca: str | None = None
) -> Iterator[Visit]:
    """Open a mailbox for the length of the block; timeout is in seconds, for each answer.

    Raises LoginRefused, NetRefused, NetTimeout, NetFailed.
    """
    rules = egress if egress is not None else current(allow_private=True)
    with patience.within(_WHOLE):
        client = None
        try:
            client = _open(mailbox, rules, timeout, ca)
            yield Visit(client, mailbox)
        except NetError:
            raise
        except TimeoutError:
            raise NetTimeout(f"{mailbox.host}:{mailbox.port} did not answer in time") from None
        except (imaplib.IMAP4.error, OSError) as error:
            said = " ".join(str(error).split())[:200].replace(mailbox.password or "\0", "••••")
            raise NetFailed(f"{mailbox.host}:{mailbox.port}: {said}") from None
        finally:
            if client is not None:
                with suppress(OSError, imaplib.IMAP4.error):
                    client.logout()


class _Pinned(imaplib.IMAP4):
    """imaplib over a socket that the egress rules opened."""

    def __init__(self, mailbox: Mailbox, rules: Egress, timeout: float, ca: str | None) -> None:
        self._to, self._rules, self._ca = mailbox, rules, ca
        super().__init__(mailbox.host, mailbox.port, timeout=timeout)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        opened = ways.connect(self._to.host, self._to.port, self._rules, timeout or 30.0)
        opened.settimeout(timeout)
        if not self._to.implicit_tls:
            return opened
        trusted = tls_context(Tls(ca=self._ca, verify=self._to.verify))
        return trusted.wrap_socket(opened, server_hostname=self._to.host)


def _open(mailbox: Mailbox, rules: Egress, timeout: float, ca: str | None) -> imaplib.IMAP4:
    client = _Pinned(mailbox, rules, timeout, ca)
    try:
        if not mailbox.implicit_tls and mailbox.starttls and "STARTTLS" in client.capabilities:
            client.starttls(tls_context(Tls(ca=ca, verify=mailbox.verify)))
        elif not mailbox.implicit_tls and not mailbox.insecure:
            raise NetFailed(
                f"{mailbox.host}:{mailbox.port} would get the password without TLS; use imaps://, or insecure=1"
            )
        try:
            client.login(mailbox.user, mailbox.password)
        except imaplib.IMAP4.error:
            raise LoginRefused(f"{mailbox.host}:{mailbox.port} refused the user name or password") from None
        kind, answer = client.capability()  # what it can do is told in full only now
        if kind == "OK":
            client.capabilities = tuple(_flat(answer).decode("ascii", "replace").upper().split())
        kind, answer = client.select(f'"{mailbox.folder}"')
        if kind != "OK":
            raise NetFailed(
                f"there is no folder {mailbox.folder}: {_flat(answer)[:100].decode('utf-8', 'replace')}"
            )
    except BaseException:
        with suppress(OSError, imaplib.IMAP4.error):
            client.shutdown()
        raise
    return client


def _first(parts: list[Any]) -> bytes:
    return bytes(parts[0]) if parts and parts[0] else b""


def _flat(parts: Any) -> bytes:
    return b" ".join(part if isinstance(part, bytes) else b" ".join(part) for part in parts or () if part)
