"""What was sent to us as somebody may read it: as text that no body can break, and written into the access log first."""

import json
from uuid import UUID

from core import access
from core.actors import Actor
from core.db import reading
from core.types import Ref
from ingest import queries

SHOWN_BYTES = 65_536


def readable(body: bytes, content_type: str = "") -> str:
    """A body for reading: JSON indented, anything else as text, cut at 64 KiB."""
    text = body[:SHOWN_BYTES].decode("utf-8", "replace")
    if len(body) <= SHOWN_BYTES and ("json" in content_type or text.lstrip()[:1] in "{["):
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):  # no JSON, or nested as deep as only a trap is
            return text
    return text


def noted(actor: Actor, delivery_id: UUID, source: str) -> None:
    """Write down that somebody reads this delivery, before it is shown: once an hour, however often the page asks."""
    with reading() as session:
        within = queries.within(session, delivery_id)
    access.note_once(actor, "read what was sent by", Ref("delivery", str(delivery_id)), source, within=within)


