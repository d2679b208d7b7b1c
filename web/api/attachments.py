"""Files of incidents over the API: list, add, fetch."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, Form, Query, Response, UploadFile

from core import access, clock
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid
from incidents import attachments, queries
from ingest import mail_pictures
from web import uploads
from web.calling import may
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1", tags=["incidents"])


class AttachmentOut(Shape):
    """A file: `digest` is the SHA-256 of its bytes, `media_type` was told from them, `size` is in bytes.

    `removed_at`: its bytes were taken away, and `removed_why`.
    """

    id: UUID
    created_at: datetime
    incident_id: UUID
    task_id: UUID | None
    comment_id: UUID | None
    name: str
    digest: str
    size: int
    media_type: str
    kind: str
    note: str
    origin: str
    added_by_kind: str
    added_by_name: str
    removed_at: datetime | None
    removed_why: str | None


@router.get("/incidents/{key}/attachments")
def list_attachments(
    key: str,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[AttachmentOut]:
    """Its files, oldest first."""
    with reading() as session:
        incident = queries.incident(session, actor, key)
        found = attachments.of_incident(session, actor, incident.id, after=after, limit=limit)
    last = str(found[-1].id) if len(found) == limit else None
    return Listing(items=rows(found, AttachmentOut), next=last)


@router.post("/incidents/{key}/attachments", status_code=201)
def add_attachment(
    key: str,
    file: Annotated[UploadFile, File(description="The file, as multipart/form-data.")],
    note: Annotated[str, Form(max_length=1000)] = "",
    task: Annotated[UUID | None, Form()] = None,
    actor: Actor = may("incident.attach"),
) -> AttachmentOut:
    """Add a file, to one of its tasks when `task` is given. 413 when it is larger than TOCSIN_MAX_UPLOAD."""
    given = uploads.upload(file)
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        return AttachmentOut.model_validate(
            attachments.add(uow, actor, incident.id, given, task_id=task, note=note)
        )


@router.get("/attachments/{attachment_id}")
def read_attachment(attachment_id: UUID, actor: Actor = may("incident.read")) -> AttachmentOut:
    """What is known of one file."""
    with reading() as session:
        return AttachmentOut.model_validate(attachments.one(session, actor, attachment_id)[0])


@router.get("/attachments/{attachment_id}/content", response_class=Response)
def download_attachment(attachment_id: UUID, actor: Actor = may("incident.read")) -> Response:
    """The file itself, in a ZIP archive encrypted with the password “infected”; it is written into the access log."""
    with reading() as session:
        file, key = attachments.readable(session, actor, attachment_id)
    access.note(actor, "downloaded", file.ref, file.name, within=file.incident_id)
    return uploads.as_zip([(file.name, file)], f"{key}-{file.digest[:12]}", clock.now())


@router.get("/attachments/{attachment_id}/picture", response_class=Response)
def picture_of_attachment(attachment_id: UUID, actor: Actor = may("incident.read")) -> Response:
    """Of a mail: a PNG of what its reader roughly saw, made without loading or running anything; it is written into the access log.

    422 when the file is no mail, or is built so that no picture can be made of it; 409 while it is being drawn, seconds after
    the mail came.
    """
    with reading() as session:
        file, _key = attachments.readable(session, actor, attachment_id)
        if not file.is_mail:
            raise Invalid("This file is no mail: there is no picture of it.")
        kept = mail_pictures.kept(session, file.digest)
    access.note(actor, "looked at the picture of", file.ref, file.name, within=file.incident_id)
    return Response(uploads.drawn(kept).png, media_type="image/png", headers=uploads.SHUT)
