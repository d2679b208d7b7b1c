"""Durable work: rows say what must be done and when; this claims, leases, finishes, retries and parks them."""

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Index,
    Select,
    String,
    Text,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Mapped, mapped_column

from core import bulk, db, lanes, leases, logs, metrics, suspects, taking, telemetry
from core.actors import Actor
from core.backoff import Backoff
from core.db import UnitOfWork, unit_of_work
from core.errors import NotFound, TocsinError, Unavailable
from core.lanes import Lane
from core.leases import LEASE
from core.types import Instant

log = logs.get(__name__)

HANDLED = metrics.counter("tocsin_work_handled_total", "Rows of durable work that were handled.", "kind")
RETRIED = metrics.counter(
    "tocsin_work_retries_total", "Attempts at durable work that failed and are repeated.", "kind"
)
PARKED = metrics.counter(
    "tocsin_work_set_aside_total", "Rows of durable work that were parked for a person.", "kind"
)
LOST = metrics.counter(
    "tocsin_work_leases_lost_total", "Leases that ended before the work on them did.", "kind"
)
SECONDS = metrics.histogram("tocsin_work_seconds", "How long a batch of durable work takes.", "kind")

_PATIENCE = timedelta(minutes=1)


class LostLease(TocsinError):
    """Another worker has taken this row over; what was done here must not be written."""

    code, status = "lost-lease", 409


class Work:
    """The columns of a row that is work: it is due when `due_at` has passed and nobody holds its lease."""

    due_at: Mapped[datetime | None] = mapped_column(Instant)
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    fence: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    parked_at: Mapped[datetime | None] = mapped_column(Instant)
    correlation: Mapped[str | None] = mapped_column(String(64), default=logs.tied_to)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """What is parked is found by an index of its own, which is nearly always empty and so costs nothing."""
        super().__init_subclass__(**kwargs)  # makes the table
        table = cls.__dict__["__table__"]
        where = text("parked_at IS NOT NULL")
        Index(f"ix_{table.name}_parked", table.c.parked_at, postgresql_where=where, sqlite_where=where)


def due_index(table: str) -> Index:
    """The partial index that finds due rows; goes into the table's `__table_args__`."""
    where = text("due_at IS NOT NULL")
    return Index(f"ix_{table}_due", "due_at", postgresql_where=where, sqlite_where=where)


def lane_index(table: str, column: str) -> Index:
    """The partial index that finds the due rows of one lane; goes into `__table_args__` beside due_index()."""
    where = text("due_at IS NOT NULL")
    return Index(f"ix_{table}_lane", column, "due_at", postgresql_where=where, sqlite_where=where)


@dataclass(frozen=True)
class Claim:
    """A row that is ours until its lease ends; `attempts` counts this one, `correlation` is what it is tied to.

    `at` is when it was claimed, by the database's clock.
    """

    id: UUID
    fence: int
    attempts: int
    correlation: str | None
    at: datetime


@dataclass(frozen=True)
class WorkKind:
    """One kind of durable work: the table, who handles claimed rows, how many, how long, how often.

    `lane` names the column that says on which far end a row waits: a batch is of one lane, and at most `lane_batches` of a
    lane are in hand in a process, so that a far end that hangs cannot hold all `concurrency` threads. `lane_rows` says how
    many rows of a lane are in hand at most, for a kind that does the rows of a batch side by side; its handler says
    lanes.begun() when what it writes beforehand is written, and until then nobody else gathers a batch.

    `about` are selects of (row's id, kind, id) that name what each row is about: who may not see that reads no error of it.
    """

    name: str
    model: Any
    handle: Callable[[list[Claim]], None]
    batch: int = 20
    lease: timedelta = LEASE
    max_attempts: int = 8
    backoff: Backoff = field(default_factory=Backoff)
    concurrency: int = 2
    on_park: Callable[[UnitOfWork, UUID, str], None] | None = None
    on_replay: Callable[[UnitOfWork, UUID], None] | None = (
        None  # makes the row workable again, or raises Conflict
    )
    keep: bool = True  # False: a finished row is deleted, nobody will ask for it again
    lane: str | None = None  # a text column; its table has lane_index()
    lane_batches: int = 2
    lane_rows: int | None = None
    pace: Callable[[int], int] | None = (
        None  # called with the size of the batch before: how many to claim next
    )
    ends_within: timedelta = timedelta(seconds=4)  # how long a process that is stopped waits for a batch in hand
    about: Sequence[Select[*tuple[Any, ...]]] = field(default=(), compare=False)


_kinds: dict[str, WorkKind] = {}  # filled by register() as packages are imported


def register(kind: WorkKind) -> WorkKind:
    """Make a kind of work known to every worker of this process."""
    _kinds[kind.name] = kind
    return kind


def kinds() -> dict[str, WorkKind]:
    """All kinds of work, by name."""
    return dict(_kinds)


