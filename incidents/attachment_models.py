"""The table of the files that belong to incidents."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Json, Ref


class Attachment(Identified, Dated, Base):
    """A file of an incident: what it is called, its bytes by their SHA-256, who brought it. It is never changed, but may be taken away."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index("ix_attachments_incident", "incident_id", "created_at"),
        Index("ix_attachments_digest", "digest"),
    )

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id"))
    comment_id: Mapped[UUID | None] = mapped_column(ForeignKey("comments.id"))
    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest"))
    name: Mapped[str] = mapped_column(String(255))  # as it was given, cleaned; never used as a path
    size: Mapped[int] = mapped_column()
    media_type: Mapped[str] = mapped_column(String(64))  # told from the bytes, not from the name
    kind: Mapped[str] = mapped_column(String(64))  # the same in words
    note: Mapped[str] = mapped_column(Text, default="")
    origin: Mapped[str] = mapped_column(String(16))  # person, report, mail
    mail: Mapped[dict[str, Any] | None] = mapped_column(Json)  # of a mail: what was read from it
    added_by_kind: Mapped[str] = mapped_column(String(16))
    added_by_id: Mapped[str] = mapped_column(String(64))
    added_by_name: Mapped[str] = mapped_column(String(200))
    removed_at: Mapped[datetime | None] = mapped_column(Instant)  # its bytes were taken away from this incident
    removed_why: Mapped[str | None] = mapped_column(Text)

    @property
    def ref(self) -> Ref:
        """What the journal calls this file."""
        return Ref("attachment", str(self.id))

    @property
    def is_text(self) -> bool:
        """Whether it can be read as plain text."""
        return self.media_type.startswith("text/") or self.media_type == "message/rfc822"

    @property
    def is_mail(self) -> bool:
        """Whether it is a mail, of which a picture can be made."""
        return self.media_type == "message/rfc822"
