"""Configured products, calls to them, what those calls put in place, and the rails around them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.types import Dated, Identified, Instant, Json, Ref, Versioned
from core.work import Work, due_index, lane_index

# The states of a call. Intended and calling are on their way; held and unknown wait for a person; the rest is final.
INTENDED, CALLING, HELD, UNKNOWN = "intended", "calling", "held", "unknown"
SUCCEEDED, FAILED, REFUSED, UNBOUND, DRY_RUN = "succeeded", "failed", "refused", "unbound", "dry_run"
FINAL = frozenset({SUCCEEDED, FAILED, REFUSED, UNBOUND, DRY_RUN})

# The states of a countermeasure.
PROPOSED, ACTIVE, VERIFIED, EXPIRING, REMOVED = "proposed", "active", "verified", "expiring", "removed"
WATCHED = "watched"  # nothing is in its way
IN_FORCE = (ACTIVE, VERIFIED, EXPIRING, WATCHED)

_ASIDE = text("state IN ('held', 'unknown')")
_STANDING = text("removed_at IS NULL")


class ConnectorInstance(Identified, Dated, Versioned, Base):
    """One configured product: an Okta tenant, a firewall. Secrets are sealed as one JSON document."""

    __tablename__ = "connector_instances"

    name: Mapped[str] = mapped_column(String(64), unique=True)
    connector: Mapped[str] = mapped_column(String(64), index=True)
    settings: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    sealed: Mapped[str | None] = mapped_column(Text)
    private: Mapped[bool] = mapped_column(Boolean, default=False)  # may be reached at a private address
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    health: Mapped[str] = mapped_column(String(16), default="unknown")  # unknown ok failing
    health_note: Mapped[str | None] = mapped_column(Text)
    health_at: Mapped[datetime | None] = mapped_column(Instant)
    rate: Mapped[str | None] = mapped_column(String(120))  # "4/1m, 500/1d" or "none"; None: as its file says
    paused_until: Mapped[datetime | None] = mapped_column(Instant)  # it answered that it is called too often
    line_until: Mapped[datetime | None] = mapped_column(Instant)  # the turn of the last who waits for one
    again_until: Mapped[datetime | None] = mapped_column(Instant)  # the same for those who waited in vain


class ConnectorUse(Base):
    """One request that counts for a product's limit; deleted when it no longer does."""

    __tablename__ = "connector_uses"
    __table_args__ = (Index("ix_connector_uses_instance", "instance_id", "at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("connector_instances.id"))
    at: Mapped[datetime] = mapped_column(Instant)


class VerbBinding(Dated, Base):
    """Which products do a neutral verb: one of them, all of them, or the first that can."""

    __tablename__ = "verb_bindings"

    verb: Mapped[str] = mapped_column(String(100), primary_key=True)
    mode: Mapped[str] = mapped_column(String(8), default="first")
    instances: Mapped[list[str]] = mapped_column(Json)  # names, in order


class ActionCall(Identified, Dated, Work, Base):
    """One outward effect: the intent, what was sent, and what came of it. The only owner of effects.

    A call of a verb bound to all its products has one child per product and no request of its own.
    """

    __tablename__ = "action_calls"
    __table_args__ = (
        due_index("action_calls"),
        lane_index("action_calls", "instance"),
        Index("ix_action_calls_subject", "subject_kind", "subject_id", "id"),
        Index("ix_action_calls_action", "action", "id"),
        Index("ix_action_calls_hour", "action", "created_at"),
        Index("ix_action_calls_aside", "id", postgresql_where=_ASIDE, sqlite_where=_ASIDE),
    )

    key: Mapped[str] = mapped_column(String(200), unique=True)  # the same key again is the same call
    asked: Mapped[str] = mapped_column(String(100))  # the action or verb that was asked for
    chosen: Mapped[str | None] = mapped_column(String(64))  # the product that whoever asked named, if any
    action: Mapped[str | None] = mapped_column(String(100))
    instance_id: Mapped[UUID | None] = mapped_column(ForeignKey("connector_instances.id"))
    instance: Mapped[str | None] = mapped_column(String(64))
    alternatives: Mapped[list[str] | None] = mapped_column(
        Json
    )  # instances to turn to if this one surely did not do it
    effect: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default=INTENDED)
    reason: Mapped[str | None] = mapped_column(Text)  # why it was asked for
    note: Mapped[str | None] = mapped_column(Text)  # why it is in its state, as a sentence
    rail: Mapped[str | None] = mapped_column(String(16))  # the guard rail that refused it or holds it

    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(64))
    run: Mapped[str | None] = mapped_column(String(64), index=True)
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str] = mapped_column(String(64))
    actor_name: Mapped[str] = mapped_column(Text)
    trust: Mapped[str] = mapped_column(String(8))
    tlp: Mapped[str] = mapped_column(String(16))
    approved_by: Mapped[list[str]] = mapped_column(Json, default=list)

    inputs: Mapped[dict[str, Any]] = mapped_column(Json)
    entities: Mapped[list[list[str]]] = mapped_column(Json, default=list)  # [type, value]
    request: Mapped[dict[str, Any] | None] = mapped_column(Json)  # as it was sent, secrets masked
    response: Mapped[dict[str, Any] | None] = mapped_column(Json)  # bounded
    output: Mapped[dict[str, Any] | None] = mapped_column(Json)

    tries: Mapped[int] = mapped_column(default=0)
    most_tries: Mapped[int] = mapped_column(default=3)
    polling_until: Mapped[datetime | None] = mapped_column(Instant)
    called_at: Mapped[datetime | None] = mapped_column(Instant)
    limited_since: Mapped[datetime | None] = mapped_column(Instant)  # told to wait for the product's limit
    finished_at: Mapped[datetime | None] = mapped_column(Instant)

    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("action_calls.id"), index=True)
    undoes: Mapped[UUID | None] = mapped_column(Uuid)  # the countermeasure that this call takes back
    undo_after_seconds: Mapped[int | None] = mapped_column()
    review_after_seconds: Mapped[int | None] = mapped_column()

    @property
    def waits_for_turn(self) -> bool:
        """Whether nothing holds it up but the product's limit; it is looked at again at `due_at`."""
        return self.state == INTENDED and self.limited_since is not None

    @property
    def subject(self) -> Ref:
        """What it was done for."""
        return Ref(self.subject_kind, self.subject_id)