def claim(kind: WorkKind, limit: int, lane: Lane | None = None) -> list[Claim]:
    """Take up to `limit` due rows (of one lane), oldest first, each under a lease with a new fencing number."""
    at: dict[str, Any] = {**db.present()}
    if at and lane is None and not db.look(taking.any_due(kind), at):
        return []  # on SQLite a look costs no write lock, and mostly there is nothing
    given: dict[str, Any] = {"the_limit": limit, **at}
    if at:
        given["the_until"] = at["the_time"] + kind.lease
    if lane is not None and lane.name is not None:
        given["the_lane"] = lane.name
    if busy := leases.in_hand(kind):
        given["the_busy"] = busy
    of_lane = "any" if lane is None else "none" if lane.name is None else "named"
    taken = db.alone(taking.taking(kind, of_lane, told=bool(at), busy=bool(busy)), given)
    return sorted((Claim(*row) for row in taken), key=lambda c: c.id)


def finish(uow: UnitOfWork, kind: WorkKind, claim: Claim) -> None:
    """The row's work is done: nothing is due any more. Raises LostLease."""
    finish_all(uow, kind, [claim])


def finish_with(uow: UnitOfWork, kind: WorkKind, told: Sequence[tuple[Claim, Mapping[str, Any]]]) -> None:
    """Finish many rows and write the same columns of each, in one statement; raises LostLease as finish_all() does."""
    done = {"due_at": None, "lease_until": None, "attempts": 0, "error": None}
    rows = [{**done, **columns, "id": claim.id, "fence": claim.fence} for claim, columns in told]
    changed = bulk.update(
        uow, kind.model.__table__, rows, found_by=("id", "fence"), only="lease_until IS NOT NULL"
    )
    if changed != len(rows):
        raise LostLease(f"{len(rows) - changed} rows of {kind.name} were taken over by another worker")


def finished(row: Any) -> None:
    """As finish(), for a row that is locked in this transaction and was found to be ours."""
    row.due_at, row.lease_until, row.attempts, row.error = None, None, 0, None


def ended(claims: Sequence[Claim]) -> None:
    """These rows of the batch that this thread handles are written, though others of it go on: they may be claimed again."""
    leases.let_go(claims)
    lanes.ended(len(claims))


