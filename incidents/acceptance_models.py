"""The table of what people have said to ignore for a time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Json, Ref, Versioned

_LIVE = text("ended_at IS NULL")


class Acceptance(Identified, Dated, Versioned, Base):
    """“Ignore this rule from this host until then, because…”: what it fits is stored and counted, and wakes nobody."""

    __tablename__ = "acceptances"
    __table_args__ = (
        Index("ix_acceptances_source", "source_id", "until", postgresql_where=_LIVE, sqlite_where=_LIVE),
        Index("ix_acceptances_until", "until", postgresql_where=_LIVE, sqlite_where=_LIVE),
        Index("ix_acceptances_created_at", "created_at", "id"),
    )

    source_id: Mapped[UUID] = mapped_column(Uuid)
    source: Mapped[str] = mapped_column(String(200))
    rule: Mapped[str] = mapped_column(String(500))  # the detection's id; its name or title where it has none
    rule_name: Mapped[str] = mapped_column(String(500))  # what people call it
    entity_type: Mapped[str] = mapped_column(String(32))
    entity_value: Mapped[str] = mapped_column(Text)
    entity_role: Mapped[str] = mapped_column(String(16))
    # Other values of the same type and role in the alert it was made from: the same machine by another name, say.
    beside: Mapped[list[str]] = mapped_column(Json, default=list)
    severity: Mapped[str] = mapped_column(String(16))  # the highest that it hides
    criticals: Mapped[bool] = mapped_column(
        default=False
    )  # somebody confirmed that critical ones are meant, too
    reason: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[UUID | None] = mapped_column(Uuid)  # who answers for it, and is told before it ends
    made_by: Mapped[str] = mapped_column(String(200))
    restricted_to: Mapped[list[str] | None] = mapped_column(Json)  # as the alert it was made from
    alert_id: Mapped[UUID] = mapped_column(Uuid)
    incident_id: Mapped[UUID | None] = mapped_column(Uuid)
    until: Mapped[datetime] = mapped_column(Instant)
    told_at: Mapped[datetime | None] = mapped_column(Instant)  # when its owner was told that it ends soon
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(String(200))  # null with ended_at: its time was over
    hidden: Mapped[int] = mapped_column(default=0)  # so many times something fitted it
    last_hidden_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def ref(self) -> Ref:
        """What the journal calls it."""
        return Ref("acceptance", str(self.id))
