"""The picture of a mail among an incident's files: what its reader roughly saw, with nothing to click on."""

import base64
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core import access, blobs
from core.actors import Actor
from core.db import reading
from core.errors import Invalid
from incidents import attachments
from incidents.models import Attachment
from ingest import mail_picture
from ingest.mail_picture import Picture
from web import uploads
from web.languages import gettext as _
from web.pages import Page, show
from web.security import allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class MailPicturePage(Page, template="mail_picture.html", rail="incidents"):
    """The picture, or why there is none."""

    file: Attachment
    key: str
    picture: Picture | None
    source: str
    problem: str


@router.get("/attachments/{attachment_id}/picture")
def picture(request: Request, attachment_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """A page with the picture; who looked at it is written into the access log first."""
    file, key, raw = _mail(actor, attachment_id)
    try:
        made: Picture | None = mail_picture.of(raw, words())
        problem = ""
    except Invalid as error:
        made, problem = None, error.message
    source = "data:image/png;base64," + base64.b64encode(made.png).decode() if made else ""
    return show(request, MailPicturePage(file=file, key=key, picture=made, source=source, problem=problem))


@router.get("/attachments/{attachment_id}/picture.png")
def as_file(attachment_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """The picture alone, to send instead of the mail."""
    file, key, raw = _mail(actor, attachment_id)
    name = f"{key}-{file.digest[:12]}.png"
    headers = {**uploads.SHUT, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(mail_picture.of(raw, words()).png, media_type="image/png", headers=headers)


def _mail(actor: Actor, attachment_id: UUID) -> tuple[Attachment, str, bytes]:
    """A mail among the files the actor may see, and its bytes. Raises NotFound, Invalid when it is no mail."""
    with reading() as session:
        file, key = attachments.one(session, actor, attachment_id)
        if not file.is_mail:
            raise Invalid(_("This file is no mail: there is no picture of it."))
        raw = blobs.get(session, file.digest)
    access.note(actor, "looked at the picture of", file.ref, file.name, within=file.incident_id)
    return file, key, raw


def words() -> dict[str, str]:
    """Our words on a picture, in the reader's language."""
    return {
        "made": _("Made from the mail without loading or running anything. Its colours, its style sheets and its pictures are left out."),
        "from": _("From"), "to": _("To"), "subject": _("Subject"), "date": _("Date"), "answers": _("Answers go to"),
        "no subject": _("(no subject)"), "nobody": _("(not said)"), "inner": _("The mail inside"),
        "files": _("Files of the mail, none of them opened"), "hidden": _("Hidden text"),
        "cut": _("There is more than is shown here."), "empty": _("The mail has no text."),
        "unread": _("This mail inside cannot be read."), "image": _("image, not loaded"),
        "counting pixel": _("counting pixel, not loaded"), "within": _("in the mail itself"), "no source": _("without an address"),
        "field": _("asks for"), "password field": _("asks for a password"), "send": _("Send"),
        "sends to": _("what is typed below goes to"), "not displayed": _("set not to be displayed"),
        "too small to read": _("set too small to read"), "off the page": _("set beside the page"),
        "in the colour of the paper": _("set in the colour of its background"), "unseen": _("invisible letters"),
        "leads to": _("leads to"), "elsewhere": _("another place than its words say"),
    }  # fmt: skip
