"""The rows of reaching people: contact methods, schedules, policies, pages with every attempt, messages."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.ids import new_id
from core.types import Dated, Identified, Instant, Json, Severity, Versioned
from core.work import Work, due_index, lane_index


class Urgency(StrEnum):
    """How loud: high wakes people, low may wait for the morning; a contact method may also serve any."""

    high = "high"
    low = "low"
    any = "any"


class PageState(StrEnum):
    """Where a page stands; only `closed` is final."""

    waiting = "waiting"
    acknowledged = "acknowledged"
    exhausted = "exhausted"
    closed = "closed"


class TargetState(StrEnum):
    """How far we got with one person or place."""

    trying = "trying"
    reached = "reached"
    failed = "failed"
    bundled = "bundled"
    ended = "ended"


class AttemptState(StrEnum):
    """What came of one sending. `unknown`: it was cut off between sending and the answer."""

    pending = "pending"
    sending = "sending"
    sent = "sent"
    failed = "failed"
    unknown = "unknown"
    muzzled = "muzzled"
    cancelled = "cancelled"


class ContactMethod(Identified, Dated, Versioned, Base):
    """One way of reaching a person (or, without `user_id`, a shared place such as a chat channel).

    `address` holds what may be shown, `secrets` the sealed rest as JSON. `delay` is in seconds from the start of
    a page; the first method is always tried at once.
    """

    __tablename__ = "contact_methods"

    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    address: Mapped[dict[str, Any]] = mapped_column(Json)
    secrets: Mapped[str | None] = mapped_column(Text)
    shown: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(default=0)
    delay: Mapped[int] = mapped_column(default=180)
    urgency: Mapped[str] = mapped_column(Text, default=Urgency.any)
    verified_at: Mapped[datetime | None] = mapped_column(Instant)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)


class ChannelSettings(Versioned, Base):
    """What a channel needs once for the whole installation (a bot token, a server)."""

    __tablename__ = "channel_settings"

    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    values: Mapped[dict[str, Any]] = mapped_column(Json)
    secrets: Mapped[str | None] = mapped_column(Text)


class ScheduleRow(Identified, Dated, Versioned, Base):
    """An on-call schedule: a name and the zone whose wall time it keeps."""

    __tablename__ = "schedules"

    name: Mapped[str] = mapped_column(Text, unique=True)
    zone: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, default="")


class Rotation(Identified, Dated, Versioned, Base):
    """A layer of a schedule: people (user ids as text, in order) taking turns; a later position covers."""

    __tablename__ = "rotations"

    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), index=True)
    position: Mapped[int] = mapped_column(default=0)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    every: Mapped[int] = mapped_column(default=1)
    starts: Mapped[str] = mapped_column(Text)  # wall time without zone, ISO 8601: it is not an instant
    until: Mapped[str | None] = mapped_column(Text)
    people: Mapped[list[str]] = mapped_column(Json)
    windows: Mapped[list[dict[str, Any]]] = mapped_column(Json)


class OverrideRow(Identified, Dated, Base):
    """For a while somebody else is on call."""

    __tablename__ = "overrides"

    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    instead_of: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    reason: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (Index(None, "schedule_id", "end_at"),)


class Policy(Identified, Dated, Versioned, Base):
    """An escalation policy; its catch-all is tried when every step and repeat went unanswered.

    `ack_timeout`: seconds after an acknowledgement within which somebody must do something, else it pages again; 0 never.
    """

    __tablename__ = "escalation_policies"

    name: Mapped[str] = mapped_column(Text, unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    repeat: Mapped[int] = mapped_column(default=0)
    ack_timeout: Mapped[int] = mapped_column(default=1800)
    catch_all: Mapped[dict[str, Any]] = mapped_column(Json)
    is_default: Mapped[bool] = mapped_column(default=False)


class PolicyStep(Identified, Base):
    """One step: `targets` are {kind: user|schedule|contact, id}; `delay` seconds later the next step follows."""

    __tablename__ = "escalation_steps"

    policy_id: Mapped[UUID] = mapped_column(ForeignKey("escalation_policies.id", ondelete="CASCADE"))
    position: Mapped[int]
    delay: Mapped[int]
    targets: Mapped[list[dict[str, Any]]] = mapped_column(Json)

    __table_args__ = (UniqueConstraint("policy_id", "position"),)


class Page(Identified, Dated, Versioned, Work, Base):
    """Somebody must look: escalates at `due_at` until acknowledged. `plan` is the policy as it was at the start.

    Once acknowledged, `due_at` is when it rings again unless somebody has worked on its subject by then; `lapsed_at` and
    `lapsed_name` tell when that last happened, and who had acknowledged it. `kind` is what sort of thing it is about.
    """

    __tablename__ = "pages"

    key: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    at_once: Mapped[bool] = mapped_column(default=False)  # never waits in a bundle
    policy: Mapped[str] = mapped_column(Text)
    plan: Mapped[dict[str, Any]] = mapped_column(Json)
    subject_kind: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text, default=Severity.unknown)
    urgency: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=PageState.waiting)
    step: Mapped[int] = mapped_column(default=-1)
    round: Mapped[int] = mapped_column(default=0)
    received_at: Mapped[datetime | None] = mapped_column(Instant)
    first_sent_at: Mapped[datetime | None] = mapped_column(Instant)
    acknowledged_at: Mapped[datetime | None] = mapped_column(Instant)
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    acknowledged_name: Mapped[str | None] = mapped_column(Text)
    acknowledged_via: Mapped[str | None] = mapped_column(Text)
    lapsed_at: Mapped[datetime | None] = mapped_column(Instant)
    lapsed_name: Mapped[str | None] = mapped_column(Text)
    reply_code: Mapped[str | None] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (
        due_index("pages"),
        Index(
            "ix_pages_open_code",
            "reply_code",
            postgresql_where=text("closed_at IS NULL AND reply_code IS NOT NULL"),
            sqlite_where=text("closed_at IS NULL AND reply_code IS NOT NULL"),
        ),
        Index(
            "uq_pages_open_key",
            "key",
            unique=True,
            postgresql_where=text("closed_at IS NULL AND key IS NOT NULL"),
            sqlite_where=text("closed_at IS NULL AND key IS NOT NULL"),
        ),
        Index(
            "ix_pages_open",
            "created_at",
            "id",
            postgresql_where=text("closed_at IS NULL"),
            sqlite_where=text("closed_at IS NULL"),
        ),
        Index(None, "subject_kind", "subject_id"),
        Index(None, "created_at", "id"),
    )


class PageTarget(Identified, Dated, Work, Base):
    """One person or place that a step chose, and why; without `page_id` it is a bundle, due when it is sent."""

    __tablename__ = "page_targets"

    page_id: Mapped[UUID | None] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"), index=True)
    bundle_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("page_targets.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("contact_methods.id", ondelete="SET NULL"))
    round: Mapped[int] = mapped_column(default=0)
    step: Mapped[int] = mapped_column(default=0)
    why: Mapped[str] = mapped_column(Text)
    urgency: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=TargetState.trying)

    __table_args__ = (due_index("page_targets"), Index(None, "user_id", "created_at"))


class PageAttempt(Identified, Dated, Work, Base):
    """One sending by one channel: what was tried, when, and what the provider answered. Kept for ever.

    Sending again is another row with the same `send_id`, so that far ends which know idempotency see one.
    """

    __tablename__ = "page_attempts"

    target_id: Mapped[UUID] = mapped_column(ForeignKey("page_targets.id", ondelete="CASCADE"), index=True)
    page_id: Mapped[UUID | None] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[UUID | None] = mapped_column(Uuid)
    contact_id: Mapped[UUID | None] = mapped_column(Uuid)
    send_id: Mapped[UUID] = mapped_column(Uuid, default=new_id, index=True)
    channel: Mapped[str] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Text)  # the far end it waits for
    shown: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=1)
    urgency: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=AttemptState.pending)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    answered_at: Mapped[datetime | None] = mapped_column(Instant)
    latency_ms: Mapped[int | None]
    receipt: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (due_index("page_attempts"), lane_index("page_attempts", "lane"))


class PageReceipt(Identified, Dated, Base):
    """What a far end told of an attempt afterwards, or a person answered through it; each `key` is heard once.

    `answer` is what we said to it, so that the same call gets the same answer.
    """

    __tablename__ = "page_receipts"

    key: Mapped[str] = mapped_column(Text, unique=True)
    attempt_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("page_attempts.id", ondelete="CASCADE"), index=True
    )
    state: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text, default="")


class Message(Identified, Dated, Work, Base):
    """A plain notification: sent once if we can know it, never escalated."""

    __tablename__ = "messages"

    channel: Mapped[str] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Text)  # the far end it waits for
    shown: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)  # sealed; None when a contact method is used
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("contact_methods.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    picture: Mapped[str | None] = mapped_column(ForeignKey("blobs.digest"))  # a PNG that goes with it, where the channel takes one
    path: Mapped[str] = mapped_column(Text, default="")
    subject_kind: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text, default=Severity.unknown)
    state: Mapped[str] = mapped_column(Text, default=AttemptState.pending)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    latency_ms: Mapped[int | None]
    receipt: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        due_index("messages"),
        lane_index("messages", "lane"),
        Index(None, "subject_kind", "subject_id"),
    )


class InboxItem(Identified, Dated, Base):
    """Something for a person to see in our own pages; `attempt` is the sending that put it there."""

    __tablename__ = "inbox_items"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    attempt: Mapped[UUID] = mapped_column(Uuid, unique=True)
    kind: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    link: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    read_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = (Index(None, "user_id", "created_at"),)
