"""The table of filters that people keep under a name."""

from uuid import UUID

from sqlalchemy import Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Ref


class SavedView(Identified, Dated, Base):
    """A list narrowed in a certain way, under a name: one person's own, or everybody's."""

    __tablename__ = "saved_views"
    __table_args__ = (Index("ix_saved_views_list", "list_name", "owner_id"),)

    owner_id: Mapped[UUID] = mapped_column(Uuid)
    owner_name: Mapped[str] = mapped_column(String(200))
    shared: Mapped[bool] = mapped_column(default=False)
    list_name: Mapped[str] = mapped_column(String(16))  # incidents alerts
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[str] = mapped_column(Text)  # as it stands behind the ? of the list's address

    @property
    def ref(self) -> Ref:
        """What the journal calls it."""
        return Ref("view", str(self.id))

    @property
    def href(self) -> str:
        """Where it leads."""
        return f"/{self.list_name}?{self.query}" if self.query else f"/{self.list_name}"
