"""The tables of the record that are about incidents; importing this module declares all tables of the package."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Json, Ref, Severity, Versioned
from incidents.acceptance_models import Acceptance
from incidents.alert_models import Alert, AlertDelivery, GroupingRule, Gust, HostAddress, Observable, Sighting, Upkeep
from incidents.attachment_models import Attachment
from incidents.disclosure_models import Disclosure
from incidents.redaction_models import Redaction
from incidents.reporter_models import Reporter, ReporterMessage
from incidents.review_models import Finding, FollowUp, ReviewPoint
from incidents.search_models import SearchWord
from incidents.verdict_models import Verdict
from incidents.view_models import SavedView
from incidents.watch_models import Watch

_LIVE_GROUP = text("closed_at IS NULL AND group_released_at IS NULL AND group_key IS NOT NULL")
_OPEN = text("closed_at IS NULL")
_CLOSED = text("closed_at IS NOT NULL")
_RESTRICTED = text("restricted_to IS NOT NULL")
_OPEN_TASK = text("status = 'open'")


class Constituency(Identified, Dated, Base):
    """An organisation whose incidents these are."""

    __tablename__ = "constituencies"

    slug: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    contact: Mapped[str | None] = mapped_column(Text)


class Team(Identified, Dated, Base):
    """A group of people who work on incidents."""

    __tablename__ = "teams"

    slug: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))


class IncidentCounter(Base):
    """The last number given in a year; its row is locked while a number is taken, so none is given twice."""

    __tablename__ = "incident_counters"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column()


class Incident(Identified, Dated, Versioned, Base):
    """One case people work on, from its first alert or report to its closing."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index("ix_incidents_created_at", "created_at", "id"),
        Index("ix_incidents_open", "created_at", "id", postgresql_where=_OPEN, sqlite_where=_OPEN),
        # Two workers cannot open two incidents for the same group.
        Index(
            "uq_incidents_group",
            "group_key",
            unique=True,
            postgresql_where=_LIVE_GROUP,
            sqlite_where=_LIVE_GROUP,
        ),
        Index("ix_incidents_restricted", "id", postgresql_where=_RESTRICTED, sqlite_where=_RESTRICTED),
        Index("ix_incidents_closed", "created_at", "id", postgresql_where=_CLOSED, sqlite_where=_CLOSED),
        # What lists are narrowed by, among all and among the open ones, newest first (incidents.filters).
        Index("ix_incidents_owned", "owner_id", "created_at", "id"),
        Index("ix_incidents_severity", "severity", "created_at", "id"),
        Index("ix_incidents_category", "category", "created_at", "id"),
        Index(
            "ix_incidents_open_owner", "owner_id", "created_at", "id", postgresql_where=_OPEN, sqlite_where=_OPEN
        ),
        Index(
            "ix_incidents_open_severity", "severity", "created_at", "id",
            postgresql_where=_OPEN, sqlite_where=_OPEN,
        ),
    )  # fmt: skip

    key: Mapped[str] = mapped_column(String(24), unique=True)
    kind: Mapped[str] = mapped_column(String(16), default="incident")
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)

    confirmation: Mapped[str] = mapped_column(String(16), default="unconfirmed")
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    confirmed_by: Mapped[str | None] = mapped_column(String(200))
    confirmed_because: Mapped[str | None] = mapped_column(Text)

    severity: Mapped[str] = mapped_column(String(16), default=Severity.unknown.value)
    severity_reason: Mapped[str | None] = mapped_column(Text)  # set when a person overrode it
    priority: Mapped[str] = mapped_column(String(8), default="p3")
    stage: Mapped[str] = mapped_column(String(16), default="new")
    status: Mapped[str | None] = mapped_column(String(64))  # the team's own label on top of the stage
    waiting_on: Mapped[str | None] = mapped_column(String(16))
    owner_id: Mapped[UUID | None] = mapped_column(Uuid)  # the lead
    scribe_id: Mapped[UUID | None] = mapped_column(Uuid)
    communications_id: Mapped[UUID | None] = mapped_column(Uuid)
    category: Mapped[str | None] = mapped_column(String(32))

    constituency_id: Mapped[UUID | None] = mapped_column(ForeignKey("constituencies.id"))
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey("teams.id"))
    restricted_to: Mapped[list[str] | None] = mapped_column(
        Json
    )  # ids of users; null = everybody who may read
    tlp: Mapped[str] = mapped_column(String(16), default="amber")
    pap: Mapped[str] = mapped_column(String(16), default="amber")
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    techniques: Mapped[list[str]] = mapped_column(Json, default=list)

    late: Mapped[bool] = mapped_column(default=False)
    learning: Mapped[bool] = mapped_column(default=False)  # all its alerts came in their sources' first day
    exercise: Mapped[bool] = mapped_column(default=False)
    source: Mapped[str | None] = mapped_column(String(200))  # the name of the source of its first alert
    trust: Mapped[str] = mapped_column(String(8), default="normal")
    alert_count: Mapped[int] = mapped_column(default=0)

    opened_at: Mapped[datetime] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    closed_by: Mapped[str | None] = mapped_column(String(200))
    disposition: Mapped[str | None] = mapped_column(String(32))
    root_cause: Mapped[str | None] = mapped_column(Text)
    summary: Mapped[str | None] = mapped_column(Text)
    recurrence_of: Mapped[UUID | None] = mapped_column(ForeignKey("incidents.id"))

    group_key: Mapped[str | None] = mapped_column(String(600))
    group_rule: Mapped[str | None] = mapped_column(String(200))
    group_why: Mapped[str | None] = mapped_column(Text)
    group_until: Mapped[datetime | None] = mapped_column(Instant)  # collects alerts of its key until then
    group_limit: Mapped[datetime | None] = mapped_column(Instant)  # and never longer than this
    group_released_at: Mapped[datetime | None] = mapped_column(Instant)  # its key is free for another one

    @property
    def ref(self) -> Ref:
        """What the journal calls this incident."""
        return Ref("incident", str(self.id))


