"""Signed addresses: a person's for acknowledging a page without signing in, a provider's for telling what became of it."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from core.secrets import sign, unsign
from core.settings import settings

_PURPOSE = "page.ack"
_CALLBACK = "notify.callback"
CALLBACKS = "/callbacks/"
GOOD_FOR = 48 * 3600
"""Seconds after which a link no longer works."""


@dataclass(frozen=True)
class Link:
    """Whose link to which page it is."""

    page_id: UUID
    user_id: UUID


def ack_link(page_id: UUID, user_id: UUID) -> str:
    """The path `/a/<token>`: its GET shows a page with a button, only the POST acknowledges."""
    return "/a/" + sign(_PURPOSE, {"page": str(page_id), "user": str(user_id)}, GOOD_FOR)


def from_link(token: str) -> Link:
    """What a token stands for. Raises Invalid when it is altered or expired."""
    payload = unsign(_PURPOSE, token)
    return Link(UUID(payload["page"]), UUID(payload["user"]))


def callback_url(channel: str, send_id: UUID) -> str:
    """Where a far end tells what became of one sending; empty when nobody outside can reach us by our address."""
    base = incoming_url(channel)
    return f"{base}/{sign(_CALLBACK, {'send': str(send_id)}, GOOD_FOR)}" if base else ""


def incoming_url(channel: str) -> str:
    """Where a far end hands over what somebody sent to us of their own; empty as above."""
    base = settings().base_url
    return f"{base}{CALLBACKS}{channel}" if _public(urlsplit(base).hostname or "") else ""


def from_callback(token: str) -> UUID:
    """Which sending a callback's token stands for. Raises Invalid when it is altered or expired."""
    return UUID(unsign(_CALLBACK, token)["send"])


def _public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))
