"""The door of ingest: keeps deliveries durably, many in one commit, and answers only after it."""

import asyncio
import contextlib
import hashlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from core import clock, db, logs
from core.db import UnitOfWork, is_postgres, reading, unit_of_work
from core.errors import TocsinError, Unavailable
from core.ids import new_id
from ingest.models import RECEIVED, REFUSED, Delivery, DeliveryKey

log = logs.get(__name__)

MOST_AT_ONCE = 512  # deliveries in one commit
MOST_WAITING = 4_096  # deliveries waiting for a commit; more are turned away
MOST_BYTES_WAITING = 128 * 1024 * 1024
SAME_BODY = timedelta(minutes=5)  # the same bytes again within this are the same delivery
SAME_ID = timedelta(days=7)  # no vendor redelivers later than that
RECENT = 20_000  # receipts remembered without asking the database

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


Waiting = tuple[Arrival, asyncio.AbstractEventLoop, "asyncio.Future[Receipt]"]


class Inbox:
    """The writer thread and what waits for it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._bytes = 0
        self._database: object = None
        self._recent: OrderedDict[tuple[UUID, bytes], tuple[UUID, datetime]] = OrderedDict()

    async def accept(self, arrival: Arrival) -> Receipt:
        """Keep one delivery; returns after its commit. Raises Unavailable when too much waits or nothing can be kept."""
        if (remembered := self._remembered(arrival)) is not None:
            return Receipt(remembered, duplicate=True)
        if self._queue.qsize() >= MOST_WAITING or self._bytes >= MOST_BYTES_WAITING:
            raise Unavailable(
                "Too many deliveries are waiting to be stored; send this one again.", retry_after=2
            )
        if self._thread is None or not self._thread.is_alive():
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._bytes += len(arrival.body)
        self._queue.put((arrival, loop, future))
        return await future

    def stop(self) -> None:
        """Store what waits, then end the writer thread."""
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            self._queue.put(None)
            thread.join(10)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._write_forever, name="inbox", daemon=True)
                self._thread.start()

    def _remembered(self, arrival: Arrival) -> UUID | None:
        if self._database is not db.engine():
            return None
        found = self._recent.get((arrival.source_id, arrival.key))
        return found[0] if found is not None and found[1] > clock.now() else None

    def _write_forever(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ending = [first], False
            while len(batch) < MOST_AT_ONCE:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ending = True
                    break
                batch.append(more)
            self._write(batch)
            if ending:
                return

    def _write(self, batch: list[Waiting]) -> None:
        self._bytes -= sum(len(arrival.body) for arrival, _, _ in batch)
        arrivals = [arrival for arrival, _, _ in batch]
        try:
            answers: list[Receipt | Exception] = list(store(arrivals))
        except (DataError, IntegrityError) as error:  # one of them cannot be kept: find out which
            log.error("a delivery could not be stored", extra={"reason": str(error.orig)})
            answers = [_store_one(arrival) for arrival in arrivals]
        except (TocsinError, SQLAlchemyError) as error:
            log.error("deliveries could not be stored", extra={"reason": repr(error)})
            answers = [_UNAVAILABLE] * len(batch)
        except (
            Exception
        ) as error:  # a worker's outermost loop: the senders must hear, and the thread must live
            log.exception("deliveries could not be stored")
            answers = [
                Unavailable("This could not be stored; send it again.", reason=type(error).__name__)
            ] * len(batch)
        self._remember(arrivals, answers)
        by_loop: dict[
            asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Receipt], Receipt | Exception]]
        ] = {}
        for (_, loop, future), answer in zip(batch, answers, strict=True):
            by_loop.setdefault(loop, []).append((future, answer))
        for loop, answered in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                loop.call_soon_threadsafe(_answer, answered)

    def _remember(self, arrivals: Sequence[Arrival], answers: Sequence[Receipt | Exception]) -> None:
        if self._database is not db.engine():
            self._recent.clear()
            self._database = db.engine()
        now = clock.now()
        for arrival, answer in zip(arrivals, answers, strict=True):
            if isinstance(answer, Receipt) and not answer.duplicate:
                self._recent[arrival.source_id, arrival.key] = (answer.id, now + arrival.same_for)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)


_UNAVAILABLE = Unavailable("The database cannot be reached; send this again in a moment.", retry_after=5)


def _answer(answered: list[tuple["asyncio.Future[Receipt]", Receipt | Exception]]) -> None:
    for future, answer in answered:
        if future.done():  # the sender hung up
            continue
        if isinstance(answer, Receipt):
            future.set_result(answer)
        else:
            future.set_exception(answer)


def store(arrivals: Sequence[Arrival]) -> list[Receipt]:
    """Keep these in one transaction; a receipt for each, in order. Synchronous: for the writer and for commands."""
    with unit_of_work() as uow:
        receipts = _insert(uow, arrivals)
        if any(not receipt.duplicate for receipt in receipts):
            uow.wake(WORK)
    return receipts


def _store_one(arrival: Arrival) -> Receipt | Exception:
    try:
        return store([arrival])[0]
    except (DataError, IntegrityError) as error:
        log.error(
            "this delivery cannot be stored",
            extra={"reason": str(error.orig), "source": str(arrival.source_id)},
        )
        return Unavailable("This delivery could not be stored; the operator's log says why.", retry_after=60)
    except (TocsinError, SQLAlchemyError):
        return _UNAVAILABLE


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
        {"source_id": source, "key": key, "delivery_id": arrival.id, "expires_at": now + arrival.same_for}
        for (source, key), arrival in sorted(first.items(), key=lambda item: (item[0][0].bytes, item[0][1]))
    ]
    dialect: Any = postgresql if is_postgres(uow) else sqlite
    statement = dialect.insert(DeliveryKey.__table__)
    statement = statement.on_conflict_do_update(
        index_elements=["source_id", "key"],
        set_={"delivery_id": statement.excluded.delivery_id, "expires_at": statement.excluded.expires_at},
        where=DeliveryKey.expires_at <= now,
    ).returning(DeliveryKey.source_id, DeliveryKey.key)
    return {(source, bytes(key)) for source, key in uow.execute(statement, rows)}


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


_inboxes: list[Inbox] = []


def inbox() -> Inbox:
    """The inbox of this process."""
    if not _inboxes:
        _inboxes.append(Inbox())
    return _inboxes[0]


async def accept(arrival: Arrival) -> Receipt:
    """Keep one delivery through this process's inbox. Raises Unavailable."""
    return await inbox().accept(arrival)


def stop() -> None:
    """Store what waits and end the writer: called when the process stops serving."""
    while _inboxes:
        _inboxes.pop().stop()
