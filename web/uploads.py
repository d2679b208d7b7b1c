"""Files that a form or a program sends, and files handed out so that nothing opens them by accident."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from fastapi import UploadFile
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.datastructures import UploadFile as SentFile
from stream_zip import ZIP_AUTO, stream_zip

from core import blobs
from core.errors import Conflict, Invalid, Problem
from core.settings import settings
from incidents.attachments import Upload
from incidents.models import Attachment
from ingest.mail_picture import Picture
from ingest.mail_pictures import Kept
from ingest import mail_facts
from web.languages import gettext as _
from web.security import Fields
from web.wording import visible

PASSWORD = "infected"  # noqa: S105 - everybody knows it: it keeps a file from being opened, not from being read
MOST_FILES = 20
# Whatever a browser makes of it, it may load, run and send nothing.
SHUT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def sent(form: Fields, name: str, most_files: int = MOST_FILES) -> list[Upload]:
    """The files of a form's field, measured; an empty field is none. Raises TooLarge, Invalid when there are too many."""
    files = [file for file in form.form.getlist(name) if isinstance(file, SentFile) and file.filename]
    if len(files) > most_files:
        message = _("At most %(n)s files at once.") % {"n": most_files}
        raise Invalid(message, [Problem(name, message)])
    return [upload(file) for file in files]


def upload(file: SentFile | UploadFile) -> Upload:
    """One file that was sent, measured, and read if it is a mail. Raises TooLarge, Invalid when it is empty."""
    measured = blobs.measure(file.file, settings().max_upload)
    if not measured.size:
        message = _("The file “%(name)s” is empty.") % {"name": visible(file.filename or "")[:80]}
        raise Invalid(message, [Problem("files", message)])
    made = Upload(file.filename or "file", measured)
    return replace(made, mail=mail_facts.of_upload(made))


def as_zip(files: list[tuple[str, Attachment]], name: str, at: datetime) -> StreamingResponse:
    """Files in an encrypted archive (AES, password “infected”), made while it is sent; each with its name inside."""

    def members() -> Iterator[tuple[str, datetime, int, object, Iterator[bytes]]]:
        for inside, file in files:
            yield inside, at, 0o100600, ZIP_AUTO(file.size), blobs.parts(file.digest)

    stream = stream_zip(members(), password=PASSWORD)  # type: ignore[arg-type]  # its kind of method has no public name
    headers = {**SHUT, "Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(stream, media_type="application/zip", headers=headers)


def as_text(text: str) -> PlainTextResponse:
    """Text that a browser shows as nothing but text."""
    return PlainTextResponse(
        visible(text.replace("\r\n", "\n")), headers={**SHUT, "Content-Disposition": "inline"}
    )


def drawn(kept: Kept) -> Picture:
    """The picture of a mail. Raises Invalid when none can be made, Conflict while it is being drawn."""
    if kept.picture is not None:
        return kept.picture
    if kept.problem:
        raise Invalid(kept.problem)
    raise Conflict(_("The picture is being drawn; ask again in a few seconds."))