def finish_all(uow: UnitOfWork, kind: WorkKind, claims: Sequence[Claim]) -> None:
    """Finish many rows in one statement; raises LostLease unless every one was still ours."""
    if not claims:
        return
    model = kind.model
    uow.flush()
    ours = leases.ours(model, claims)
    change = (
        update(model).where(*ours).values(due_at=None, lease_until=None, attempts=0, error=None)
        if kind.keep
        else delete(model).where(*ours)
    )
    done = uow.execute(change.execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    if done.rowcount != len(claims):
        raise LostLease(
            f"{len(claims) - done.rowcount} rows of {kind.name} were taken over by another worker"
        )


def later(uow: UnitOfWork, kind: WorkKind, claim: Claim, at: datetime | None) -> None:
    """Not a failure: look at the row again at `at` (None: when something makes it due). Raises LostLease."""
    _write(uow, kind, claim, due_at=at, lease_until=None, attempts=0, error=None)


def postpone(uow: UnitOfWork, kind: WorkKind, claim: Claim, at: datetime) -> None:
    """It was not its turn: as if it had not been claimed, to be looked at again at `at`. Raises LostLease."""
    _write(uow, kind, claim, due_at=at, lease_until=None, attempts=claim.attempts - 1)


def retry(uow: UnitOfWork, kind: WorkKind, claim: Claim, error: str, at: datetime | None = None) -> bool:
    """A failed attempt: try again later, or park when the attempts are used up. True if it will be tried again."""
    if claim.attempts >= kind.max_attempts:
        park(uow, kind, claim, error)
        return False
    due = at or uow.now + kind.backoff.after(claim.attempts)
    _write(uow, kind, claim, due_at=due, lease_until=None, error=error[:2000])
    uow.after_commit(lambda: RETRIED.add(kind.name))
    return True


def park(uow: UnitOfWork, kind: WorkKind, claim: Claim, error: str) -> None:
    """Set the row aside for a person to look at; `on_park` of its kind tells somebody. Raises LostLease."""
    _write(uow, kind, claim, due_at=None, lease_until=None, parked_at=uow.now, error=error[:2000])
    uow.after_commit(lambda: PARKED.add(kind.name))
    if kind.on_park:
        kind.on_park(uow, claim.id, error)


def transactional(
    kind_name: str,
    do: Callable[[UnitOfWork, Any], None],
    prepare: Callable[[UnitOfWork, Sequence[Any]], None] = lambda _uow, _rows: None,
) -> Callable[[list[Claim]], None]:
    """A handler for work without outward effects: do it and finish it in one transaction.

    The whole batch shares a transaction; if that fails, each row gets its own, so one bad row stops no other.
    `prepare` is given all rows first, to read at once what each will need.
    """

    def one(uow: UnitOfWork, claim: Claim, row: Any, kind: WorkKind) -> None:
        with telemetry.doing(kind.name, claim.correlation):
            if row is not None:
                do(uow, row)
            uow.flush()

    def handle(claims: list[Claim]) -> None:
        kind = _kinds[kind_name]
        try:
            with unit_of_work() as uow:
                mine = bulk.among(uow, kind.model.id, [claim.id for claim in claims])
                rows = {row.id: row for row in uow.scalars(select(kind.model).where(mine))}
                prepare(uow, list(rows.values()))
                for claim in claims:
                    one(uow, claim, rows.get(claim.id), kind)
                finish_all(uow, kind, claims)
        except Exception as error:  # any row may be the bad one: find it by taking them one at a time
            if len(claims) == 1:
                raise
            log.info("a batch of %s failed and is taken row by row", kind_name, extra={"reason": repr(error)})
            one_by_one(kind, claims)

    return handle


def drain(name: str, stop: Callable[[], bool] = lambda: False) -> int:
    """Claim and handle until nothing of this kind is due, or `stop()`; returns how many rows were handled."""
    kind, handled = _kinds[name], 0
    done = 0
    while not stop():
        limit = kind.batch if kind.pace is None else kind.pace(done)
        done = _one_batch(kind, limit) if kind.lane is None else _one_batch_of_a_lane(kind)
        if not done:
            break
        handled += done
    return handled


def _one_batch(kind: WorkKind, limit: int) -> int:
    claims = claim(kind, limit)
    for group in suspects.apart(kind, claims):
        _run(kind, group)
    return len(claims)


def _one_batch_of_a_lane(kind: WorkKind) -> int:
    if kind.lane_rows is None:
        return _next_of_a_lane(kind)
    with lanes.gathering(kind) as alone:
        return _next_of_a_lane(kind) if alone else 0


def _next_of_a_lane(kind: WorkKind) -> int:
    waiting = lanes.waiting(kind)
    while waiting:
        with lanes.entered(kind, waiting) as place:
            if place is None:
                return 0
            if claims := claim(kind, place.room, place.lane):
                lanes.claimed(len(claims))
                for group in suspects.apart(kind, claims):
                    _run(kind, group)
                return len(claims)
        waiting.remove(place.lane)  # another worker was quicker: look at the next one
    return 0


def replay(uow: UnitOfWork, actor: Actor, name: str, row: UUID) -> None:
    """Try a parked row again from its first attempt; the caller records why. Raises NotFound, Conflict."""
    model = _kinds[name].model
    done = uow.execute(
        update(model)
        .where(model.id == row, model.parked_at.is_not(None))
        .values(due_at=uow.now, parked_at=None, attempts=0, error=None)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    if done.rowcount == 0:
        raise NotFound(f"No parked {name} with this id: it may have been replayed already.", actor=actor.name)
    if on_replay := _kinds[name].on_replay:
        on_replay(uow, row)
    uow.wake(name)


def write_down(write: Callable[[UnitOfWork], None]) -> None:
    """Commit what came of something done outside, waiting up to a minute while the database is away, else Unavailable.

    `write` gets a new unit of work each time and must be fenced: a commit may have come through whose answer was lost.
    """
    end = time.monotonic() + _PATIENCE.total_seconds()
    while True:
        try:
            with unit_of_work() as uow:
                write(uow)
            return
        except Unavailable:
            if time.monotonic() > end:
                raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - spreads load, guards nothing


def one_by_one(kind: WorkKind, claims: Sequence[Claim]) -> None:
    """Handle each claim alone: for a batch that failed before anything was done, so that one bad row stops no other."""
    for claim in claims:
        _run(kind, [claim])


def _run(kind: WorkKind, claims: list[Claim]) -> None:
    began = time.perf_counter()
    try:
        suspects.judge(kind, claims)
        with leases.held(kind, claims), logs.tied(claims[0].correlation if len(claims) == 1 else None):
            kind.handle(claims)
        HANDLED.add(kind.name, by=len(claims))
        SECONDS.observe(time.perf_counter() - began, kind.name)
    except LostLease as error:
        LOST.add(kind.name)
        log.warning("lost a lease of %s", kind.name, extra={"reason": error.message})
    except Unavailable as error:  # no fault of the row's: its lease ends, and it is taken up again
        log.warning("the database was away from work of %s", kind.name, extra={"reason": error.message})
    except Exception as error:  # a worker's outermost loop: whatever went wrong is kept on the row
        log.exception("work of %s failed", kind.name)
        for held in claims:
            failed(kind, held, error)


def failed(kind: WorkKind, claim: Claim, error: Exception) -> None:
    """Something of ours went wrong with this row: keep what, and try it again later; nothing if it had been ended before."""
    with contextlib.suppress(LostLease), unit_of_work() as uow:
        retry(uow, kind, claim, f"{type(error).__name__}: {error}")


def _write(uow: UnitOfWork, kind: WorkKind, claim: Claim, **values: Any) -> None:
    model = kind.model
    uow.flush()
    done = uow.execute(
        update(model)
        .where(model.id == claim.id, model.fence == claim.fence, model.lease_until.is_not(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    if done.rowcount != 1:
        raise LostLease(f"{kind.name} {claim.id} was taken over by another worker")
