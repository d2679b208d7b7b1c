"""Web Push: rings a browser that its person has let ring, through the browser maker's push service."""

import hashlib
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from notify import outward, web_push
from notify.contract import Channel, Context, Field, Outgoing, Sent, Undeliverable
from notify.wording import headline, one_line

_KEEP = {"page": 900, "bundle": 900}
"""Seconds a push service keeps it for a phone that is off: later somebody else has been paged."""


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """POST one encrypted record (RFC 8030, 8291, 8292); 404 and 410 say that the browser takes no more."""
    url, private = address["url"], context.config.get("private_key")
    if not private:
        raise Undeliverable(
            "This browser subscribed to a key that is gone: subscribe it again.", permanent=True
        )
    try:
        body = web_push.encrypted(
            payload(outgoing), web_push.data(address["p256dh"]), web_push.data(address["auth"])
        )
    except ValueError as error:
        raise Undeliverable(
            "This browser's keys cannot be read: subscribe it again.", permanent=True
        ) from error
    headers = {
        "Authorization": web_push.authorization(private, url, _subject(context), int(time.time())),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(_KEEP.get(outgoing.kind, 86400)),
        "Urgency": "high" if outgoing.kind in ("page", "bundle") else "normal",
        "Topic": hashlib.sha256(outgoing.thread.encode()).hexdigest()[:32],
    }
    try:
        response = outward.post(context, url, body, headers)
    except Undeliverable as error:
        if error.status in (404, 410):
            raise Undeliverable(
                "this browser takes no more pushes", permanent=True, status=error.status, gone=True
            ) from error
        raise
    number = response.headers.get("location", "").rpartition("/")[2][:100]
    return Sent(number or None, f"{response.status} {urlsplit(url).hostname}")


def payload(outgoing: Outgoing) -> bytes:
    """What the service worker shows, and the page of ours that a tap opens; nothing in it acknowledges by itself."""
    told = {
        "title": one_line(headline(outgoing), 200),
        "body": outgoing.text[:600],
        "url": outgoing.acknowledge or outgoing.link,
        "tag": outgoing.thread or str(outgoing.id),
        "loud": outgoing.kind in ("page", "bundle"),
    }
    return msgspec.json.encode(told)


def _subject(context: Context) -> str:
    """Whom a push service asks when something is wrong (RFC 8292 §2.1)."""
    return context.base_url if context.base_url.startswith("https://") else f"mailto:{context.smtp_from}"


channel = Channel(
    name="webpush",
    title="Push to this browser",
    docs="https://www.rfc-editor.org/rfc/rfc8030",
    send=send,
    address=(
        Field("url", "Push address", "secret"),
        Field("p256dh", "The browser's key", "secret"),
        Field("auth", "The browser's secret", "secret"),
        Field("browser", "Browser", required=False),
    ),
    from_text=lambda text: {"url": text},
    shown=lambda address: (
        f"{address.get('browser') or 'browser'}, {urlsplit(address.get('url', '')).hostname or '?'}"
    ),
    many_ends=True,
    in_the_clear=True,
    personal=True,
)
