"""Leases on claimed rows: short, renewed while the work goes on, and given back at once by a process that knows it is alone."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import SQLAlchemyError

from core import logs
from core.db import UnitOfWork, unit_of_work
from core.errors import TocsinError

log = logs.get(__name__)

LEASE = timedelta(seconds=20)
"""How long the rows of a dead worker wait until another takes them over."""
RENEW_EVERY = timedelta(seconds=4)
LONGEST = timedelta(minutes=5)
"""Work that takes longer than this is taken to hang: its lease is left to end."""


class Claimed(Protocol):
    """What is known of a row that was claimed."""

    @property
    def id(self) -> UUID: ...
    @property
    def fence(self) -> int: ...


class Leased(Protocol):
    """What must be known of a kind of work to keep its leases."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> Any: ...
    @property
    def lease(self) -> timedelta: ...


@dataclass
class _Held:
    kind: Leased
    claims: Sequence[Claimed]
    since: float
    thread: int


_lock = threading.Lock()
_held: dict[int, _Held] = {}
_keepers: list[threading.Thread] = []  # bounded by the one that is started


def ours(model: Any, claims: Sequence[Claimed]) -> list[ColumnElement[bool]]:
    """The rows of these claims that are still under the lease they were claimed with."""
    by_fence: dict[int, list[UUID]] = {}
    for claim in claims:
        by_fence.setdefault(claim.fence, []).append(claim.id)
    under = [and_(model.fence == fence, model.id.in_(ids)) for fence, ids in by_fence.items()]
    return [model.lease_until.is_not(None), or_(false(), *under)]


@contextmanager
def held(kind: Leased, claims: Sequence[Claimed]) -> Iterator[None]:
    """Renew the leases of `claims` for the length of the block, should it be long."""
    held = _Held(kind, claims, time.monotonic(), threading.get_ident())
    with _lock:
        _held[id(held)] = held
        if not _keepers:
            _keepers.append(threading.Thread(target=_keep, name="leases", daemon=True))
            _keepers[0].start()
    try:
        yield
    finally:
        with _lock:
            del _held[id(held)]


def let_go(claims: Sequence[Claimed]) -> None:
    """These claims of what this thread holds are over, though others of it go on: nothing is renewed for them any more."""
    with _lock:
        for held in _held.values():
            if held.thread == threading.get_ident():
                held.claims = [claim for claim in held.claims if claim not in claims]


def in_hand(kind: Leased) -> list[UUID]:
    """The rows of a kind that this process works on: it takes none of them over from itself, whatever a clock says."""
    now = time.monotonic()
    with _lock:
        mine = [one for one in _held.values() if one.kind.name == kind.name]
        return [claim.id for one in mine if now - one.since < LONGEST.total_seconds() for claim in one.claims]


def renew(after: timedelta = RENEW_EVERY) -> None:
    """Renew what has been held for longer than `after`; what lasts longer than LONGEST is let go."""
    now = time.monotonic()
    with _lock:
        long = [
            one
            for one in _held.values()
            if one.claims and after.total_seconds() <= now - one.since < LONGEST.total_seconds()
        ]
    for one in long:
        try:
            with unit_of_work() as uow:
                _extend(uow, one)
        except (
            TocsinError,
            SQLAlchemyError,
        ) as error:  # the database is away; nobody else can take over meanwhile
            log.warning("leases of %s could not be renewed", one.kind.name, extra={"reason": repr(error)})


def release(uow: UnitOfWork, kinds: Iterable[Leased]) -> int:
    """Give back every lease of these kinds; returns how many. Only for a process that is the only one at work.

    What was in the middle is judged by its own state when it is taken up again, as after any crash.
    """
    given = 0
    for kind in kinds:
        done = uow.execute(
            update(kind.model)
            .where(kind.model.lease_until.is_not(None))
            .values(lease_until=None)
            .execution_options(synchronize_session=False)
        )
        assert isinstance(done, CursorResult)
        given += done.rowcount
    return given


def _extend(uow: UnitOfWork, one: _Held) -> None:
    """Never waits: a row that is locked is being written by its holder, and nobody else can claim it meanwhile."""
    model = one.kind.model
    free = select(model.id).where(*ours(model, one.claims)).with_for_update(skip_locked=True).cte("free")
    uow.execute(
        update(model)
        .where(model.id.in_(select(free.c.id)), model.lease_until.is_not(None))
        .values(lease_until=uow.now + one.kind.lease)
        .execution_options(synchronize_session=False)
    )


def _keep() -> None:
    while True:
        time.sleep(RENEW_EVERY.total_seconds() / 2)
        renew()
