"""Mail's door: a mail is ours once it is stored, each only once; what it means is found out later."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from core import blobs, logs
from core.blobs import Measured
from core.db import UnitOfWork, is_postgres, unit_of_work
from core.ids import new_id
from ingest.mail_models import IGNORED, RECEIVED, MailIn

log = logs.get(__name__)
WORK = "ingest.mail"
_MESSAGE_ID = re.compile(
    rb"^message-id:[ \t]*(?:\r?\n[ \t]+)?(<[^<>\r\n]{1,250}>)", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class Envelope:
    """How a mail came: by which way, from which host, from and to whom as its carrier said."""

    via: str
    peer: str = ""
    sender: str = ""
    recipients: Sequence[str] = ()


def take(content: Measured, envelope: Envelope) -> tuple[UUID, bool]:
    """Store a mail as it is; its id, and whether it is new. When this returns, it stands: not before may its carrier be told."""
    with unit_of_work() as uow:
        return _insert(uow, content, envelope)


def refuse(content: Measured, envelope: Envelope, why: str) -> None:
    """Note a mail that is not kept, so that somebody can ask for it."""
    with unit_of_work() as uow:
        _insert(uow, content, envelope, why)


def _insert(
    uow: UnitOfWork, content: Measured, envelope: Envelope, why: str | None = None
) -> tuple[UUID, bool]:
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(MailIn)
    known = dedup_of(content.head, content.digest)
    digest = blobs.put_file(uow, content, "message/rfc822") if why is None else None
    row = {
        "id": new_id(), "created_at": uow.now, "dedup": known, "digest": digest, "size": content.size,
        "via": envelope.via, "peer": _clean(envelope.peer, 200), "envelope_from": _clean(envelope.sender, 320),
        "recipients": [_clean(one, 320) for one in envelope.recipients[:50]], "sender": "", "subject": "",
        "state": RECEIVED if why is None else IGNORED, "why": why, "due_at": uow.now if why is None else None,
        "fence": 0, "attempts": 0, "correlation": logs.tied_to(),
    }  # fmt: skip
    made = uow.scalar(
        insert.values(row).on_conflict_do_nothing(index_elements=["dedup"]).returning(MailIn.id)
    )
    if made is None:
        log.info("a mail came again and was taken before", extra={"via": envelope.via})
        return uow.scalars(select(MailIn.id).where(MailIn.dedup == known)).one(), False
    uow.wake(WORK)
    return made, True


def dedup_of(head: bytes, digest: str) -> str:
    """What makes a mail the same one: its Message-ID, else its bytes."""
    headers = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    found = _MESSAGE_ID.search(headers + b"\n")
    return hashlib.sha256(b"id\0" + found[1].strip()).hexdigest() if found else digest


def _clean(text: str, most: int) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "")[:most]
