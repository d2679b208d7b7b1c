"""The tables of the response: playbooks and their versions, runs, attempts at steps, waits and votes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Json, Ref
from core.work import Work, due_index

_OPEN_WAIT = text("answered_at IS NULL AND closed_at IS NULL")
_LIVE_RUN = text("ended_at IS NULL")


class Playbook(Identified, Dated, Base):
    """A playbook by its key, and the version that new runs use."""

    __tablename__ = "playbooks"

    key: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(String(8))
    version_id: Mapped[UUID] = mapped_column(ForeignKey("playbook_versions.id"))
    removed_at: Mapped[datetime | None] = mapped_column(Instant)  # no longer in the file: starts nothing


class PlaybookVersion(Identified, Dated, Base):
    """One version, immutable and named by the hash of its plan; runs are pinned to it."""

    __tablename__ = "playbook_versions"
    __table_args__ = (UniqueConstraint("key", "digest"), UniqueConstraint("key", "number"))

    key: Mapped[str] = mapped_column(String(64))
    number: Mapped[int] = mapped_column()
    digest: Mapped[str] = mapped_column(String(64))
    plan: Mapped[bytes] = mapped_column(LargeBinary)  # canonical JSON
    source: Mapped[str] = mapped_column(Text)  # the file it came from, whole
    applied_by: Mapped[str] = mapped_column(String(200))


class PlaybookRun(Identified, Dated, Work, Base):
    """One run: the leased unit of work. Terminal states are final."""

    __tablename__ = "runs"
    __table_args__ = (
        due_index("runs"),
        Index("ix_runs_subject", "subject_kind", "subject_id", "created_at"),
        Index("ix_runs_playbook", "playbook", "created_at"),
        Index("ix_runs_live", "created_at", "id", postgresql_where=_LIVE_RUN, sqlite_where=_LIVE_RUN),
        # One run holds a slot at a time; a run without a slot holds none.
        UniqueConstraint("playbook", "slot"),
    )

    playbook: Mapped[str] = mapped_column(String(64))
    version_id: Mapped[UUID] = mapped_column(ForeignKey("playbook_versions.id"))
    name: Mapped[str] = mapped_column(String(200))
    mode: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(
        String(12)
    )  # queued running waiting | succeeded failed refused cancelled
    reason: Mapped[str | None] = mapped_column(Text)  # why it ended as it did
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(64))
    inputs: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    variables: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    trigger: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    trigger_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    actions: Mapped[int] = mapped_column(default=0)
    concurrency_key: Mapped[str | None] = mapped_column(String(300))
    slot: Mapped[str | None] = mapped_column(String(300))
    started_by_kind: Mapped[str] = mapped_column(String(16))
    started_by_id: Mapped[str] = mapped_column(String(64))
    started_by: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    forked_from: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))

    @property
    def ref(self) -> Ref:
        """What the journal calls this run."""
        return Ref("run", str(self.id))

    @property
    def subject(self) -> Ref:
        """What the run is about, an incident."""
        return Ref(self.subject_kind, self.subject_id)


class StepAttempt(Identified, Base):
    """One try of one step in one iteration; a state that ends it is final."""

    __tablename__ = "step_attempts"
    __table_args__ = (UniqueConstraint("run_id", "path", "iteration", "attempt"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"))
    path: Mapped[str] = mapped_column(Text)
    iteration: Mapped[str] = mapped_column(String(64), default="")
    attempt: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(12))
    started_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    output: Mapped[Any | None] = mapped_column(Json)
    error: Mapped[str | None] = mapped_column(Text)
    form: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    by: Mapped[list[str]] = mapped_column(Json, default=list)
    detail: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Wait(Identified, Dated, Base):
    """Something a step waits for: answered once, or closed because the step went on without it."""

    __tablename__ = "waits"
    __table_args__ = (
        Index("ix_waits_run", "run_id"),
        Index("ix_waits_attempt", "attempt_id"),
        Index("ix_waits_ref", "ref", postgresql_where=_OPEN_WAIT, sqlite_where=_OPEN_WAIT),
        Index(
            "ix_waits_open", "kind", "created_at", "id", postgresql_where=_OPEN_WAIT, sqlite_where=_OPEN_WAIT
        ),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"))
    attempt_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("step_attempts.id")
    )  # none: called back before it waits
    kind: Mapped[str] = mapped_column(String(12))  # timer task approval callback call
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    ref: Mapped[str | None] = mapped_column(String(80))  # "task:<id>", "call:<id>", "callback:<place>"
    detail: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    answered_at: Mapped[datetime | None] = mapped_column(Instant)
    answer: Mapped[dict[str, Any] | None] = mapped_column(Json)  # {event, data}
    taken_at: Mapped[datetime | None] = mapped_column(Instant)  # the run has heard the answer
    closed_at: Mapped[datetime | None] = mapped_column(Instant)


class Vote(Identified, Dated, Base):
    """What one person said to an approval."""

    __tablename__ = "approval_votes"
    __table_args__ = (UniqueConstraint("wait_id", "user_id"),)

    wait_id: Mapped[UUID] = mapped_column(ForeignKey("waits.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(200))
    approve: Mapped[bool] = mapped_column()
    speaks_for: Mapped[list[str]] = mapped_column(Json, default=list)  # of those of whom one each must agree
    reason: Mapped[str | None] = mapped_column(Text)
