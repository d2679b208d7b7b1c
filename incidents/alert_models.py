"""The tables of the record that are about alerts: what tools said, what it named, how it is grouped."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core import work
from core.db import Base
from core.types import Dated, Identified, Instant, Json, Ref, Severity, Versioned

_OPEN = text("ended_at IS NULL")
_UNINDEXED = text("indexed_at IS NULL")
_IGNORED = text("acceptance_id IS NOT NULL")
_RESTRICTED = text("restricted_to IS NOT NULL")
_ALERT = text("alert_id IS NOT NULL")
_NO_ALERT = text("alert_id IS NULL")


class Alert(Identified, Dated, Base):
    """One episode of one alert: from its first firing until its source resolves it or it falls quiet."""

    __tablename__ = "alerts"
    __table_args__ = (
        # The same alert again finds its open row here; two workers cannot open two.
        Index(
            "uq_alerts_open",
            "source_id",
            "fingerprint",
            unique=True,
            postgresql_where=_OPEN,
            sqlite_where=_OPEN,
        ),
        Index("ix_alerts_episodes", "source_id", "fingerprint", "created_at"),
        Index("ix_alerts_created_at", "created_at", "id"),
        Index("ix_alerts_quiet", "quiet_until", postgresql_where=_OPEN, sqlite_where=_OPEN),
        # What lists are narrowed by, newest first (incidents.filters).
        Index("ix_alerts_open", "created_at", "id", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_alerts_incident", "incident_id", "created_at", "id"),
        Index("ix_alerts_severity", "severity", "created_at", "id"),
        Index("ix_alerts_source", "source_id", "created_at", "id"),
        Index(
            "ix_alerts_acceptance", "acceptance_id", "created_at", "id", postgresql_where=_IGNORED, sqlite_where=_IGNORED
        ),
        Index("ix_alerts_restricted", "source_id", postgresql_where=_RESTRICTED, sqlite_where=_RESTRICTED),
        Index("ix_alerts_unindexed", "created_at", postgresql_where=_UNINDEXED, sqlite_where=_UNINDEXED),
    )

    source_id: Mapped[UUID] = mapped_column(Uuid)
    source: Mapped[str] = mapped_column(String(200))
    connector: Mapped[str] = mapped_column(String(64))
    trust: Mapped[str] = mapped_column(String(8))
    constituency_id: Mapped[UUID | None] = mapped_column(Uuid)
    team_id: Mapped[UUID | None] = mapped_column(Uuid)
    restricted_to: Mapped[list[str] | None] = mapped_column(Json)

    fingerprint: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(String(500))
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(16), default=Severity.unknown.value)  # the highest seen
    severity_raw: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16), default="firing")  # firing acknowledged resolved
    status_raw: Mapped[str | None] = mapped_column(String(200))
    rule_id: Mapped[str | None] = mapped_column(String(500))
    rule_name: Mapped[str | None] = mapped_column(String(500))
    category: Mapped[str | None] = mapped_column(String(32))
    entities: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)  # {type, value, role}
    techniques: Mapped[list[str]] = mapped_column(Json, default=list)
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    labels: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    url: Mapped[str | None] = mapped_column(Text)
    correlation: Mapped[str | None] = mapped_column(String(500))
    is_test: Mapped[bool] = mapped_column(default=False)
    late: Mapped[bool] = mapped_column(default=False)
    learning: Mapped[bool] = mapped_column(default=False)  # came while its source was being learned

    occurred_at: Mapped[datetime | None] = mapped_column(Instant)  # of the newest firing, as the source says
    resolved_at: Mapped[datetime | None] = mapped_column(Instant)  # of the resolve, as the source says
    first_seen: Mapped[datetime] = mapped_column(Instant)
    last_seen: Mapped[datetime] = mapped_column(Instant)
    count: Mapped[int] = mapped_column(default=1)
    history: Mapped[list[list[int]]] = mapped_column(Json, default=list)  # checkpoints, see incidents.repeats
    quiet_until: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(String(16))  # resolved quiet closed

    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incidents.id"))
    acceptance_id: Mapped[UUID | None] = mapped_column(Uuid)  # it is ignored because of this one
    rule: Mapped[str | None] = mapped_column(String(200))  # the grouping rule that decided
    group_key: Mapped[str | None] = mapped_column(String(600))
    why: Mapped[str | None] = mapped_column(Text)
    recurrence_of: Mapped[UUID | None] = mapped_column(ForeignKey("incidents.id"))
    indexed_at: Mapped[datetime | None] = mapped_column(Instant)  # when the search box learnt its words

    @property
    def ref(self) -> Ref:
        """What the journal calls this alert."""
        return Ref("alert", str(self.id))


class AlertDelivery(Base):
    """Which deliveries an alert came in: the first ones and the latest, at most a hundred."""

    __tablename__ = "alert_deliveries"

    alert_id: Mapped[UUID] = mapped_column(ForeignKey("alerts.id"), primary_key=True)
    slot: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False
    )  # the count it brought, modulo 100
    delivery_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    received_at: Mapped[datetime] = mapped_column(Instant)


class Observable(Identified, Dated, Base):
    """A normalised value (an address, a domain, a hash, a host…), once, wherever it was seen.

    Its id is made from type and value (`incidents.observables.observable_id`): the unique key, and no look-up.
    """

    __tablename__ = "observables"

    type: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(Text)


class Sighting(Identified, Dated, Base):
    """An observable seen in an alert or an incident, in a role."""

    __tablename__ = "sightings"
    __table_args__ = (
        Index(
            "uq_sightings_alert", "alert_id", "observable_id", "role", unique=True,
            postgresql_where=_ALERT, sqlite_where=_ALERT,
        ),
        Index(
            "uq_sightings_incident", "incident_id", "observable_id", "role", unique=True,
            postgresql_where=_NO_ALERT, sqlite_where=_NO_ALERT,
        ),
        Index("ix_sightings_observable", "observable_id", "created_at"),
        # In which incidents a value was seen: a busy host's thousands of alerts are not read for it.
        Index(
            "ix_sightings_incidents", "observable_id", "incident_id", postgresql_where=_NO_ALERT,
            sqlite_where=_NO_ALERT,
        ),
    )  # fmt: skip

    observable_id: Mapped[UUID] = mapped_column(ForeignKey("observables.id"))
    alert_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("alerts.id")
    )  # null: seen in the incident itself
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incidents.id"))
    role: Mapped[str] = mapped_column(String(16), default="observer")
    first_seen: Mapped[datetime] = mapped_column(Instant)
    last_seen: Mapped[datetime] = mapped_column(Instant)
    added_by: Mapped[str] = mapped_column(String(200))


class GroupingRule(Identified, Dated, Versioned, Base):
    """One of the ordered rules that say which alerts become incidents, and which belong together."""

    __tablename__ = "grouping_rules"

    name: Mapped[str] = mapped_column(String(200), unique=True)
    position: Mapped[int] = mapped_column(default=100)
    enabled: Mapped[bool] = mapped_column(default=True)
    when: Mapped[str] = mapped_column("when_cel", Text)  # CEL over `alert`
    action: Mapped[str] = mapped_column(String(8))  # open attach keep
    key: Mapped[str] = mapped_column("group_key", Text, default="")  # a template over `alert`
    why: Mapped[str] = mapped_column(Text, default="")  # a template over `alert`: the reason people read
    threshold: Mapped[int] = mapped_column(default=1)  # at least so many repeats…
    window_seconds: Mapped[int] = mapped_column(
        default=1800
    )  # …within this time; also how long a group collects
    failures: Mapped[int] = mapped_column(default=0)
    last_failure: Mapped[str | None] = mapped_column(Text)


class HostAddress(Base):
    """One claim that an address is a host's, and when it was last made; `address` ends with the circle of readers."""

    __tablename__ = "host_addresses"
    __table_args__ = (Index("ix_host_addresses_seen_at", "seen_at"),)

    address: Mapped[str] = mapped_column(String(80), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    trust: Mapped[str] = mapped_column(String(8), primary_key=True)  # of the sources that said so
    seen_at: Mapped[datetime] = mapped_column(Instant)


class Gust(Identified, Dated, Base):
    """How many incidents the alerts of a source that arrived in one second asked for: what a storm is known by."""

    __tablename__ = "gusts"
    __table_args__ = (
        Index("ix_gusts_source", "source_id", "critical", "at"),
        Index("ix_gusts_created_at", "created_at"),
    )

    source_id: Mapped[UUID] = mapped_column(Uuid)
    critical: Mapped[bool] = mapped_column()
    at: Mapped[datetime] = mapped_column(Instant)
    number: Mapped[int] = mapped_column()


class Upkeep(work.Work, Identified, Base):
    """A chore that comes back by itself: ending quiet alerts, feeding the search box."""

    __tablename__ = "incident_upkeep"
    __table_args__ = (work.due_index("incident_upkeep"),)

    name: Mapped[str] = mapped_column(String(32), unique=True)
