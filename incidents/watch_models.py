"""The table of who wants to be told what happens to an incident."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated


class Watch(Dated, Base):
    """A person who watches an incident."""

    __tablename__ = "watches"
    __table_args__ = (Index("ix_watches_user", "user_id"),)

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
