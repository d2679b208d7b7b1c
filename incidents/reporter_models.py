"""The tables of those who report something and of what is said between them and the responders."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Ref


class Reporter(Identified, Dated, Base):
    """Somebody without an account who reported something; their link is signed with `link`, and a new number ends the old one."""

    __tablename__ = "reporters"
    __table_args__ = (Index("ix_reporters_incident", "incident_id", "created_at"),)

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    key: Mapped[str] = mapped_column(String(24))  # the number they were given
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(300))  # in their own words: all that their page shows of it
    origin: Mapped[str] = mapped_column(String(16))  # form, mail
    link: Mapped[int] = mapped_column(default=1)
    thanked_at: Mapped[datetime | None] = mapped_column(Instant)  # by mail, with their number and link
    link_ended_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def ref(self) -> Ref:
        """What the journal calls this reporter."""
        return Ref("reporter", str(self.id))


class ReporterMessage(Identified, Dated, Base):
    """Something a reporter said (`inward`) or was told."""

    __tablename__ = "reporter_messages"
    __table_args__ = (
        Index("ix_reporter_messages_incident", "incident_id", "id"),
        Index("ix_reporter_messages_mail", "message_id"),
    )

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    reporter_id: Mapped[UUID] = mapped_column(ForeignKey("reporters.id"))
    inward: Mapped[bool] = mapped_column()
    via: Mapped[str] = mapped_column(String(16))  # form, page, mail
    by_name: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    message_id: Mapped[str | None] = mapped_column(String(300))  # of the mail it came with
    sent_as: Mapped[UUID | None] = mapped_column(Uuid)  # the message of notify that carries it
