"""Forget what is old enough, in small bites that hold no lock for long: each package declares what of its own may go."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, delete, select
from sqlalchemy.orm import Session

from core import facts, journal, logs
from core.actors import SYSTEM
from core.auth.models import SignInFailure, UserSession
from core.bulk import among
from core.db import UnitOfWork, database_now, reading, unit_of_work
from core.journal import Fact
from core.settings import Settings, settings
from core.types import to_micros

log = logs.get(__name__)

BITE = 100
"""So many rows are looked at, and at most so many deleted, in one transaction."""
PAUSE = 0.03
"""Seconds between two bites, in which others write."""
TURN = 5.0
"""Seconds after which a turn ends, to go on a moment later: a process that stops does not wait for more."""
NOBODY = UUID(int=0)

Looked = tuple[list[Any], UUID | None]
Conditions = Callable[[datetime], Sequence[ColumnElement[bool]]]
"""What must be true of a row, given the moment before which it is old."""


@dataclass(frozen=True)
class Old:
    """One kind of row that may be forgotten, and how long it is kept (None: for ever).

    `look` takes the session, the moment before which rows are old, and the last id looked at; it returns what may go and
    the last id of this bite, None at the end. `forget` deletes what was found; both together are one bite.
    """

    name: str
    keep: Callable[[Settings], timedelta | None]
    look: Callable[[Session, datetime, UUID], Looked]
    forget: Callable[[UnitOfWork, datetime, Sequence[Any]], int]


@dataclass
class _Pass:
    """Where a pass over one kind of row is."""

    place: UUID = NOBODY
    over: bool = False


@dataclass
class Round:
    """A pass over everything, in as many turns as it takes; a new process begins anew, which costs it some looking."""

    passes: dict[str, _Pass] = field(default_factory=dict)

    def turn(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Forget for some seconds; whether there is more to do. What was forgotten is told in the journal, as counts."""
        end = time.monotonic() + TURN
        for old in kinds():
            here = self.passes.setdefault(old.name, _Pass())
            keep = old.keep(settings())
            gone = 0
            while keep is not None and not here.over and time.monotonic() < end and not stop():
                if bite := _bite(old, keep, here):
                    gone += bite
                    time.sleep(PAUSE)
            if gone and keep is not None:
                _tell(old, gone, keep)
        more = any(not self.passes[old.name].over for old in kinds() if old.keep(settings()) is not None)
        if not more:
            self.passes.clear()
        return more


_kinds: dict[str, Old] = {}  # filled at import


def declare(old: Old) -> Old:
    """Let rows of this kind be forgotten from now on."""
    _kinds[old.name] = old
    return old


def kinds() -> list[Old]:
    """Everything that may be forgotten, in the order it was declared."""
    return list(_kinds.values())


def by_age(model: Any, may_go: Conditions) -> Callable[[Session, datetime, UUID], Looked]:
    """A look along the primary key, whose ids begin with their time: only rows made before the moment are read at all."""

    def look(session: Session, before: datetime, after: UUID) -> Looked:
        ids = session.scalars(
            select(model.id)
            .where(model.id > after, model.id < first_id(before))
            .order_by(model.id)
            .limit(BITE)
        ).all()
        if not ids:
            return [], None
        found = select(model.id).where(among(session, model.id, ids), *may_go(before))
        return list(session.scalars(found)), ids[-1] if len(ids) == BITE else None

    return look


def rows(model: Any, may_go: Conditions) -> Callable[[UnitOfWork, datetime, Sequence[UUID]], int]:
    """Delete those of the found rows that may still go."""

    def forget(uow: UnitOfWork, before: datetime, ids: Sequence[UUID]) -> int:
        return deleted(uow, delete(model).where(among(uow, model.id, ids), *may_go(before)))

    return forget


def deleted(uow: UnitOfWork, statement: Any) -> int:
    """Run a DELETE; how many rows went."""
    done = uow.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    return int(done.rowcount)


def first_id(at: datetime) -> UUID:
    """The smallest id that can have been made at a moment (RFC 9562: an id begins with its milliseconds)."""
    return UUID(int=(to_micros(at) // 1000) << 80)


def _bite(old: Old, keep: timedelta, here: _Pass) -> int:
    with reading() as session:
        before = database_now(session) - keep
        found, last = old.look(session, before, here.place)
    here.over, here.place = last is None, last or NOBODY
    if not found:
        return 0
    with unit_of_work() as uow:
        return old.forget(uow, before, found)


def _tell(old: Old, gone: int, keep: timedelta) -> None:
    log.info("forgot %d old rows of %s", gone, old.name)
    with unit_of_work() as uow:
        body = {"what": old.name, "count": gone, "older_than_days": keep.days}
        journal.record(uow, SYSTEM, Fact(facts.FORGOTTEN, (), body))


def _failed(session: Session, before: datetime, _after: UUID) -> Looked:
    found = session.scalars(select(SignInFailure.key).where(SignInFailure.last_at < before).limit(BITE)).all()
    return list(found), first_id(before) if len(found) == BITE else None


def _forgive(uow: UnitOfWork, before: datetime, keys: Sequence[str]) -> int:
    old = (SignInFailure.key.in_(keys), SignInFailure.last_at < before)
    return deleted(uow, delete(SignInFailure).where(*old))


FAILURES = declare(Old("failed sign-ins", lambda _: timedelta(days=1), _failed, _forgive))
"""The throttle looks back an hour; strangers make these rows."""


def _over(before: datetime) -> Sequence[ColumnElement[bool]]:
    return [UserSession.expires_at < before]


SESSIONS = declare(
    Old("sessions", lambda _: timedelta(days=30), by_age(UserSession, _over), rows(UserSession, _over))
)
"""A session lives for hours; signing in and out stay in the journal."""
