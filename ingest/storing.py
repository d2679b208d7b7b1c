"""Writes deliveries: a whole batch in one transaction, each delivery key once, a receipt for each."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_

from core import clock, db, queue
from core.db import reading, unit_of_work
from core.ids import new_id
from core.types import to_micros
from ingest.models import RECEIVED, REFUSED, Delivery, DeliveryKey

SAME_BODY = timedelta(minutes=5)  # the same bytes again within this are the same delivery
SAME_ID = timedelta(days=7)  # no vendor redelivers later than that

WORK = "ingest.deliveries"
BATCH = 200  # deliveries that are read and taken in together
SMALL_BATCH = 50


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One proven delivery on its way in. `body` and `headers` are already free of our secrets.

    `key` (32 bytes) and `same_for` say when another arrival is the same delivery. `kept_only` is for what was
    refused after its origin was proven: its metadata is kept, nothing is processed.
    """

    source_id: UUID
    body: bytes
    content_type: str
    headers: Mapping[str, str]
    key: bytes
    same_for: timedelta = SAME_BODY
    peer: str | None = None
    size: int | None = None
    kept_only: str | None = None
    id: UUID = msgspec.field(default_factory=new_id)


class Receipt(msgspec.Struct, frozen=True):
    """What a sender gets: `id` is that of the first delivery when this one is a duplicate."""

    id: UUID
    duplicate: bool


def body_key(body: bytes) -> bytes:
    """The key of a delivery that carries no id of its vendor's."""
    return hashlib.sha256(b"body\0" + body).digest()


def id_key(vendor_id: str) -> bytes:
    """The key of a delivery that its vendor has numbered."""
    return hashlib.sha256(b"id\0" + vendor_id.encode("utf-8", "replace")).digest()


def store(arrivals: Sequence[Arrival]) -> list[Receipt]:
    """Keep these in one transaction; a receipt for each, in order. Synchronous: for the writer and for commands.

    Storing the same arrivals again is harmless: each gets the receipt it had.
    """
    first: dict[Pair, Arrival] = {}
    for arrival in arrivals:
        first.setdefault((arrival.source_id, arrival.key), arrival)
    # In one order everywhere, so that two doors cannot deadlock.
    ordered = [first[pair] for pair in sorted(first, key=lambda pair: (pair[0].bytes, pair[1]))]
    kept = _keep(ordered)
    known = {pair: arrival.id for pair, arrival in first.items() if arrival.id in kept}
    if kept:
        queue.wake(WORK)
    if len(known) < len(first):
        known.update(_given([pair for pair in first if pair not in known]))
    return [_receipt(arrival, known) for arrival in arrivals]


Pair = tuple[UUID, bytes]


def _receipt(arrival: Arrival, known: Mapping[Pair, UUID]) -> Receipt:
    given = known.get((arrival.source_id, arrival.key))
    if given is None:  # its time ended between two statements: it is a new delivery now
        return store([arrival])[0]
    return Receipt(given, duplicate=given != arrival.id)


def _given(pairs: Sequence[Pair]) -> dict[Pair, UUID]:
    query = select(DeliveryKey.source_id, DeliveryKey.key, DeliveryKey.delivery_id).where(
        tuple_(DeliveryKey.source_id, DeliveryKey.key).in_(pairs)
    )
    with reading() as session:
        return {(source, bytes(key)): delivery for source, key, delivery in session.execute(query)}


# The door's statements go past SQLAlchemy's own, for speed. A key is taken when it is free or its time is over.

_TAKE = (
    "INSERT INTO delivery_keys (source_id, key, delivery_id, expires_at) {} ON CONFLICT (source_id, key) DO UPDATE SET "
    "delivery_id = excluded.delivery_id, expires_at = excluded.expires_at WHERE delivery_keys.expires_at <= {} "
    "RETURNING delivery_id"
)
_AT = "coalesce(%(at)s::timestamptz, statement_timestamp())"
_KEEP_POSTGRES = f"""
WITH arrived AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(rows)s::json) AS given(
    id uuid, source uuid, key text, same_for float, body text, type text, headers jsonb, digest text, size int,
    peer text, refused text)
), taken AS (
  {_TAKE.format(f"SELECT source, decode(key, 'base64'), id, {_AT} + make_interval(secs => same_for) FROM arrived", _AT)}
), kept AS (
  INSERT INTO deliveries (id, due_at, fence, attempts, received_at, source_id, body, content_type, headers, digest,
    size, peer, state, reason, alerts, ignored, replays)
  SELECT id, CASE WHEN refused IS NULL THEN {_AT} END, 0, 0, {_AT}, source, decode(body, 'base64'), type, headers,
    decode(digest, 'base64'), size, peer, CASE WHEN refused IS NULL THEN '{RECEIVED}' ELSE '{REFUSED}' END, refused,
    0, 0, 0
  FROM arrived JOIN taken ON taken.delivery_id = arrived.id
)
SELECT delivery_id FROM taken"""  # noqa: S608 - made of this file's own constants


