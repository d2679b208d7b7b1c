"""The outbox: hands facts to the subscribers of upper packages, each in a transaction of its own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, select
from sqlalchemy.orm import Mapped, mapped_column

from core import logs, telemetry, work
from core.db import Base, UnitOfWork
from core.ids import new_id
from core.journal import Entry, JournalRef, by_ids
from core.types import Identified

log = logs.get(__name__)

Handler = Callable[[UnitOfWork, Entry], None]
Hearer = Callable[[UnitOfWork, Sequence[Entry]], None]


class OutboxRow(Identified, work.Work, Base):
    """One fact on its way to one subscriber."""

    __tablename__ = "outbox"

    entry: Mapped[UUID] = mapped_column(Uuid)
    subscriber: Mapped[str] = mapped_column(Text)

    __table_args__ = (work.due_index("outbox"),)


_handlers: dict[str, Handler] = {}  # filled at import
_by_verb: dict[str, list[str]] = {}  # filled at import
_at_once: dict[str, "Hearer"] = {}  # filled at import
_each_at_once: dict[str, Handler] = {}  # filled at import

FEW = 8
"""A transaction that holds more facts for one who hears each at once ends without him: they come by the outbox."""


def subscriber(
    name: str, verbs: Iterable[str], *, at_once: Hearer | None = None, each_at_once: Handler | None = None
) -> Callable[[Handler], Handler]:
    """Call the decorated function with every fact of these verbs; it is retried, and parked after 8 attempts.

    The function runs in the transaction that also finishes the delivery: what it writes happens exactly once. `at_once`
    is tried first, with all facts of a transaction at its end, which saves a hop; so it must be quick, and take no lock
    that somebody holds for long. If it fails, nothing is lost of the transaction, and the facts come by the outbox.
    `each_at_once` is the same with one fact at a time, tied to its receipt, when there are FEW.
    """

    def add(handler: Handler) -> Handler:
        _handlers[name] = handler
        if at_once is not None:
            _at_once[name] = at_once
        if each_at_once is not None:
            _each_at_once[name] = each_at_once
        for verb in verbs:
            names = _by_verb.setdefault(verb, [])
            if name not in names:
                names.append(name)
        return handler

    return add


def subscribed_verbs() -> frozenset[str]:
    """Every verb that somebody has subscribed to."""
    return frozenset(_by_verb)


@dataclass(frozen=True)
class _Told:
    """A fact to be handed over at the end of its transaction, and what it is tied to."""

    entry: Entry
    subscriber: str
    correlation: str | None


def enqueue(uow: UnitOfWork, entry: UUID, verb: str, read: Callable[[], Entry]) -> None:
    """Queue an entry for its subscribers; only the journal calls this. `read` gives it as it will be read back."""
    for name in _by_verb.get(verb, ()):
        tied = logs.tied_to()  # now: it is written later, when something else may be going on
        if name in _at_once or name in _each_at_once:
            uow.before_commit(_hand_over, _Told(read(), name, tied))
        else:
            _queue(uow, entry, name, tied)


def _queue(uow: UnitOfWork, entry: UUID, name: str, tied: str | None) -> None:
    row: dict[str, Any] = {
        "id": new_id(),
        "entry": entry,
        "subscriber": name,
        "due_at": uow.now,
        "correlation": tied,
    }
    uow.write_behind(OutboxRow.__table__, row)  # type: ignore[arg-type]  # a Table, typed FromClause
    uow.wake(KIND.name)


def _hand_over(uow: UnitOfWork, told: Sequence[_Told]) -> None:
    """Tell those who hear at once; when one of them fails, each is told later, as everybody else is."""
    for name in dict.fromkeys(one.subscriber for one in told):
        mine = [one for one in told if one.subscriber == name]
        if name in _at_once or len(mine) <= FEW:
            try:
                with uow.begin_nested():
                    _tell_at_once(uow, name, mine)
                    uow.flush()
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is: the outbox tries again, and parks what cannot be handled
                log.info("facts are handed over later", extra={"reason": repr(error)[:500]})
        for one in mine:
            _queue(uow, one.entry.id, one.subscriber, one.correlation)


def _tell_at_once(uow: UnitOfWork, name: str, told: Sequence[_Told]) -> None:
    if name in _at_once:
        _at_once[name](uow, [one.entry for one in told])
        return
    for one in told:
        with telemetry.doing(KIND.name, one.correlation):
            _each_at_once[name](uow, one.entry)


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
        about=[
            select(OutboxRow.id, JournalRef.kind, JournalRef.ref_id).join(
                JournalRef, JournalRef.entry == OutboxRow.entry
            )
        ],
    )
)
