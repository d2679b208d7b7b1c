"""Has the picture of every mail among the files drawn beforehand, by a worker when nothing else is to be done, and keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core import blobs, live, work
from core.db import UnitOfWork, is_postgres, reading, unit_of_work
from core.errors import Invalid, TooMany
from core.ids import new_id
from core.journal import Entry
from core.outbox import subscriber
from core.types import Ref
from incidents import mails
from incidents.models import Attachment
from ingest import mail_picture
from ingest.mail_models import MailPicture
from ingest.mail_picture import Picture

WORK = "ingest.mail_pictures"
MAIL = "message/rfc822"


@dataclass(frozen=True)
class Kept:
    """What there is of a picture: the picture, or why there is none; neither while it is being drawn."""

    picture: Picture | None = None
    problem: str = ""


def kept(session: Session, digest: str) -> Kept:
    """The picture of the mail with these bytes, as far as it has come."""
    row = session.scalar(select(MailPicture).where(MailPicture.digest == digest))
    if row is None:
        return Kept()
    if row.picture is not None:
        png = blobs.get(session, row.picture)
        return Kept(Picture(png, row.width, row.height, row.text))
    if row.parked_at is not None:
        return Kept(problem="No picture could be made of this mail: the drawing failed again and again. Read it as text instead.")
    return Kept(problem=row.problem or "")


@mails.drawn_by
def drawn(session: Session, digest: str) -> str | None:
    """The digest of the picture of the mail with these bytes; None while there is none."""
    return session.scalar(select(MailPicture.picture).where(MailPicture.digest == digest))


def ask(uow: UnitOfWork, digest: str) -> None:
    """Have a picture drawn of the mail with these bytes, unless that was asked for before."""
    insert = postgresql.insert if is_postgres(uow) else sqlite.insert
    row = {"id": new_id(), "created_at": uow.now, "digest": digest, "due_at": uow.now}
    uow.execute(insert(MailPicture).values(row).on_conflict_do_nothing(index_elements=["digest"]))
    uow.wake(WORK)


def ask_all(uow: UnitOfWork, entries: Sequence[Entry]) -> None:
    """Have pictures drawn of the mails among files that were added."""
    for entry in entries:
        if entry.body.get("media_type") == MAIL:
            ask(uow, str(entry.body["sha256"]))


@subscriber("ingest.mail_pictures", verbs=("attachment.added",), at_once=ask_all)
def _added(uow: UnitOfWork, entry: Entry) -> None:
    """As ask_all(), for one that comes by the outbox."""
    ask_all(uow, [entry])


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with reading() as session:
            asked = session.get(MailPicture, claim.id)
            raw = blobs.get(session, asked.digest) if asked is not None else None
        if raw is None:
            continue  # the mail was taken away, and what was to be drawn with it
        made, problem = None, None
        try:
            made = mail_picture.of(raw, {})
        except Invalid as error:
            problem = error.message
        except TooMany:
            with unit_of_work() as uow:
                work.postpone(uow, KIND, claim, uow.now + timedelta(seconds=10))
            continue
        with unit_of_work() as uow:
            row = uow.get(MailPicture, claim.id, with_for_update=True)
            if row is None:
                continue
            row.problem = problem
            if made is not None:
                row.picture = blobs.put(uow, made.png, "image/png")
                row.width, row.height, row.text = made.width, made.height, made.text
            uow.flush()
            work.finish(uow, KIND, claim)
            shown = uow.scalars(select(Attachment.id).where(Attachment.digest == row.digest)).all()
            changed = [Ref("attachment", str(one)) for one in shown]
            uow.after_commit(partial(live.publish, changed))


KIND = work.register(
    work.WorkKind(
        WORK,
        MailPicture,
        _handle,
        batch=1,
        max_attempts=3,
        concurrency=1,  # nobody waits for it as they wait for a page or a call
        about=[
            select(MailPicture.id, literal("attachment"), Attachment.id).join(
                Attachment, Attachment.digest == MailPicture.digest
            )
        ],
    )
)
