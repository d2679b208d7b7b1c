"""Which files the mails hold, what is looked through in them, and what goes with a mail whose bytes are taken away."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import blobs, held_files
from core.db import UnitOfWork
from core.errors import Invalid
from core.held_files import Holder, Reader
from core.types import Ref
from incidents.sniffing import kind_of
from ingest import mail_reading
from ingest.mail_models import MailIn, MailPicture

_DEEPEST = 8


def _let_go(uow: UnitOfWork, subject: UUID, digest: str, why: str) -> Sequence[Ref]:
    query = select(MailIn).where(MailIn.incident_id == subject, MailIn.digest == digest)
    mails = uow.scalars(query.with_for_update()).all()
    for mail in mails:
        mail.digest, mail.why = None, f"taken away: {why}"
    return [Ref("mail", str(mail.id)) for mail in mails]


def _with_it(uow: UnitOfWork, digest: str) -> None:
    """The picture of a mail, and its text, go with the mail."""
    row = uow.scalar(select(MailPicture).where(MailPicture.digest == digest).with_for_update())
    if row is None:
        return
    picture = row.picture
    uow.delete(row)
    uow.flush()
    if picture is not None and blobs.lock(uow, picture):
        held_files.gone_if_free(uow, picture)


def _drawn(session: Session, digest: str) -> str:
    return session.scalar(select(MailPicture.text).where(MailPicture.digest == digest)) or ""


def pieces(raw: bytes, depth: int = 0) -> tuple[list[bytes], bool]:
    """Everything that a mail and the mails in it say, decoded; whether all of it could be read. Raises Invalid."""
    mail = mail_reading.read(raw)
    said = (mail.subject, mail.text, mail.to, mail.sender.name, *mail.markup, *mail.links)
    found = [one.encode("utf-8", "replace") for one in said]
    whole = not mail.cut
    for file in mail.files:
        found += [file.name.encode("utf-8", "replace"), file.content]
        whole = whole and kind_of(file.content[:8192]).media_type.startswith("text/")
    for inner in mail.inner:
        found.append(inner)
        if depth >= _DEEPEST:
            whole = False
            continue
        try:
            more, all_of_it = pieces(inner, depth + 1)
        except Invalid:
            more, all_of_it = [], False
        found += more
        whole = whole and all_of_it
    return found, whole


held_files.declare(
    Holder(
        "mails that came in", MailIn.digest, MailIn.digest.is_not(None), lambda subject: MailIn.incident_id == subject,
        MailIn.subject, _let_go,
    ),
    Holder("pictures of mails", MailPicture.picture, MailPicture.picture.is_not(None)),
)  # fmt: skip
held_files.reads(Reader("message/rfc822", pieces, _drawn))
held_files.goes_with(_with_it)
