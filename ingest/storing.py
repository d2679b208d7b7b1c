"""Writes deliveries: a whole batch in one transaction, each delivery key once, a receipt for each."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, tuple_

from core.db import UnitOfWork, is_postgres, reading, unit_of_work
from core.ids import new_id
from core.types import to_micros
from ingest.models import RECEIVED, REFUSED, Delivery, DeliveryKey

SAME_BODY = timedelta(minutes=5)  # the same bytes again within this are the same delivery
SAME_ID = timedelta(days=7)  # no vendor redelivers later than that

WORK = "ingest.deliveries"


@dataclass(frozen=True)
class Arrival:
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
    id: UUID = field(default_factory=new_id)


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
    """Keep these in one transaction; a receipt for each, in order. Synchronous: for the writer and for commands."""
    with unit_of_work() as uow:
        receipts = _insert(uow, arrivals)
        if any(not receipt.duplicate for receipt in receipts):
            uow.wake(WORK)
    return receipts


def _insert(uow: UnitOfWork, arrivals: Sequence[Arrival]) -> list[Receipt]:
    now = uow.now
    first: dict[tuple[UUID, bytes], Arrival] = {}
    for arrival in arrivals:
        first.setdefault((arrival.source_id, arrival.key), arrival)
    taken = _take_keys(uow, first, now)
    missing = [pair for pair in first if pair not in taken]
    given = _given(uow, missing) if missing else {}
    new = [arrival for pair, arrival in first.items() if pair in taken]
    if new:
        _add(uow, [_row(arrival, now) for arrival in new])
    return [_receipt(arrival, first, taken, given) for arrival in arrivals]


def _receipt(
    arrival: Arrival,
    first: Mapping[tuple[UUID, bytes], Arrival],
    taken: set[tuple[UUID, bytes]],
    given: Mapping[tuple[UUID, bytes], UUID],
) -> Receipt:
    pair = (arrival.source_id, arrival.key)
    if pair in taken:
        return Receipt(first[pair].id, duplicate=first[pair] is not arrival)
    return Receipt(given[pair], duplicate=True)


def _take_keys(
    uow: UnitOfWork, first: Mapping[tuple[UUID, bytes], Arrival], now: datetime
) -> set[tuple[UUID, bytes]]:
    """Take the keys that are free or whose time is over; in one order everywhere, so that two doors cannot deadlock."""
    rows = [
        (source, key, arrival.id, now + arrival.same_for)
        for (source, key), arrival in sorted(first.items(), key=lambda item: (item[0][0].bytes, item[0][1]))
    ]
    if is_postgres(uow):
        with _cursor(uow) as cursor:  # one prepared text for batches of every size
            cursor.execute(_TAKE_POSTGRES, (*map(list, zip(*rows, strict=True)), now), prepare=True)
            return {(source, bytes(key)) for source, key in cursor.fetchall()}
    values = [
        part for source, key, made, until in rows for part in (source.hex, key, made.hex, to_micros(until))
    ]
    statement = _TAKE_SQLITE.format(", ".join(["(?, ?, ?, ?)"] * len(rows)))
    taken = uow.connection().exec_driver_sql(statement, (*values, to_micros(now))).fetchall()
    return {(UUID(source), bytes(key)) for source, key in taken}


def _cursor(uow: UnitOfWork) -> Any:
    """The driver's own cursor in this transaction: the door's few statements go past SQLAlchemy, for speed."""
    return uow.connection().connection.cursor()


_TAKE = (
    "INSERT INTO delivery_keys (source_id, key, delivery_id, expires_at) {} ON CONFLICT (source_id, key) DO UPDATE SET "
    "delivery_id = excluded.delivery_id, expires_at = excluded.expires_at WHERE delivery_keys.expires_at <= {} "
    "RETURNING source_id, key"
)
_TAKE_POSTGRES = _TAKE.format(
    "SELECT * FROM unnest(%s::uuid[], %s::bytea[], %s::uuid[], %s::timestamptz[])", "%s"
)
_TAKE_SQLITE = _TAKE.format("VALUES {}", "?")


def _given(uow: UnitOfWork, pairs: Sequence[tuple[UUID, bytes]]) -> dict[tuple[UUID, bytes], UUID]:
    query = select(DeliveryKey.source_id, DeliveryKey.key, DeliveryKey.delivery_id).where(
        tuple_(DeliveryKey.source_id, DeliveryKey.key).in_(pairs)
    )
    return {(source, bytes(key)): delivery for source, key, delivery in uow.execute(query)}


def _row(arrival: Arrival, now: datetime) -> dict[str, Any]:
    return {
        "id": arrival.id,
        "due_at": None if arrival.kept_only else now,
        "fence": 0,
        "attempts": 0,
        "received_at": now,
        "source_id": arrival.source_id,
        "body": arrival.body,
        "content_type": arrival.content_type,
        "headers": dict(arrival.headers),
        "digest": hashlib.sha256(arrival.body).digest(),
        "size": len(arrival.body) if arrival.size is None else arrival.size,
        "peer": arrival.peer,
        "state": REFUSED if arrival.kept_only else RECEIVED,
        "reason": arrival.kept_only,
        "alerts": 0,
        "ignored": 0,
        "replays": 0,
    }


_DELIVERIES: Any = Delivery.__table__
_COPIED = (
    "id", "due_at", "fence", "attempts", "received_at", "source_id", "body", "content_type", "headers", "digest", "size",
    "peer", "state", "reason", "alerts", "ignored", "replays",
)  # fmt: skip
_COPY = f"COPY deliveries ({', '.join(_COPIED)}) FROM STDIN"


def _add(uow: UnitOfWork, rows: list[dict[str, Any]]) -> None:
    if not is_postgres(uow):
        uow.execute(insert(_DELIVERIES), rows)
        return
    cursor: Any = (
        uow.connection().connection.cursor()
    )  # COPY: the fastest way in (a third of executemany's time)
    with cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            row["headers"] = msgspec.json.encode(row["headers"]).decode()
            copy.write_row([row[name] for name in _COPIED])


def body_of(delivery: UUID) -> bytes | None:
    """What was delivered."""
    with reading() as session:
        return session.scalar(select(Delivery.body).where(Delivery.id == delivery))
