"""The tables of mail that comes in: each mail once, and the mailbox that is looked into."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core import work
from core.db import Base
from core.types import Dated, Identified, Instant, Json

RECEIVED, OPENED, JOINED, ADDED, IGNORED = "received", "opened", "joined", "added", "ignored"


class MailIn(Identified, Dated, work.Work, Base):
    """One mail, kept as it came. `dedup` is a digest of its Message-ID: the same mail is taken once, by whichever way."""

    __tablename__ = "mails"
    __table_args__ = (
        work.due_index("mails"),
        Index("ix_mails_incident", "incident_id"),
        Index("ix_mails_campaign", "campaign", "created_at"),
    )

    dedup: Mapped[str] = mapped_column(String(64), unique=True)
    digest: Mapped[str | None] = mapped_column(ForeignKey("blobs.digest"))  # null: too large to keep
    size: Mapped[int] = mapped_column()
    via: Mapped[str] = mapped_column(String(8))  # smtp, imap
    peer: Mapped[str] = mapped_column(String(200), default="")
    envelope_from: Mapped[str] = mapped_column(String(320), default="")
    recipients: Mapped[list[str]] = mapped_column(Json, default=list)
    sender: Mapped[str] = mapped_column(String(320), default="")
    subject: Mapped[str] = mapped_column(String(500), default="")
    state: Mapped[str] = mapped_column(String(16), default=RECEIVED)
    why: Mapped[str | None] = mapped_column(Text)
    campaign: Mapped[str | None] = mapped_column(String(64))
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incidents.id"))


class Mailbox(Identified, work.Work, Base):
    """The mailbox that is looked into, in turn by whichever process holds its lease."""

    __tablename__ = "mailboxes"
    __table_args__ = (work.due_index("mailboxes"),)

    place: Mapped[str] = mapped_column(String(64), unique=True)  # a digest of its address
    shown: Mapped[str] = mapped_column(String(300))
    looked_at: Mapped[datetime | None] = mapped_column(Instant)
    problem: Mapped[str | None] = mapped_column(Text)
    taken: Mapped[int] = mapped_column(default=0)


class MailPicture(Identified, Dated, work.Work, Base):
    """The picture of one mail among the files, by the digest of its bytes: made once, or why there is none."""

    __tablename__ = "mail_pictures"
    __table_args__ = (work.due_index("mail_pictures"),)

    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest"), unique=True)
    picture: Mapped[str | None] = mapped_column(ForeignKey("blobs.digest"))
    width: Mapped[int] = mapped_column(default=0)  # pixels
    height: Mapped[int] = mapped_column(default=0)
    text: Mapped[str] = mapped_column(Text, default="")  # the same as text
    problem: Mapped[str | None] = mapped_column(Text)
