"""The table of what was, or must be, told to somebody outside about an incident."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Ref, Versioned


class Disclosure(Identified, Dated, Versioned, Base):
    """One notice to an authority, a customer or a partner, or indicators shared with one; see incidents.disclosing."""

    __tablename__ = "disclosures"
    __table_args__ = (Index("ix_disclosures_incident", "incident_id", "created_at", "id"),)

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    kind: Mapped[str] = mapped_column(String(16))  # notice indicators
    to_whom: Mapped[str] = mapped_column(String(200))
    what: Mapped[str] = mapped_column(Text)
    tlp: Mapped[str] = mapped_column(String(16))
    applies: Mapped[bool] = mapped_column(default=True)
    because: Mapped[str] = mapped_column(Text, default="")  # by which rule, or why it does not apply
    observable_id: Mapped[UUID | None] = mapped_column(ForeignKey("observables.id"))  # none: all of them
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    receipt_at: Mapped[datetime | None] = mapped_column(Instant)
    reference: Mapped[str] = mapped_column(String(200), default="")  # the number they gave
    added_by: Mapped[str] = mapped_column(String(200))
    changed_at: Mapped[datetime | None] = mapped_column(Instant)
    changed_by: Mapped[str | None] = mapped_column(String(200))
    withdrawn_at: Mapped[datetime | None] = mapped_column(Instant)
    withdrawn_by: Mapped[str | None] = mapped_column(String(200))

    @property
    def ref(self) -> Ref:
        """What the journal calls it."""
        return Ref("disclosure", str(self.id))
