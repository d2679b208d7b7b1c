"""The tables of what is learnt of an incident: the attacker's doings, the look back, the actions that follow."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Json, Ref, Versioned

_IN_FORCE = text("withdrawn_at IS NULL")
_OPEN = text("state = 'open'")


class Finding(Identified, Dated, Versioned, Base):
    """One thing the attacker did, when it happened; a correction changes the row, the journal keeps what it said."""

    __tablename__ = "findings"
    __table_args__ = (
        Index("ix_findings_incident", "incident_id", "occurred_at", "id"),
        Index(
            "uq_findings_alert", "incident_id", "alert_id", unique=True,
            postgresql_where=_IN_FORCE, sqlite_where=_IN_FORCE,
        ),
    )  # fmt: skip

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    alert_id: Mapped[UUID | None] = mapped_column(Uuid)  # where it was taken from; alerts may be forgotten
    attachment_id: Mapped[UUID | None] = mapped_column(ForeignKey("attachments.id"))  # the file that shows it
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    precision: Mapped[str] = mapped_column(String(16))  # as of milestones
    says: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(200), default="")  # what showed it: a log, a product, a person
    confidence: Mapped[str] = mapped_column(String(16))  # high medium low
    technique: Mapped[str | None] = mapped_column(String(16))  # T1059.001
    entities: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)  # {type, value}
    evidence: Mapped[str] = mapped_column(Text, default="")  # where the evidence is, in words
    added_by: Mapped[str] = mapped_column(String(200))
    changed_at: Mapped[datetime | None] = mapped_column(Instant)
    changed_by: Mapped[str | None] = mapped_column(String(200))
    withdrawn_at: Mapped[datetime | None] = mapped_column(Instant)
    withdrawn_by: Mapped[str | None] = mapped_column(String(200))
    withdrawn_because: Mapped[str | None] = mapped_column(Text)

    @property
    def ref(self) -> Ref:
        """What the journal calls this finding."""
        return Ref("finding", str(self.id))


class ReviewPoint(Identified, Dated, Base):
    """One point of the look back: an impact, what was checked, a decision, what went well; see incidents.reviewing."""

    __tablename__ = "review_points"
    __table_args__ = (Index("ix_review_points_incident", "incident_id", "created_at", "id"),)

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    section: Mapped[str] = mapped_column(String(16))
    area: Mapped[str] = mapped_column(String(16), default="")
    state: Mapped[str] = mapped_column(String(16), default="")
    says: Mapped[str] = mapped_column(Text)
    result: Mapped[str] = mapped_column(Text, default="")  # the figure of an impact, what was decided
    options: Mapped[str] = mapped_column(Text, default="")  # between which a decision was, one a line
    how: Mapped[str] = mapped_column(Text, default="")  # how it is known, on what information
    who: Mapped[str] = mapped_column(String(200), default="")  # who checked or decided
    added_by: Mapped[str] = mapped_column(String(200))
    withdrawn_at: Mapped[datetime | None] = mapped_column(Instant)
    withdrawn_by: Mapped[str | None] = mapped_column(String(200))


class FollowUp(Identified, Dated, Versioned, Base):
    """An action after the incident: what is to be changed, by whom, until when; followed until it is done or dropped."""

    __tablename__ = "follow_ups"
    __table_args__ = (
        Index("ix_follow_ups_incident", "incident_id", "created_at", "id"),
        Index("ix_follow_ups_created_at", "created_at", "id"),
        Index("ix_follow_ups_open", "created_at", "id", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_follow_ups_due", "due_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_follow_ups_owner", "owner_id", "due_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
    )

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    title: Mapped[str] = mapped_column(String(500))
    owner_id: Mapped[UUID | None] = mapped_column(Uuid)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    link: Mapped[str] = mapped_column(String(2000), default="")  # a ticket elsewhere; shown as text
    state: Mapped[str] = mapped_column(String(16), default="open")  # open done dropped
    added_by: Mapped[str] = mapped_column(String(200))
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(Text, default="")  # how it was done, or why it was dropped

    @property
    def ref(self) -> Ref:
        """What the journal calls this action."""
        return Ref("follow_up", str(self.id))
