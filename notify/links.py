"""Signed links by which a person acknowledges a page without signing in."""

from dataclasses import dataclass
from uuid import UUID

from core.secrets import sign, unsign

_PURPOSE = "page.ack"
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
