"""What surrounds an alert on the wire: content codings, headers, form fields and the vendor's number of a delivery."""

import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import msgspec

from core.errors import Invalid, TocsinError, TooLarge

_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_MOST_MEMBERS = 10_000
_FIRST_BITE, _LARGEST_BITE = 1024, 1024 * 1024
_DROPPED = frozenset(
    [
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
_SECRET_WORDS = ("token", "secret", "password", "api-key", "apikey", "auth")
_MOST_NAME = 64  # bytes of a header name that is remembered
_MOST_HEADER = 2_000
_MOST_KEY = 255
# Printable and free of NUL: PostgreSQL keeps neither NUL nor lone surrogates in text.
_UNPRINTABLE = dict.fromkeys((*range(32), 127))


class UnknownCoding(TocsinError):
    """The body is compressed in a way that is not understood here."""

    code, status = "unknown-coding", 415


def undo_coding(wire: bytes, coding: str | None, most: int) -> bytes:
    """The body behind its Content-Encoding (gzip, deflate, identity).

    Never makes more than `most` bytes, however well the sender has packed them. Raises TooLarge, UnknownCoding, Invalid.
    """
    body = wire
    for name in reversed([part.strip().lower() for part in (coding or "").split(",") if part.strip()]):
        if name in ("gzip", "x-gzip"):
            body = _inflate(body, _GZIP, most)
        elif name == "deflate":
            body = _inflate(body, _ZLIB, most)
        elif name != "identity":
            raise UnknownCoding(
                f"Content-Encoding {name[:40]} is not understood; send gzip, or no compression."
            )
    return body


def _inflate(packed: bytes, window: int, most: int) -> bytes:
    parts: list[bytes] = []
    made, members, place = 0, 0, 0
    whole = memoryview(packed)
    try:
        while place < len(packed):  # gzip files may be strung together
            members += 1
            if members > _MOST_MEMBERS:
                raise Invalid(f"The compressed body is strung together of more than {_MOST_MEMBERS} pieces; send it as one.")
            unpacker = zlib.decompressobj(window)
            bite = _FIRST_BITE  # what is left over of a bite is copied: of many small pieces no bite may be large
            while not unpacker.eof:
                if place >= len(packed):
                    raise Invalid("The compressed body ends too early; send it again whole.")
                given = whole[place : place + bite]
                part = unpacker.decompress(given, most - made + 1)
                made += len(part)
                if made > most or unpacker.unconsumed_tail:
                    raise TooLarge(
                        f"Unpacked, this body has more than {most} bytes; send smaller batches.", limit=most
                    )
                parts.append(part)
                place += len(given) - len(unpacker.unused_data)
                bite = min(bite * 4, _LARGEST_BITE)
            while place < len(packed) and not packed[place]:
                place += 1  # zeros fill up to a block
    except zlib.error:
        raise Invalid(
            "The body is not compressed as its Content-Encoding says; correct the header or the body."
        ) from None
    return b"".join(parts)


def safe_headers(headers: Iterable[tuple[bytes, bytes]], secrets: Iterable[str] = ()) -> dict[str, str]:
    """The headers worth keeping as evidence, without credentials, printable and bounded."""
    hidden = [secret for secret in secrets if secret]
    kept: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = _name_to_keep(raw_name)
        if name is None:
            continue
        value = raw_value.decode("utf-8", "replace").translate(_UNPRINTABLE)[:_MOST_HEADER]
        for secret in hidden:
            value = value.replace(secret, "••••")
        kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def _name_to_keep(raw: bytes) -> str | None:
    """A header's name as it is kept; None: it is not. Long names are a stranger's, and not worth remembering."""
    return _judged_name(raw) if len(raw) <= _MOST_NAME else _judged_name.__wrapped__(raw)


@lru_cache(maxsize=2_000)
def _judged_name(raw: bytes) -> str | None:
    name = raw.decode("latin-1").lower().translate(_UNPRINTABLE)
    dropped = name in _DROPPED or any(word in name for word in _SECRET_WORDS)
    return None if dropped else name


def clean_text(value: str) -> str:
    """One line of text that any database can hold."""
    return value.translate(_UNPRINTABLE).encode("utf-8", "replace").decode("utf-8")[:_MOST_HEADER]


def without(body: bytes, secret: str) -> bytes:
    """The body with every occurrence of a secret overwritten by stars, its length unchanged."""
    return body.replace(secret.encode(), b"*" * len(secret.encode())) if secret else body


def sender_key(value: str | None) -> str | None:
    """What a sender itself says makes this delivery known again (Idempotency-Key). Raises Invalid when it is too long."""
    if value is None or not (value := value.strip()):
        return None
    if len(value) > _MOST_KEY:
        raise Invalid(f"An Idempotency-Key has at most {_MOST_KEY} characters; this one has {len(value)}.")
    return f"idempotency-key:{value}"


def vendor_id(declared: str | None, headers: Mapping[str, str], body: bytes) -> str | None:
    """The vendor's own number of this delivery: a header's value, or a top-level member of a JSON object.

    An SNS envelope is numbered whatever product it carries.
    """
    if (notification := headers.get("x-amz-sns-message-id")) is not None:
        return f"sns:{notification}"
    if not declared:
        return None
    if (value := headers.get(declared.lower())) is not None:
        return value or None
    if "-" in declared and declared.lower().startswith("x-"):
        return None  # a header that did not come
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for part in declared.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return (
        str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) and found != "" else None
    )


def form_payload(body: bytes, content_type: str) -> bytes | None:
    """The JSON document inside a form (`payload=…`, as GitHub and Slack send it), or None when it is no such form."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=200)
    except ValueError:
        return None
    for name in ("payload", "data", "message"):
        if name in fields and fields[name][0].lstrip()[:1] in ("{", "["):
            return fields[name][0].encode("utf-8", "replace")
    return None


def looks_like_json(body: bytes) -> bool:
    """Whether the body is JSON, as far as that can be told quickly."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
