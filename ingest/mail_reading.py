"""What a mail says, read with bounds and without trust: its text as text, its links, its attachments, the mails inside it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime
from itertools import islice
from typing import Any

from core import charsets
from core.errors import Invalid
from incidents.sniffing import kind_of
from ingest.mail_markup import text_of_html

MOST_PARTS = 200
MOST_DEPTH = 8
MOST_TEXT = 100_000
"""Letters of a mail's text that are read."""
MOST_HEADER = 2_000
MOST_FILES = 30
MOST_LINKS = 200
MOST_HEADERS = 256 * 1024
"""Bytes of the headers before the first part."""
MOST_FIELD = 32 * 1024
_TYPES = re.compile(rb"^content-(?:type|disposition):", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*")
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_COUNTED = (
    (re.compile(rb"^content-type:", re.IGNORECASE | re.MULTILINE), MOST_PARTS, "parts"),
    (re.compile(rb"^--", re.MULTILINE), 5_000, "boundaries"),
    (re.compile(rb"^[!-9;-~]{1,76}:[ \t]", re.MULTILINE), 50_000, "headers"),
    (re.compile(rb"\n"), 2_000_000, "lines"),
)
_RESULT = re.compile(r"\b(spf|dkim|dmarc|arc|compauth)\s*=\s*([a-z]+)", re.IGNORECASE)
_ID = re.compile(r"<[^<>\s]{1,250}>")


@dataclass(frozen=True)
class Address:
    """A mailbox as it was written."""

    name: str
    email: str


@dataclass(frozen=True)
class File:
    """An attachment: its name as it was given, its bytes; `content_id` is what the mail's own text calls it by."""

    name: str
    content: bytes
    content_id: str = ""


@dataclass(frozen=True)
class Mail:
    """One mail. `claimed` is what its headers say of SPF, DKIM and DMARC: a claim, unless our own server wrote it."""

    message_id: str
    answers: tuple[str, ...]  # the ids of In-Reply-To and References
    sender: Address
    reply_to: tuple[Address, ...]
    to: str  # every address it names as a recipient, as text
    recipients: tuple[Address, ...]  # of To and Cc
    subject: str
    date: str
    text: str
    markup: tuple[str, ...]  # its HTML, as it was written
    links: tuple[str, ...]
    claimed: tuple[tuple[str, str], ...]
    files: tuple[File, ...]
    inner: tuple[bytes, ...]  # mails that came as attachments
    automatic: str  # why nobody wrote it by hand; "" for a person's
    cut: bool  # something was left out because there was too much of it
    bulk: bool = False  # it says that it went to a list of readers


def read(raw: bytes) -> Mail:
    """Read a mail. Raises Invalid when it is built so that it cannot be read."""
    _look_over(raw)
    try:
        return _read(message_from_bytes(raw, policy=compat32))
    except (RecursionError, MessageError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Invalid(f"This mail cannot be read: {type(error).__name__}.") from error


def _look_over(raw: bytes) -> None:
    """Refuse what would keep the parser busy for minutes: it is read line by line, and some of that is quadratic."""
    end = _HEADERS_END.search(raw[:MOST_HEADERS])
    if end is None and len(raw) > MOST_HEADERS:
        raise Invalid(f"The headers of this mail are longer than {MOST_HEADERS // 1024} KiB.")
    for pattern, most, what in _COUNTED:
        if sum(1 for _ in islice(pattern.finditer(raw), most + 1)) > most:
            raise Invalid(f"This mail has more than {most:,} {what}.")
    for found in _TYPES.finditer(raw):
        field_text = _FIELD.match(raw, found.end())
        if field_text is not None and len(field_text[0]) > MOST_FIELD:
            raise Invalid(f"A header of this mail is longer than {MOST_FIELD // 1024} KiB.")


@dataclass
class _Found:
    texts: list[str] = field(default_factory=list)
    markup: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    inner: list[bytes] = field(default_factory=list)
    cut: bool = False


def _read(message: Message) -> Mail:
    found = _Found()
    for part, depth in _walk(message, 0):
        if depth > MOST_DEPTH:
            found.cut = True
            continue
        _take(part, found)
    pages = [text_of_html(markup[:MOST_TEXT]) for markup in found.markup]
    plain = "\n".join(found.texts).strip()
    text = plain or "\n".join(page.text for page in pages).strip()
    links = [link for page in pages for link in page.links]
    results = [_header(value) for value in message.get_all("Authentication-Results", [])[:3]]
    return Mail(
        message_id=_first_id(_header(message.get("Message-ID", ""))),
        answers=tuple(dict.fromkeys(_ID.findall(f"{_header(message.get('In-Reply-To', ''))} {_header(message.get('References', ''), 20_000)}")))[-50:],
        sender=next(iter(_addresses(message, "From")), Address("", "")),
        reply_to=tuple(_addresses(message, "Reply-To")),
        to=" ".join(_header(value) for name in ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To") for value in message.get_all(name, [])[:20]),
        recipients=(*_addresses(message, "To"), *_addresses(message, "Cc"))[:20],
        subject=_header(message.get("Subject", ""), 500),
        date=_date(message),
        text=text[:MOST_TEXT],
        markup=tuple(found.markup),
        links=tuple(dict.fromkeys(links))[:MOST_LINKS],
        claimed=tuple(dict.fromkeys((check.lower(), result.lower()) for line in results for check, result in _RESULT.findall(line)))[:12],
        files=tuple(found.files),
        inner=tuple(found.inner),
        automatic=_automatic(message),
        cut=found.cut or len(text) > MOST_TEXT,
        bulk=message.get("List-Unsubscribe") is not None or _header(message.get("Precedence", ""), 40).casefold() in ("bulk", "list"),
    )  # fmt: skip


def _walk(part: Message, depth: int) -> Iterator[tuple[Message, int]]:
    """The parts that hold something, outermost first; a mail inside a mail is one part, not looked into here."""
    if part.get_content_maintype() == "message" or not part.is_multipart():
        yield part, depth
        return
    if depth > MOST_DEPTH:
        yield part, depth
        return
    for inner in part.get_payload():
        if isinstance(inner, Message):
            yield from _walk(inner, depth + 1)


def _take(part: Message, found: _Found) -> None:
    kind, name = part.get_content_type(), _header(part.get_filename() or "", 300)
    if kind == "message/rfc822":
        for inner in part.get_payload() if part.is_multipart() else ():
            if isinstance(inner, Message):
                _bounded(found, found.inner, inner.as_bytes(policy=compat32.clone(max_line_length=0)))
        return
    if part.is_multipart() and not kind.startswith("message/"):
        found.cut = True
        return
    content = _content(part)
    if kind.startswith("multipart/"):  # it says so and is none
        found.texts.append(_decoded(content[: 4 * MOST_TEXT], part))
        return
    if not name and part.get_content_disposition() != "attachment" and kind in ("text/plain", "text/html"):
        text = _decoded(content[: 4 * MOST_TEXT], part)
        (found.texts if kind == "text/plain" else found.markup).append(text)
        return
    if not content:
        return
    if name.lower().endswith(".eml") or kind_of(content[:8192]).media_type == "message/rfc822":
        _bounded(found, found.inner, content)
    elif name or part.get_content_disposition() == "attachment" or not kind.startswith("text/"):
        name = name or f"part.{kind.rpartition('/')[2][:20]}"
        _bounded(
            found, found.files, File(name, content, _header(part.get("Content-ID", ""), 250).strip("<> "))
        )


def _content(part: Message) -> bytes:
    """The bytes of a part; of a delivery report, which the parser takes apart, as it was."""
    if part.is_multipart():
        return b"\r\n".join(one.as_bytes() for one in part.get_payload() if isinstance(one, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _bounded(found: _Found, into: list[Any], one: object) -> None:
    if len(into) < MOST_FILES:
        into.append(one)
    else:
        found.cut = True


def _decoded(content: bytes, part: Message) -> str:
    return charsets.decoded(content, part.get_content_charset())


def _header(value: Any, most: int = MOST_HEADER) -> str:
    """A header's text on one line, decoded (RFC 2047); as it stands when it cannot be."""
    given = str(value)[: most * 4]
    try:
        text = str(make_header(decode_header(given)))
    except (MessageError, LookupError, ValueError):
        text = given
    text = text.encode("utf-8", "replace").decode("utf-8", "replace").replace("\x00", "\ufffd")
    return " ".join(text.split())[:most]


def _addresses(message: Message, name: str) -> list[Address]:
    values = [_header(value) for value in message.get_all(name, [])[:5]]
    return [
        Address(person[:200], email[:254].strip())
        for person, email in getaddresses(values)[:20]
        if email.strip()
    ]


def _first_id(text: str) -> str:
    found = _ID.search(text)
    return found[0] if found else text.strip()[:250]


def _date(message: Message) -> str:
    given = _header(message.get("Date", ""), 100)
    try:
        return parsedate_to_datetime(given).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return given


def _automatic(message: Message) -> str:
    """Why no person wrote it (RFC 3834 and what programs do): answering these makes loops."""
    said = _header(message.get("Auto-Submitted", "no"), 100).casefold()
    if said.partition(";")[0].strip() not in ("no", ""):
        return f"Auto-Submitted: {said[:60]}"
    precedence = _header(message.get("Precedence", ""), 40).casefold()
    if precedence in ("bulk", "junk", "auto_reply", "list"):
        return f"Precedence: {precedence}"
    suppressed = _header(message.get("X-Auto-Response-Suppress", ""), 100).casefold()
    if any(word in suppressed for word in ("all", "autoreply", "oof")):
        return "X-Auto-Response-Suppress"
    for name in ("X-Autoreply", "X-Autorespond", "X-Loop"):
        if message.get(name) is not None:
            return name
    if message.get("Return-Path") is not None and _header(message.get("Return-Path")).strip() == "<>":
        return "an empty return path"
    if message.get_content_type() == "multipart/report":
        return "a delivery report"
    return ""
