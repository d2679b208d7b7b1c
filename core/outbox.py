"""The outbox: hands facts to the subscribers of upper packages, each in a transaction of its own."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core import logs, work
from core.db import Base, UnitOfWork
from core.ids import new_id
from core.journal import Entry, by_ids
from core.types import Identified

Handler = Callable[[UnitOfWork, Entry], None]


class OutboxRow(Identified, work.Work, Base):
    """One fact on its way to one subscriber."""

    __tablename__ = "outbox"

    entry: Mapped[UUID] = mapped_column(Uuid)
    subscriber: Mapped[str] = mapped_column(Text)

    __table_args__ = (work.due_index("outbox"),)


_handlers: dict[str, Handler] = {}  # filled at import
_by_verb: dict[str, list[str]] = {}  # filled at import


def subscriber(name: str, verbs: Iterable[str]) -> Callable[[Handler], Handler]:
    """Call the decorated function with every fact of these verbs; it is retried, and parked after 8 attempts.

    The function runs in the transaction that also finishes the delivery: what it writes happens exactly once.
    """

    def add(handler: Handler) -> Handler:
        _handlers[name] = handler
        for verb in verbs:
            names = _by_verb.setdefault(verb, [])
            if name not in names:
                names.append(name)
        return handler

    return add


def subscribed_verbs() -> frozenset[str]:
    """Every verb that somebody has subscribed to."""
    return frozenset(_by_verb)


def enqueue(uow: UnitOfWork, entry: UUID, verb: str) -> None:
    """Queue an entry for its subscribers; only the journal calls this."""
    for name in _by_verb.get(verb, ()):
        row: dict[str, Any] = {"id": new_id(), "entry": entry, "subscriber": name, "due_at": uow.now}
        row["correlation"] = (
            logs.tied_to()
        )  # now: the row is written later, when something else may be going on
        uow.write_behind(OutboxRow.__table__, row)  # type: ignore[arg-type]  # a Table, typed FromClause
        uow.wake(KIND.name)


def _handle(uow: UnitOfWork, row: OutboxRow) -> None:
    handler = _handlers.get(row.subscriber)
    if handler is None:
        raise LookupError(f"nobody is subscribed as {row.subscriber}")
    handler(uow, uow.info["entries"][row.entry])


def _read_entries(uow: UnitOfWork, rows: Sequence[OutboxRow]) -> None:
    """Read the entries of a whole batch at once."""
    uow.info["entries"] = {entry.id: entry for entry in by_ids(uow, [row.entry for row in rows])}


KIND = work.register(
    work.WorkKind(
        "core.outbox",
        OutboxRow,
        work.transactional("core.outbox", _handle, _read_entries),
        batch=50,
        keep=False,
    )
)
