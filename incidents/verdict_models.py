"""The table of what was said of a value of an incident: malicious, suspicious, harmless or unknown."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified


class Verdict(Identified, Dated, Base):
    """What somebody said of a value in one incident; the newest of a value holds, the older ones stay."""

    __tablename__ = "verdicts"
    __table_args__ = (Index("ix_verdicts_incident", "incident_id", "id"),)

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    observable_id: Mapped[UUID] = mapped_column(ForeignKey("observables.id"))
    verdict: Mapped[str] = mapped_column(String(16))
    because: Mapped[str] = mapped_column(Text, default="")
    call_id: Mapped[UUID | None] = mapped_column(Uuid)  # the look-up that it follows
    look_up: Mapped[str] = mapped_column(String(100), default="")  # its action
    by: Mapped[str] = mapped_column(String(200))
