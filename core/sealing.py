"""Sealing: one sealer at a time gives each entry its place and hash, and signs checkpoints; writers never wait for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core import checkpoints, facts, logs, signing, stopping
from core.actors import SYSTEM
from core.checkpoints import PublicKey
from core.db import UnitOfWork, database_now, is_postgres, one_moment, reading, unit_of_work
from core.errors import TocsinError
from core.journal import Fact, JournalCheckpoint, JournalLeaf, JournalPending, entries, record
from core.merkle import Tree, leaf_hash
from core.types import Ref

log = logs.get(__name__)

BATCH = 300  # what one transaction seals: about 5 ms
LOOK_EVERY = timedelta(seconds=1)
SIGN_EVERY = timedelta(seconds=5)
_ADVISORY_KEY = 8_434_627_602


@dataclass(frozen=True)
class Sealed:
    """How far the journal is sealed: leaves, entries still waiting (counted up to 1,000), the last checkpoint."""

    leaves: int
    waiting: int
    size: int
    at: datetime | None
    note: str | None


def state(session: Session) -> Sealed:
    """How far the journal is sealed."""
    leaves = session.scalar(select(func.max(JournalLeaf.idx)))
    waiting = session.scalar(select(func.count()).select_from(select(JournalPending).limit(1000).subquery()))
    last = latest(session)
    return Sealed(
        leaves=0 if leaves is None else leaves + 1, waiting=waiting or 0,
        size=last.size if last else 0, at=last.at if last else None, note=last.note if last else None,
    )  # fmt: skip


def latest(session: Session) -> JournalCheckpoint | None:
    """The newest checkpoint."""
    return session.scalar(select(JournalCheckpoint).order_by(JournalCheckpoint.size.desc()).limit(1))


def seal_batch(limit: int = BATCH) -> int:
    """Give up to `limit` waiting entries their leaves, in one short transaction; returns how many.

    0 when nothing waits or another process is sealing. Entries are taken in the order of their ids among those that
    are committed; a later commit with a smaller id simply comes later: the leaves' order is what is proved.
    """
    with reading() as session:  # a look costs no write lock
        if session.scalar(select(JournalPending.entry).limit(1)) is None:
            return 0
    with unit_of_work() as uow:
        if not _alone(uow):
            return 0
        highest = uow.scalar(select(func.max(JournalLeaf.idx)))
        first = 0 if highest is None else highest + 1
        cursor = _cursor(uow)
        # Without the ORM: what is read is written back as it came.
        cursor.execute(
            # The limit first: a join of the two tables would begin to read the journal at its beginning, every time.
            f"SELECT p.entry, j.body FROM (SELECT entry FROM journal_pending ORDER BY entry LIMIT {int(limit)}) p "  # noqa: S608 - a number
            "JOIN journal j ON j.id = p.entry ORDER BY p.entry"
        )
        leaves = [
            (idx, entry, leaf_hash(body)) for idx, (entry, body) in zip(count(first), cursor, strict=False)
        ]
        if leaves:
            _append(uow, cursor, leaves)
            _no_longer_waiting(uow, cursor, leaves)
        cursor.close()
    return len(leaves)


def sign_checkpoint(*, at_most_every: timedelta = SIGN_EVERY) -> bool:
    """Sign the root over all leaves when there are new ones and the last checkpoint is old enough; True if it did."""
    with one_moment() as session:
        last = latest(session)
        highest = session.scalar(select(func.max(JournalLeaf.idx)))
        if highest is None or (last is not None and highest < last.size):
            return False
        if last is not None and database_now(session) - last.at < at_most_every:
            return False
        tree = Tree.resumed(last.size, last.state) if last else Tree()
        hashes = session.execute(
            select(JournalLeaf.hash)
            .where(JournalLeaf.idx.between(tree.size, highest))
            .order_by(JournalLeaf.idx)
            .execution_options(yield_per=5000)
        ).scalars()
        for some in hashes.partitions():
            tree.extend(some)
    key = signing.private_key()
    raw = key.public_key().public_bytes_raw()
    with unit_of_work() as uow:
        if last is not None and last.public_key != raw:
            _tell_of_key(uow, last, raw)
        made = checkpoints.sign(key, signing.origin(), tree.size, tree.root(), uow.now)
        insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(JournalCheckpoint)
        row = {"size": made.size, "at": made.at, "public_key": raw, "note": made.note, "state": tree.state}
        uow.execute(insert.on_conflict_do_nothing(), [row])  # another process may have signed the same leaves
    return True


def seal_everything() -> int:
    """Seal all that waits and sign it, whenever the last checkpoint was; returns how many entries were sealed."""
    sealed = 0
    while done := seal_batch():
        sealed += done
    sign_checkpoint(at_most_every=timedelta())
    return sealed


@contextmanager
def running() -> Iterator[None]:
    """Seal in the background for the length of the block; any number of processes may, one at a time will."""
    stop = threading.Event()
    thread = threading.Thread(target=_keep_sealing, args=(stop,), name="sealer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(stopping.SEALER)


def _keep_sealing(stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            while seal_batch() == BATCH and not stop.is_set():
                pass
            sign_checkpoint()
        except TocsinError as error:
            log.warning("the journal could not be sealed now", extra={"reason": error.message})
        except Exception:  # the sealer's outermost loop: what waits is sealed the next time
            log.exception("sealing the journal failed")
        stop.wait(LOOK_EVERY.total_seconds())


def _alone(uow: UnitOfWork) -> bool:
    """Whether no other process is sealing; it stays so until the commit (on SQLite BEGIN IMMEDIATE is the lock)."""
    if not is_postgres(uow):
        return True
    return bool(uow.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY}))


def _cursor(session: Session) -> Any:
    return session.connection().connection.cursor()


def _append(uow: UnitOfWork, cursor: Any, leaves: list[tuple[int, Any, bytes]]) -> None:
    if not is_postgres(uow):
        cursor.executemany("INSERT INTO journal_leaves (idx, entry, hash) VALUES (?, ?, ?)", leaves)
        return
    with cursor.copy("COPY journal_leaves (idx, entry, hash) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "uuid", "bytea"])
        for leaf in leaves:
            copy.write_row(leaf)


def _no_longer_waiting(uow: UnitOfWork, cursor: Any, leaves: list[tuple[int, Any, bytes]]) -> None:
    if not is_postgres(uow):
        cursor.execute(
            f"DELETE FROM journal_pending WHERE entry IN (SELECT entry FROM journal_leaves WHERE idx >= {leaves[0][0]})"  # noqa: S608 - a number
        )
        return
    # Each by its key: of leaves written a moment ago nothing is known yet, and a join would read both tables whole.
    cursor.execute(
        "DELETE FROM journal_pending WHERE entry = ANY(%s::uuid[])", [[entry for _, entry, _ in leaves]]
    )


def _tell_of_key(uow: UnitOfWork, last: JournalCheckpoint, raw: bytes) -> None:
    """Record, once for each key, that checkpoints are signed by another one from now on."""
    key = PublicKey(signing.origin(), raw)
    told = entries(uow, ref=Ref("key", raw.hex()), verbs=[facts.KEY_CHANGED.name], limit=1)
    if not told:
        body = {"key": key.text, "raw": raw.hex(), "before": last.public_key.hex(), "size": last.size}
        record(uow, SYSTEM, Fact(facts.KEY_CHANGED, (Ref("key", raw.hex()),), body))