class Countermeasure(Identified, Dated, Work, Base):
    """What a call has put in place against an entity, from its proposal to its removal."""

    __tablename__ = "countermeasures"
    __table_args__ = (
        due_index("countermeasures"),
        lane_index("countermeasures", "instance"),
        Index("ix_countermeasures_subject", "subject_kind", "subject_id", "id"),
        Index(
            "ix_countermeasures_standing", "entity_type", "entity_value",
            postgresql_where=_STANDING, sqlite_where=_STANDING,
        ),
    )  # fmt: skip

    call_id: Mapped[UUID] = mapped_column(ForeignKey("action_calls.id"))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(100))
    instance: Mapped[str | None] = mapped_column(String(64))
    entity_type: Mapped[str] = mapped_column(String(32))
    entity_value: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    note: Mapped[str | None] = mapped_column(Text)
    probes: Mapped[int] = mapped_column(default=0)
    verified_at: Mapped[datetime | None] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    review_at: Mapped[datetime | None] = mapped_column(Instant)
    activity_at: Mapped[datetime | None] = mapped_column(Instant)  # when its entity was last seen at work
    removed_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def subject(self) -> Ref:
        """What it was taken for."""
        return Ref(self.subject_kind, self.subject_id)


class ProtectedEntity(Identified, Dated, Base):
    """Something no disruptive action may touch: a network, a domain, a host or a user (with * as a wildcard)."""

    __tablename__ = "protected_entities"
    __table_args__ = (UniqueConstraint("kind", "value"),)

    kind: Mapped[str] = mapped_column(String(16))  # network domain host user
    value: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    own: Mapped[bool] = mapped_column(Boolean, default=False)  # ours: never sent to anybody for enrichment


class AssetOwner(Identified, Dated, Base):
    """Who owns a host, a domain or a service: whom a playbook tells."""

    __tablename__ = "asset_owners"

    asset: Mapped[str] = mapped_column(String(255), unique=True)  # in small letters
    owner: Mapped[str] = mapped_column(String(255))  # a mail address


class ActionBudget(Dated, Base):
    """How often automation may do something in an hour; `name` is an action, a verb or an effect."""

    __tablename__ = "action_budgets"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    per_hour: Mapped[int] = mapped_column()


class Switch(Base):
    """A switch for everybody, such as hold_all."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    on: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str | None] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Instant)


class SubjectHold(Base):
    """What is done for one subject by automation is held: who stopped it, when and why."""

    __tablename__ = "subject_holds"

    subject_kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Instant)

    @property
    def subject(self) -> Ref:
        """What is held."""
        return Ref(self.subject_kind, self.subject_id)


class BlocklistFeed(Identified, Dated, Work, Base):
    """A list that firewalls, resolvers or proxies fetch at an address with a token in it.

    It is due when it should have been fetched again long ago (see `connectors/fetching.py`).
    """

    __tablename__ = "blocklist_feeds"
    __table_args__ = (due_index("blocklist_feeds"),)

    name: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(8))  # ip domain url
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)
    fetched_at: Mapped[datetime | None] = mapped_column(Instant)
    fetched_by: Mapped[str | None] = mapped_column(Text)
    every_seconds: Mapped[int | None] = mapped_column()  # its usual interval; None until it was fetched twice
    silent_since: Mapped[datetime | None] = mapped_column(Instant)  # when its silence was noticed


class BlocklistEntry(Identified, Dated, Base):
    """One blocked value; listed from its creation until it expires or is removed."""

    __tablename__ = "blocklist_entries"
    __table_args__ = (
        Index(None, "kind", "value", unique=True, postgresql_where=_STANDING, sqlite_where=_STANDING),
    )

    kind: Mapped[str] = mapped_column(String(8))
    value: Mapped[str] = mapped_column(String(2048))
    key: Mapped[str] = mapped_column(String(200))  # of the call that put it there
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    removed_at: Mapped[datetime | None] = mapped_column(Instant)
    fetched_at: Mapped[datetime | None] = mapped_column(Instant)
