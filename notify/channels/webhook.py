"""Webhook: a signed JSON document to any address."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from notify import outward
from notify.contract import Channel, Context, Field, Outgoing, Sent


def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
    """POST it. With a secret, `Tocsin-Signature: t=<unix time>,v1=<hex>` is the HMAC-SHA256 of `<t>.<body>`.

    `Idempotency-Key` is the same when an attempt of unknown outcome is sent again.
    """
    body = msgspec.json.encode(
        {
            "type": outgoing.kind,
            "id": str(outgoing.id),
            "thread": outgoing.thread,
            "title": outgoing.title,
            "text": outgoing.text,
            "items": list(outgoing.items),
            "severity": outgoing.severity,
            "at": outgoing.at.isoformat(),
            "link": outgoing.link,
            "acknowledge": outgoing.acknowledge,
        }
    )
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(outgoing.id)}
    if secret := address.get("secret"):
        headers["Tocsin-Signature"] = signature(secret, body, int(time.time()))
    response = outward.post(context, address["url"], body, headers)
    return Sent(None, f"{response.status} {response.text[:200]}".strip())


def signature(secret: str, body: bytes, at: int) -> str:
    """The value of the Tocsin-Signature header for `body` at the unix time `at`."""
    mac = hmac.digest(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hex()}"


channel = Channel(
    name="webhook",
    title="Webhook",
    docs="https://www.rfc-editor.org/rfc/rfc2104",
    send=send,
    address=(
        Field(
            "url", "URL", "secret", help="Gets a POST with JSON; kept sealed, since such addresses hold keys."
        ),
        Field("secret", "Signing secret", "secret", required=False, help="At least 16 characters."),
    ),
    from_text=lambda text: {"url": text},
    shown=lambda address: urlsplit(address.get("url", "")).hostname or "webhook",
    many_ends=True,
)
