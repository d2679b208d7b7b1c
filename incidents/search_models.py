"""The table behind the search box: one row per word of a thing.

A plain table of words instead of FTS5 and tsvector: one code path, nothing the migrations have to know about, and
an exact word or a prefix is one range of one index. It is fed off the hot path.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Instant


class SearchWord(Base):
    """One word in one incident or alert, with the time of that thing so that the newest come first."""

    __tablename__ = "search_words"
    __table_args__ = (Index("ix_search_words_thing", "kind", "thing_id"),)

    # Compared byte by byte, so that all words with a beginning stand together in the index.
    word: Mapped[str] = mapped_column(
        String(64).with_variant(String(64, collation="C"), "postgresql"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    thing_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
