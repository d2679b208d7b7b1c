"""The table of values that are being taken out of the record of an incident, or were."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core import work
from core.actors import Actor, ActorKind
from core.db import Base
from core.types import Dated, Identified, Instant, Json


class Redaction(Identified, Dated, work.Work, Base):
    """One value, and how far taking it out has come: `step` and `after` say where to go on. `value` is sealed, and gone at the end."""

    __tablename__ = "redactions"
    __table_args__ = (work.due_index("redactions"), Index("ix_redactions_incident", "incident_id", "id"))

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    value: Mapped[str | None] = mapped_column(Text)
    shown: Mapped[str] = mapped_column(String(100))  # what stays of it
    reason: Mapped[str] = mapped_column(Text)
    keep: Mapped[dict[str, str]] = mapped_column(Json, default=dict)  # files that stay though they hold it: digest and why
    also: Mapped[list[str]] = mapped_column(Json, default=list)  # files that go though nobody could look into them
    step: Mapped[str] = mapped_column(Text, default="")
    after: Mapped[str | None] = mapped_column(Text)
    looked: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, int]] = mapped_column(Json, default=dict)  # by place: rows that held it
    entries: Mapped[int] = mapped_column(default=0)  # of the journal that lost their erasable part
    sealed: Mapped[list[str]] = mapped_column(Json, default=list)  # entries that name it where nothing can be erased
    files: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)  # {digest, name, size, what, why}
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(String(200))

    @property
    def by(self) -> Actor:
        """Who wanted it, without permissions."""
        return Actor(ActorKind(self.actor_kind), self.actor_id, self.actor_name)