class _Row(msgspec.Struct, frozen=True):
    """One arrival as the statement reads it; bytes travel as base64."""

    id: UUID
    source: UUID
    key: bytes
    same_for: float
    body: bytes
    type: str
    headers: Mapping[str, str]
    digest: bytes
    size: int
    peer: str | None
    refused: str | None


_encode = msgspec.json.Encoder().encode


def _keep(arrivals: Sequence[Arrival]) -> set[UUID]:
    """Keep all whose key could be taken, committed when this returns. Returns their ids."""
    return _keep_postgres(arrivals) if db.on_postgres() else _keep_sqlite(arrivals)


def _keep_postgres(arrivals: Sequence[Arrival]) -> set[UUID]:
    """One statement, one round trip, one commit."""
    rows = [
        _Row(
            a.id, a.source_id, a.key, a.same_for.total_seconds(), a.body, a.content_type, a.headers,
            hashlib.sha256(a.body).digest(), len(a.body) if a.size is None else a.size, a.peer, a.kept_only,
        )
        for a in arrivals
    ]  # fmt: skip
    at = clock.now() if clock.held() else None
    found = db.at_once(_KEEP_POSTGRES, {"rows": _encode(rows).decode(), "at": at})
    return {delivery for (delivery,) in found}


_TAKE_SQLITE = _TAKE.removesuffix(" RETURNING delivery_id")
_KEEP_SQLITE = (
    "WITH arrived(id, due_at, received_at, source_id, body, content_type, headers, digest, size, peer, state, reason, key) "
    "AS (VALUES {}) INSERT INTO deliveries (id, due_at, fence, attempts, received_at, source_id, body, content_type, "
    "headers, digest, size, peer, state, reason, alerts, ignored, replays) "
    "SELECT id, due_at, 0, 0, received_at, source_id, body, content_type, headers, digest, size, peer, state, reason, 0, 0, 0 "
    "FROM arrived NATURAL JOIN (SELECT source_id, key, delivery_id AS id FROM delivery_keys) WHERE true "
    "ON CONFLICT (id) DO NOTHING"
)
_KEPT_SQLITE = "SELECT json_group_array(id) FROM deliveries WHERE id IN (SELECT value FROM json_each(?))"


def _keep_sqlite(arrivals: Sequence[Arrival]) -> set[UUID]:
    """Three statements of many rows each: every statement's every row may cost a thread its turn at Python."""
    digests = [hashlib.sha256(a.body).digest() for a in arrivals]  # hashed before the write lock is held
    headers = [_encode(a.headers).decode() for a in arrivals]
    ids = _encode([a.id.hex for a in arrivals]).decode()
    keys_asked = ", ".join(["(?, ?, ?, ?)"] * len(arrivals))
    rows_asked = ", ".join([f"({', '.join('?' * 13)})"] * len(arrivals))
    with unit_of_work() as uow:
        cursor = uow.connection().connection.cursor()
        now = to_micros(uow.now)
        keys: list[Any] = []
        rows: list[Any] = []
        for a, digest, head in zip(arrivals, digests, headers, strict=True):
            keys += (a.source_id.hex, a.key, a.id.hex, now + int(a.same_for.total_seconds() * 1_000_000))
            rows += (
                a.id.hex, None if a.kept_only else now, now, a.source_id.hex, a.body, a.content_type, head, digest,
                len(a.body) if a.size is None else a.size, a.peer, REFUSED if a.kept_only else RECEIVED, a.kept_only,
                a.key,
            )  # fmt: skip
        cursor.execute(_TAKE_SQLITE.format(f"VALUES {keys_asked}", "?"), (*keys, now))
        cursor.execute(_KEEP_SQLITE.format(rows_asked), rows)
        cursor.execute(_KEPT_SQLITE, (ids,))
        ((kept,),) = cursor.fetchall()
    return {UUID(one) for one in msgspec.json.decode(kept)}


def body_of(delivery: UUID) -> bytes | None:
    """What was delivered."""
    with reading() as session:
        return session.scalar(select(Delivery.body).where(Delivery.id == delivery))
