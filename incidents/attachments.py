"""Files of incidents: kept by their hash, never shown as what they are, seen by those who see the incident."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors.entities import entity
from core import blobs, held_files, journal
from core.actors import Actor
from core.auth import permissions
from core.blobs import Measured
from core.db import UnitOfWork
from core.errors import Invalid, NotFound
from core.held_files import Holder
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import facts, observables
from incidents.models import Attachment, Comment, Incident, Task
from incidents.observables import Seen
from incidents.permissions import ATTACH
from incidents.sniffing import kind_of
from incidents.visibility import belongs_to_visible, visible_to

MOST_TEXT = 256 * 1024
"""Bytes of a text that are shown."""
MOST_FILES = 1000
"""So many files one incident may have."""
_UNFIT = re.compile(r'[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\\/:*?"<>|]')


@dataclass(frozen=True)
class Upload:
    """A file on its way in: what its bringer calls it, its bytes, measured already, and what was read from it if it is a mail."""

    name: str
    content: Measured
    mail: Mapping[str, Any] | None = None


def add(
    uow: UnitOfWork,
    actor: Actor,
    incident_id: UUID,
    upload: Upload,
    *,
    task_id: UUID | None = None,
    comment_id: UUID | None = None,
    note: str = "",
) -> Attachment:
    """Add a file to an incident, open or closed; to one of its tasks or comments when that is said.

    Raises NotFound, Invalid when it is empty or there are too many.
    """
    permissions.require(actor, ATTACH.name)
    if uow.scalar(select(Incident.id).where(Incident.id == incident_id, visible_to(actor))) is None:
        raise NotFound("There is no such incident, or you may not see it.")
    for model, of in ((Task, task_id), (Comment, comment_id)):
        mine = select(model.id).where(model.id == of, model.incident_id == incident_id)
        if of is not None and uow.scalar(mine) is None:
            raise NotFound(f"This incident has no such {model.__name__.lower()}.")
    return keep(uow, actor, incident_id, upload, task_id=task_id, comment_id=comment_id, note=note)


def keep(
    uow: UnitOfWork,
    actor: Actor,
    incident_id: UUID,
    upload: Upload,
    *,
    task_id: UUID | None = None,
    comment_id: UUID | None = None,
    note: str = "",
    origin: str = "person",
) -> Attachment:
    """The same for callers of this house who have asked who may already: a report's or a mail's files."""
    measured = upload.content
    if not measured.size:
        raise Invalid("The file is empty.")
    if full(uow, incident_id):
        raise Invalid(f"An incident has at most {MOST_FILES} files; open another one for these.")
    kind = kind_of(measured.head)
    digest = blobs.put_file(uow, measured, kind.media_type)
    row = Attachment(
        id=new_id(), created_at=uow.now, incident_id=incident_id, task_id=task_id, comment_id=comment_id,
        digest=digest, name=clean_name(upload.name), size=measured.size, media_type=kind.media_type, kind=kind.says,
        note=note[:1000], origin=origin, mail=dict(upload.mail) if upload.mail else None, added_by_kind=actor.kind.value, added_by_id=actor.id,
        added_by_name=actor.name,
    )  # fmt: skip
    uow.add(row)
    named = _named(upload.mail) if upload.mail else []
    if not (kind.harmless or row.is_mail or task_id):
        # A screenshot's hash is of no use to anyone, nor that of what a task brought; a program's may be known elsewhere.
        named.append(("file-hash", digest, "artifact"))
    observables.note(
        uow, [Seen(of, value, role, None, incident_id, uow.now, actor.name) for of, value, role in named]
    )
    refs = [Ref("incident", str(incident_id)), row.ref]
    refs += [Ref("task", str(task_id))] if task_id else []
    refs += [Ref("comment", str(comment_id))] if comment_id else []
    body = {"sha256": digest, "size": row.size, "media_type": row.media_type, "origin": origin}
    told = {"name": row.name, **({"note": row.note} if row.note else {})}
    journal.record(uow, actor, Fact(facts.ATTACHMENT_ADDED, tuple(refs), body, told))
    return row


def _named(mail: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What a mail that was read names: its sender, where its links lead, its attachments by their hash."""
    found = [entity("email", str(mail.get("sender") or ""), "sender")]
    found += [entity("domain", str(host), "artifact") for host in mail.get("hosts") or ()]
    found += [entity("url", str(url), "artifact") for url in mail.get("urls") or ()]
    found += [entity("file-hash", str(file["sha256"]), "attachment") for file in mail.get("files") or ()]
    return [(one.type, one.value, one.role) for one in found if one is not None]


