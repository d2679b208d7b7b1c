"""Files of incidents: adding them, and handing them out in an archive that nothing opens by accident."""

from uuid import UUID

from fastapi import APIRouter, Response

from core import access, clock
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from incidents import attachments, queries
from incidents.attachments import Upload
from web import uploads
from web.languages import gettext as _
from web.languages import ngettext
from web.pages import then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)


@router.post("/incidents/{key}/attachments")
def add(form: Form, key: str, actor: Actor = allowed("incident.attach")) -> Response:
    """Add files to an incident, or to one of its tasks."""
    files = _files(form)
    given = form.get("task")
    task = UUID(given) if given else None
    with unit_of_work() as uow:
        incident = queries.incident(uow, actor, key)
        for file in files:
            attachments.add(uow, actor, incident.id, file, task_id=task, note=form.get("note"))
    said = ngettext("%(num)s file added.", "%(num)s files added.", len(files)) % {"num": len(files)}
    return then(f"/incidents/{key}", said)


def _files(form: Fields) -> list[Upload]:
    if files := uploads.sent(form, "files"):
        return files
    message = _("Choose a file first.")
    raise Invalid(message, [Problem("files", message)])


@router.get("/attachments/{attachment_id}")
def download(attachment_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """The file in an encrypted archive; who fetched it is written into the access log first."""
    with reading() as session:
        file, key = attachments.readable(session, actor, attachment_id)
    access.note(actor, "downloaded", file.ref, file.name, within=file.incident_id)
    return uploads.as_zip([(file.name, file)], f"{key}-{file.digest[:12]}", clock.now())


@router.get("/attachments/{attachment_id}/text")
def text(attachment_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """The beginning of a text, as plain text."""
    with reading() as session:
        file, _key = attachments.readable(session, actor, attachment_id)
        shown = attachments.text_of(session, file)
    access.note(actor, "read as text", file.ref, file.name, within=file.incident_id)
    return uploads.as_text(shown)
