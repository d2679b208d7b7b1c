"""The picture of a mail among an incident's files: what its reader roughly saw, with nothing to click on."""

import base64
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import access
from core.actors import Actor
from core.db import reading
from core.errors import Invalid
from incidents import attachments
from incidents.models import Attachment
from ingest import mail_pictures
from ingest.mail_picture import Picture
from ingest.mail_pictures import Kept
from web import uploads
from web.uploads import drawn
from web.languages import gettext as _
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class MailPicturePage(Page, template="mail_picture.html", rail="incidents"):
    """The picture, or why there is none, or that it is being drawn."""

    file: Attachment
    key: str
    picture: Picture | None
    source: str
    problem: str


@router.get("/attachments/{attachment_id}/picture")
def picture(request: Request, attachment_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """A page with the picture; who looked at it is written into the access log first."""
    file, key, kept = _mail(actor, attachment_id)
    made = kept.picture
    source = "data:image/png;base64," + base64.b64encode(made.png).decode() if made else ""
    return show(request, MailPicturePage(file=file, key=key, picture=made, source=source, problem=kept.problem))


@router.get("/attachments/{attachment_id}/picture.png")
def as_file(attachment_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """The picture alone, to send instead of the mail."""
    file, key, kept = _mail(actor, attachment_id)
    name = f"{key}-{file.digest[:12]}.png"
    headers = {**uploads.SHUT, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(drawn(kept).png, media_type="image/png", headers=headers)


def _mail(actor: Actor, attachment_id: UUID) -> tuple[Attachment, str, Kept]:
    """A mail among the files the actor may see, and its picture. Raises NotFound, Invalid when it is no mail."""
    with reading() as session:
        file, key = attachments.readable(session, actor, attachment_id)
        if not file.is_mail:
            raise Invalid(_("This file is no mail: there is no picture of it."))
        kept = mail_pictures.kept(session, file.digest)
    access.note_once(actor, "looked at the picture of", file.ref, file.name, within=file.incident_id)
    return file, key, kept