def full(session: Session, incident_id: UUID) -> bool:
    """Whether an incident has as many files as it may have."""
    held = select(func.count()).select_from(Attachment).where(Attachment.incident_id == incident_id)
    return (session.scalar(held) or 0) >= MOST_FILES


def known(session: Session, incident_id: UUID, digest: str) -> bool:
    """Whether an incident has these bytes already."""
    held = select(Attachment.id).where(Attachment.incident_id == incident_id, Attachment.digest == digest)
    return session.scalar(held.limit(1)) is not None


def of_incident(
    session: Session, actor: Actor, incident_id: UUID, *, after: UUID | None = None, limit: int | None = None
) -> Sequence[Attachment]:
    """The files of an incident, oldest first, if the actor may see it; a page of them begins `after` one's id."""
    query = select(Attachment).where(
        Attachment.incident_id == incident_id, belongs_to_visible(actor, Attachment.incident_id)
    )
    if after is not None:
        query = query.where(Attachment.id > after)
    return session.scalars(query.order_by(Attachment.id).limit(limit)).all()


def one(session: Session, actor: Actor, attachment_id: UUID) -> tuple[Attachment, str]:
    """A file and the key of its incident. Raises NotFound when there is none the actor may see."""
    query = (
        select(Attachment, Incident.key)
        .join(Incident, Incident.id == Attachment.incident_id)
        .where(Attachment.id == attachment_id, visible_to(actor))
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound("There is no such file, or you may not see it.")
    return found[0], found[1]


def readable(session: Session, actor: Actor, attachment_id: UUID) -> tuple[Attachment, str]:
    """The same for whoever wants its bytes. Raises NotFound with the reason when they were taken away."""
    file, key = one(session, actor, attachment_id)
    if file.removed_at is not None:
        raise NotFound(f"This file was taken away: {file.removed_why or ''}")
    return file, key


def _let_go(uow: UnitOfWork, subject: UUID, digest: str, why: str) -> Sequence[Ref]:
    query = select(Attachment).where(Attachment.incident_id == subject, Attachment.digest == digest)
    rows = uow.scalars(query.where(Attachment.removed_at.is_(None)).with_for_update()).all()
    for row in rows:
        row.removed_at, row.removed_why = uow.now, why
    return [row.ref for row in rows]


held_files.declare(
    Holder(
        "files of incidents", Attachment.digest, Attachment.removed_at.is_(None),
        lambda subject: Attachment.incident_id == subject, Attachment.name, _let_go,
    )
)  # fmt: skip


def text_of(session: Session, attachment: Attachment) -> str:
    """The beginning of a text file, as text and nothing else. Raises Invalid when it is no text."""
    if not attachment.is_text:
        raise Invalid("This file is no text: download it, and open it where it can do no harm.")
    raw = blobs.get(session, attachment.digest, MOST_TEXT)
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    text = raw[:MOST_TEXT].decode(encoding, "replace")
    return text if len(raw) <= MOST_TEXT else text + "\n\n[…]\n"


def clean_name(given: str) -> str:
    """A file's name as it may be shown and written into an archive: one part, no tricks, at most 200 characters."""
    last = given.replace("\\", "/").rsplit("/", 1)[-1]
    name = _UNFIT.sub("_", last).strip(" .")
    stem, dot, end = name.rpartition(".")
    name = f"{stem[:180]}.{end[:19]}" if dot else name[:200]
    return name or "file"