class Milestone(Identified, Dated, Base):
    """One moment every MTT* is computed from; a correction is a new row that supersedes the old one."""

    __tablename__ = "milestones"
    __table_args__ = (Index("ix_milestones_incident", "incident_id", "kind"),)

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    kind: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(Instant)
    precision: Mapped[str] = mapped_column(String(16), default="exact")  # exact minute hour day estimated
    source: Mapped[str] = mapped_column(String(32), default="system")  # system alert person playbook
    set_by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(Text)
    supersedes: Mapped[UUID | None] = mapped_column(ForeignKey("milestones.id"))


class Comment(Identified, Dated, Versioned, Base):
    """A note on an incident, in Markdown."""

    __tablename__ = "comments"
    __table_args__ = (Index("ix_comments_incident", "incident_id", "created_at"),)

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    author_kind: Mapped[str] = mapped_column(String(16))
    author_id: Mapped[str] = mapped_column(String(64))
    author_name: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    edited_at: Mapped[datetime | None] = mapped_column(Instant)


class Task(Identified, Dated, Versioned, Base):
    """One thing somebody has to do for an incident: instructions, a checklist, a form to fill in."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_incident", "incident_id", "created_at"),
        Index("ix_tasks_created_at", "created_at", "id"),
        Index("ix_tasks_open", "created_at", "id", postgresql_where=_OPEN_TASK, sqlite_where=_OPEN_TASK),
        Index("ix_tasks_assignee", "assignee_id", postgresql_where=_OPEN_TASK, sqlite_where=_OPEN_TASK),
        UniqueConstraint("origin_kind", "origin_id"),
    )

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incidents.id"))
    title: Mapped[str] = mapped_column(String(500))
    instructions: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[str] = mapped_column(String(16), default="open")  # open done skipped
    urgent: Mapped[bool] = mapped_column(default=False)
    assign: Mapped[str | None] = mapped_column(String(200))  # as asked: owner, user:…, role:…, on_call:…
    assignee_id: Mapped[UUID | None] = mapped_column(Uuid)
    assignee_role: Mapped[str | None] = mapped_column(String(64))
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    checklist: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)  # {text, done, by, at}
    form: Mapped[dict[str, Any] | None] = mapped_column(Json)  # a JSON schema of an object
    answers: Mapped[dict[str, Any] | None] = mapped_column(Json)
    origin_kind: Mapped[str | None] = mapped_column(String(16))  # who asked for it: a step of a run, usually
    origin_id: Mapped[str | None] = mapped_column(String(64))
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(Text)  # why it was skipped

    @property
    def ref(self) -> Ref:
        """What the journal calls this task."""
        return Ref("task", str(self.id))

    @property
    def origin(self) -> Ref | None:
        """The step (or whatever else) that asked for it."""
        return Ref(self.origin_kind, self.origin_id) if self.origin_kind and self.origin_id else None


__all__ = [
    "Acceptance", "Alert", "AlertDelivery", "Attachment", "Comment", "Constituency", "Disclosure", "Finding", "FollowUp",
    "GroupingRule", "Gust", "HostAddress", "Incident", "IncidentCounter", "Milestone", "Observable", "Redaction", "Reporter",
    "ReporterMessage", "ReviewPoint", "SavedView", "SearchWord", "Sighting", "Task", "Team", "Upkeep", "Verdict", "Watch",
]  # fmt: skip
