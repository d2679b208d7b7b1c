"""Sources, what they delivered, and the keys by which a repeated delivery is known."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, Text, Uuid, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Json, Versioned
from core.work import Work, due_index

RECEIVED, PROCESSED, IGNORED, QUARANTINED, REFUSED = (
    "received",
    "processed",
    "ignored",
    "quarantined",
    "refused",
)

_QUARANTINED = text("state = 'quarantined'")


class Source(Identified, Dated, Versioned, Base):
    """One sender of alerts: which product it speaks for, how it proves itself and how far it is believed."""

    __tablename__ = "sources"

    name: Mapped[str] = mapped_column(String(64), unique=True)  # a slug: part of its URL
    connector: Mapped[str] = mapped_column(String(64))
    config: Mapped[dict[str, Any]] = mapped_column(
        Json, default=dict
    )  # mapping and settings of the connector
    proof: Mapped[str] = mapped_column(String(16))
    trust: Mapped[str] = mapped_column(String(8))
    quiet_after_seconds: Mapped[int] = mapped_column(default=86_400)
    learning_until: Mapped[datetime | None] = mapped_column(Instant)
    constituency_id: Mapped[UUID | None] = mapped_column(Uuid)
    team_id: Mapped[UUID | None] = mapped_column(Uuid)
    restricted_to: Mapped[list[str] | None] = mapped_column(Json)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)
    last_seen_at: Mapped[datetime | None] = mapped_column(Instant)  # set by processing, not by the door

    def learning(self, now: datetime) -> bool:
        """Whether it is so new that only its critical alerts wake anybody."""
        return self.learning_until is not None and self.learning_until > now

    @property
    def quiet_after(self) -> timedelta:
        """How long without a repeat until an alert that nobody resolves has ended."""
        return timedelta(seconds=self.quiet_after_seconds)


class SourceSecret(Identified, Dated, Base):
    """One live or retired secret of a source; two may be live at once, so that they can be rotated."""

    __tablename__ = "source_secrets"

    source_id: Mapped[UUID] = mapped_column(ForeignKey("sources.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    sealed: Mapped[str | None] = mapped_column(Text)  # only where the check needs the secret itself (HMAC)
    retired_at: Mapped[datetime | None] = mapped_column(Instant)


class Delivery(Identified, Work, Base):
    """One body as it was sent, after its content coding was undone and our own secrets were blanked out.

    `source_id` has no foreign key: its check would lock the source's row in every commit of the door.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        due_index("deliveries"),
        Index("ix_deliveries_source", "source_id", "id"),
        Index("ix_deliveries_quarantined", "id", postgresql_where=_QUARANTINED, sqlite_where=_QUARANTINED),
    )

    received_at: Mapped[datetime] = mapped_column(Instant)
    source_id: Mapped[UUID] = mapped_column(Uuid)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    content_type: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, str]] = mapped_column(Json)
    digest: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256 of `body` as it came, with secrets that are taken out of it later
    size: Mapped[int] = mapped_column()
    peer: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default=RECEIVED)
    reason: Mapped[str | None] = mapped_column(Text)
    alerts: Mapped[int] = mapped_column(default=0)
    ignored: Mapped[int] = mapped_column(default=0)
    replays: Mapped[int] = mapped_column(default=0)
    processed_at: Mapped[datetime | None] = mapped_column(Instant)


ASIDE = Delivery.state == literal_column("'quarantined'")
"""Set aside. A parameter in its place would miss the partial index, and read every delivery there is."""


class DeliveryKey(Base):
    """What makes the same delivery known again until `expires_at`; points at the receipt that was given first."""

    __tablename__ = "delivery_keys"
    __table_args__ = (Index(None, "expires_at"),)

    source_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(Uuid)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class Subscription(Identified, Dated, Base):
    """A topic that asks to be confirmed before it may send: an operator decides, nothing is fetched by itself."""

    __tablename__ = "source_subscriptions"

    source_id: Mapped[UUID] = mapped_column(ForeignKey("sources.id"), index=True)
    topic: Mapped[str] = mapped_column(Text)
    delivery_id: Mapped[UUID] = mapped_column(Uuid)
    url: Mapped[str] = mapped_column(Text)
    signed: Mapped[bool] = mapped_column(Boolean, default=False)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
