"""The journal: who did what to which things, written in the transaction of the change and never altered."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    DDL,
    BigInteger,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    Select,
    Text,
    Uuid,
    event,
    false,
    select,
    union_all,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import bulk, live, logs, lookback, metrics
from core.actors import Actor, ActorKind
from core.db import Base, UnitOfWork
from core.ids import new_id
from core.types import Instant, Ref


log = logs.get(__name__)
FACTS = metrics.counter("tocsin_facts_total", "What the journal tells, by verb.", "verb")


class JournalEntry(Base):
    """One sealed line: `body` holds the canonical bytes that the leaf hash covers."""

    __tablename__ = "journal"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    verb: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    data_digest: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (Index(None, "verb", "id"), Index(None, "actor_id", "id"))


class JournalRef(Base):
    """One subject of an entry: a timeline is a query on these."""

    __tablename__ = "journal_refs"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    ref_id: Mapped[str] = mapped_column(Text, primary_key=True)
    entry: Mapped[UUID] = mapped_column(Uuid, primary_key=True)


class JournalData(Base):
    """What an entry tells in free text or of persons: may be redacted; the entry keeps its salted digest."""

    __tablename__ = "journal_data"

    entry: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class JournalPending(Base):
    """Entries that the sealer has not taken yet."""

    __tablename__ = "journal_pending"

    entry: Mapped[UUID] = mapped_column(Uuid, primary_key=True)


class JournalLeaf(Base):
    """A sealed entry's place, from 0 without a gap, and the hash of its body; only the sealer adds one."""

    __tablename__ = "journal_leaves"

    idx: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    entry: Mapped[UUID] = mapped_column(Uuid, unique=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class JournalCheckpoint(Base):
    """The root over the first `size` leaves, signed (`note`); `state` lets the next one begin where this one ended."""

    __tablename__ = "journal_checkpoints"

    size: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    at: Mapped[datetime] = mapped_column(Instant)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    note: Mapped[str] = mapped_column(Text)
    state: Mapped[bytes] = mapped_column(LargeBinary)


# Which operations each table refuses; redaction may delete a row of journal_data, nothing else.
REFUSED = {
    "journal": ("UPDATE", "DELETE"), "journal_refs": ("UPDATE", "DELETE"), "journal_data": ("UPDATE",),
    "journal_leaves": ("UPDATE", "DELETE"), "journal_checkpoints": ("UPDATE", "DELETE"),
}  # fmt: skip


def append_only_ddl(dialect: str) -> list[str]:
    """The statements that make the database refuse changes of the journal ("sqlite" or "postgresql")."""
    if dialect == "sqlite":
        return [
            (
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{operation.lower()} BEFORE {operation} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
            )
            for table, operations in REFUSED.items()
            for operation in operations
        ]
    statements = [
        (
            "CREATE OR REPLACE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$"
        )
    ]
    for table, operations in REFUSED.items():
        for operation, level in [*((o, "ROW") for o in operations), ("TRUNCATE", "STATEMENT")]:
            name = f"{table}_no_{operation.lower()}"
            statements += [
                f"DROP TRIGGER IF EXISTS {name} ON {table}",
                (
                    f"CREATE TRIGGER {name} BEFORE {operation} ON {table} "
                    f"FOR EACH {level} EXECUTE FUNCTION journal_is_append_only()"
                ),
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
            ]
    return statements


for _dialect in ("sqlite", "postgresql"):
    for _statement in append_only_ddl(_dialect):
        event.listen(
            Base.metadata, "after_create", DDL(_statement.replace("%", "%%")).execute_if(dialect=_dialect)
        )


@dataclass(frozen=True)
class Verb:
    """One word of the closed vocabulary: its name and how a timeline says it ("opened the incident")."""

    name: str
    says: str


_verbs: dict[str, Verb] = {}  # filled at import


def declare(name: str, says: str) -> Verb:
    """Add a verb to the vocabulary; the package that owns it does this once, at import."""
    if name in _verbs and _verbs[name].says != says:
        raise ValueError(f"the verb {name} is declared twice")
    return _verbs.setdefault(name, Verb(name, says))


def verbs() -> Mapping[str, Verb]:
    """The whole vocabulary, by name."""
    return _verbs


@dataclass(frozen=True)
class Fact:
    """Something that happened: `body` is kept for ever (small, no secrets), `data` can be redacted."""

    verb: Verb
    refs: tuple[Ref, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Entry:
    """A fact as it is read back; `data` is None when there was none or it has been redacted."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    verb: str
    says: str
    refs: tuple[Ref, ...]
    body: dict[str, Any]
    data: dict[str, Any] | None
    redacted: bool = False

    def ref(self, kind: str) -> str | None:
        """The id of the first subject of that kind."""
        return next((r.id for r in self.refs if r.kind == kind), None)

    @property
    def actor(self) -> Actor:
        """Who did it, without permissions."""
        return Actor(ActorKind(self.actor_kind), self.actor_id, self.actor_name)


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that are hashed and stored."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode(
        "utf-8", "replace"
    )


def data_digest(salt: bytes, data: bytes) -> bytes:
    """The salted commitment to an entry's erasable data: SHA-256(salt ‖ data), the salt being 16 random bytes."""
    return hashlib.sha256(salt + data).digest()


def record(uow: UnitOfWork, actor: Actor, fact: Fact) -> UUID:
    """Write a fact into the journal in this transaction, queue it for its subscribers, tell open pages.

    Returns the entry's id. The entry becomes readable with the commit.
    """
    from core import outbox  # the outbox reads journal entries, so it imports this module first

    if fact.verb.name not in _verbs:
        raise ValueError(f"{fact.verb.name} is not a declared verb")
    entry, at = new_id(), uow.now
    digest = None
    if fact.data is not None:
        salt, data = os.urandom(16), canonical(fact.data)
        digest = data_digest(salt, data)
        uow.write_behind(_table(JournalData), {"entry": entry, "salt": salt, "data": data})
    body = canonical(
        {
            "id": str(entry),
            "at": at.isoformat(timespec="microseconds"),
            "actor": {"kind": str(actor.kind), "id": actor.id, "name": actor.name},
            "verb": fact.verb.name,
            "refs": sorted({(r.kind, str(r.id)) for r in fact.refs}),
            "body": fact.body,
            "data": digest.hex() if digest else None,
        }
    )
    uow.write_behind(
        _table(JournalEntry),
        {
            "id": entry, "at": at, "actor_kind": str(actor.kind), "actor_id": actor.id,
            "verb": fact.verb.name, "body": body, "data_digest": digest,
        },
    )  # fmt: skip
    for kind, ref_id in {(r.kind, str(r.id)) for r in fact.refs}:
        uow.write_behind(_table(JournalRef), {"kind": kind, "ref_id": ref_id, "entry": entry})
    uow.write_behind(_table(JournalPending), {"entry": entry})
    outbox.enqueue(uow, entry, fact.verb.name, lambda: _as_read(entry, at, actor, fact, body))
    tied = logs.tied_to()
    uow.after_commit(lambda: _told(fact, tied))
    return entry


def _as_read(entry: UUID, at: datetime, actor: Actor, fact: Fact, body: bytes) -> Entry:
    """The entry as it will be read back."""
    told = msgspec.json.decode(body)
    refs = tuple(Ref(kind, ref_id) for kind, ref_id in told["refs"])
    data = msgspec.json.decode(canonical(fact.data)) if fact.data is not None else None
    return Entry(
        entry, at, str(actor.kind), actor.id, actor.name, fact.verb.name, fact.verb.says, refs, told["body"], data
    )


def _told(fact: Fact, tied: str | None) -> None:
    """A fact has been committed: open pages hear of it, it is counted, and the log says it without its content."""
    live.publish(fact.refs)
    FACTS.add(fact.verb.name)
    for count in metrics.counting(fact.verb.name):
        count(fact.body)
    with logs.tied(tied):
        # What alerts do, thousands a second, is told by the batch.
        level = logging.DEBUG if fact.verb.name.startswith("alert.") else logging.INFO
        log.log(level, fact.verb.name, extra={logs.field(ref.kind): str(ref.id) for ref in fact.refs})


def entries(
    session: Session,
    *,
    ref: Ref | None = None,
    verbs: Iterable[str] | None = None,
    actor_id: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Entries newest first, at most `limit`; the next page is `before=` the last entry's id.

    Verbs of a subject or an actor are looked for among its newest lookback.AT_ONCE entries; `page` goes on from there.
    """
    return page(session, ref=ref, verbs=verbs, actor_id=actor_id, before=before, limit=limit).items


@dataclass(frozen=True)
class Page:
    """Some entries, newest first; `next` is the `before` of the following page, None at the end."""

    items: list[Entry]
    next: UUID | None


def page(
    session: Session,
    *,
    ref: Ref | None = None,
    verbs: Iterable[str] | None = None,
    actor_id: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Page:
    """A page of entries; one of rare verbs may hold few of them, or none, and still have a next one."""
    wanted = None if verbs is None else list(verbs)
    of: Any = JournalEntry.id if ref is None else JournalRef.entry
    led: list[ColumnElement[bool]] = [] if before is None else [of < before]
    if ref is not None:
        led += [JournalRef.kind == ref.kind, JournalRef.ref_id == str(ref.id)]
    elif actor_id is not None:
        led.append(JournalEntry.actor_id == actor_id)
    ids = select(of.label("id")).where(*led).order_by(of.desc())
    floor = None
    if ref is None and actor_id is None and wanted is not None:
        ids = _newest_of_each(wanted, led, limit + 1)
    elif wanted is not None or (ref is not None and actor_id is not None):
        floor = lookback.floor(session, ids)
        if ref is not None:
            ids = ids.join(JournalEntry, JournalEntry.id == JournalRef.entry)
        ids = ids.where(of >= floor.id) if floor is not None else ids
        ids = ids.where(JournalEntry.verb.in_(wanted)) if wanted is not None else ids
        ids = ids.where(JournalEntry.actor_id == actor_id) if actor_id is not None else ids
    found = session.scalars(ids.limit(limit + 1)).all()
    shown = by_ids(session, found[:limit])[::-1]
    if len(found) > limit:
        return Page(shown, found[limit - 1])
    return Page(shown, floor.id if floor is not None else None)


def _newest_of_each(wanted: Sequence[str], led: Sequence[ColumnElement[bool]], number: int) -> Select[Any]:
    """The ids of the newest entries of each verb, together: one look into an index for each."""
    known = [verb for verb in dict.fromkeys(wanted) if verb in _verbs]
    if not known:
        return select(JournalEntry.id).where(false())
    each = [
        select(
            select(JournalEntry.id)
            .where(JournalEntry.verb == verb, *led)
            .order_by(JournalEntry.id.desc())
            .limit(number)
            .subquery()
        )
        for verb in known
    ]
    together = union_all(*each).subquery()
    return select(together.c.id).order_by(together.c.id.desc())


def by_ids(session: Session, ids: Sequence[UUID]) -> list[Entry]:
    """The entries with these ids, oldest first."""
    query = (
        select(JournalEntry, JournalData.data)
        .outerjoin(JournalData, JournalData.entry == JournalEntry.id)
        .where(bulk.among(session, JournalEntry.id, ids))
        .order_by(JournalEntry.id)
    )
    return [_decode(row, data) for row, data in session.execute(query)]


def _decode(row: JournalEntry, data: bytes | None) -> Entry:
    told = msgspec.json.decode(row.body)
    verb = _verbs.get(row.verb)
    return Entry(
        id=row.id,
        at=row.at,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor_name=told["actor"]["name"],
        verb=row.verb,
        says=verb.says if verb else row.verb,
        refs=tuple(Ref(kind, ref_id) for kind, ref_id in told["refs"]),
        body=told["body"],
        data=msgspec.json.decode(data) if data is not None else None,
        redacted=row.data_digest is not None and data is None,
    )


def _table(model: type[Base]) -> Any:
    return model.__table__
