"""The door of ingest: gathers deliveries that arrive together into one commit, and answers each only after it."""

import asyncio
import contextlib
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from core import clock, db, logs, turns
from core.errors import TocsinError, Unavailable
from ingest.storing import BATCH, SMALL_BATCH, Arrival, Receipt, store

log = logs.get(__name__)

MOST_AT_ONCE = 512  # deliveries in one commit
MOST_WAITING = 4_096  # deliveries waiting for a commit; more are turned away
MOST_BYTES_WAITING = 128 * 1024 * 1024
PASS = 0.3  # seconds for which many senders at the door go before the next batch
GATHER = 0.02  # seconds a batch waits for more when the one before was small
RECENT = 20_000  # receipts remembered without asking the database


Waiting = tuple[Arrival, asyncio.AbstractEventLoop, "asyncio.Future[Receipt]"]


class Inbox:
    """The writer thread and what waits for it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()  # bounded by accept()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._bytes = 0  # of bodies whose senders wait; counted in the event loop only
        self.inside = 0  # senders waiting for their answer; counted in the event loop only
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
        self.inside += 1
        turns.at_the_door(self.inside)
        try:
            self._queue.put((arrival, loop, future))
            return await future
        finally:
            self.inside -= 1
            turns.at_the_door(self.inside)
            self._bytes -= len(arrival.body)

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
        arrivals = [arrival for arrival, _, _ in batch]
        try:
            answers: list[Receipt | Exception] = list(store(arrivals))
        except (DataError, IntegrityError) as error:  # one of them cannot be kept: find out which
            log.error("a delivery could not be stored", extra={"reason": str(error.orig)})
            answers = [_store_one(arrival) for arrival in arrivals]
        except (TocsinError, SQLAlchemyError) as error:
            log.error("deliveries could not be stored", extra={"reason": repr(error)})
            answers = [_UNAVAILABLE] * len(batch)
        except Exception as error:  # a worker's outermost loop: senders must hear, the thread must live
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


_inboxes: list[Inbox] = []


def inbox() -> Inbox:
    """The inbox of this process."""
    if not _inboxes:
        _inboxes.append(Inbox())
    return _inboxes[0]


async def accept(arrival: Arrival) -> Receipt:
    """Keep one delivery through this process's inbox. Raises Unavailable."""
    return await inbox().accept(arrival)


def take_turns(before: int) -> int:
    """Called before each batch is read; returns how many deliveries it may hold. `before` is the size of the one before.

    Lets what trickles in gather, and senders pass while many stand at this process's door: then batches are small, so
    that on SQLite nobody waits long for the database.
    """
    if 0 < before < BATCH:
        time.sleep(GATHER)
    turns.give_way(PASS)
    return SMALL_BATCH if turns.crowded() else BATCH


def stop() -> None:
    """Store what waits and end the writer: called when the process stops serving."""
    while _inboxes:
        _inboxes.pop().stop()
