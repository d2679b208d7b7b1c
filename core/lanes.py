"""Keeps one slow far end from holding every worker: says which lane is taken next, and counts what is in hand of each."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select, union_all
from sqlalchemy.orm import aliased

from core import db

if TYPE_CHECKING:
    from core.work import WorkKind


class Lane(NamedTuple):
    """The rows of one kind of work that wait for the same far end (a product, a mail server); None: for none."""

    name: str | None


@dataclass
class Place:
    """A batch's place in a lane: it has room for so many rows more of this far end."""

    lane: Lane
    room: int


@dataclass
class _InHand:
    """What this process has in hand of one lane."""

    batches: int = 0
    rows: int = 0


_lock = threading.Lock()
_in_hand: dict[tuple[str, Lane], _InHand] = {}
_mine = threading.local()  # the place of the batch that this thread handles, and the kind it looks for
_looking: dict[str, bool] = {}  # kinds whose rows somebody gathers a batch of; True: somebody else came meanwhile


def is_due(model: Any, at: Any) -> list[ColumnElement[bool]]:
    """The conditions under which a row may be taken at `at`: it is due, and nobody holds its lease."""
    return [
        model.due_at.is_not(None),
        model.due_at <= at,
        (model.lease_until.is_(None)) | (model.lease_until <= at),
    ]


def waiting(kind: "WorkKind") -> list[Lane]:
    """The lanes that have something due, the one that has waited longest first."""
    at = db.present()
    found = db.look(_waiting(kind, told=bool(at)), at)
    return [Lane(name) for name, since in sorted(found, key=lambda one: one[1])]


@lru_cache(maxsize=64)  # building it takes longer than asking it
def _waiting(kind: "WorkKind", *, told: bool) -> Select[Any]:
    """Each lane with something due, and since when.

    Jumps from lane to lane through their index: what one lane has waiting costs nothing when another is looked for.
    """
    model, at = kind.model, db.moment(told=told)
    column = getattr(model, kind.lane or "")
    lanes = select(column.label("lane")).where(model.due_at.is_not(None), column.is_not(None))
    first = lanes.order_by(column).limit(1).subquery()
    jump = select(first.c.lane).cte("lanes", recursive=True)
    following = aliased(model)
    name = getattr(following, kind.lane or "")
    after = select(name).where(following.due_at.is_not(None), name > jump.c.lane).order_by(name).limit(1)
    jump = jump.union_all(select(after.scalar_subquery()).where(jump.c.lane.is_not(None)))

    row = aliased(model)
    oldest = select(row.due_at).where(*is_due(row, at)).order_by(row.due_at).limit(1)
    of_lane = oldest.where(getattr(row, kind.lane or "") == jump.c.lane).scalar_subquery()
    bare = getattr(row, kind.lane or "")
    nowhere = select(bare.label("lane"), row.due_at.label("since")).where(*is_due(row, at), bare.is_(None))
    both = union_all(
        select(jump.c.lane.label("lane"), of_lane.label("since")).where(jump.c.lane.is_not(None)),
        select(nowhere.order_by(row.due_at).limit(1).subquery()),
    ).subquery()
    return select(both.c.lane, both.c.since).where(both.c.since.is_not(None))


@contextmanager
def gathering(kind: "WorkKind") -> Iterator[bool]:
    """Be the only one of this process who gathers a batch of this kind, until begun(); False: somebody else is.

    What becomes due meanwhile is gathered together afterwards: a batch of eight costs hardly more than one of one.
    """
    with _lock:
        free = kind.name not in _looking
        _looking[kind.name] = not free
    if not free:
        yield False
        return
    around = getattr(_mine, "gathers", None)
    _mine.gathers = kind.name
    try:
        yield True
    finally:
        begun()
        _mine.gathers = around


def begun() -> None:
    """The batch that this thread gathered is on its way: others may gather the next one."""
    name = getattr(_mine, "gathers", None)
    if name is None:
        return
    _mine.gathers = None
    with _lock:
        again = _looking.pop(name)
    if again:
        from core import queue  # it drains kinds of work, which look for their lanes here

        queue.wake(name)


@contextmanager
def entered(kind: "WorkKind", lanes: list[Lane]) -> Iterator[Place | None]:
    """Hold a place in one of these lanes for the length of the block: in the emptiest, of equals the first.

    None when each has as much in hand as the kind allows.
    """
    with _lock:
        place = _place(kind, lanes)
    around = getattr(_mine, "place", None)
    _mine.place = (kind, place)
    try:
        yield place
    finally:
        _mine.place = around
        if place is not None:
            with _lock:
                _give_back(kind, place.lane, place.room, batches=1)
                place.room = 0


def claimed(rows: int) -> None:
    """The batch of this thread is of so many rows: the room it does not need is for others."""
    _leave(lambda place: place.room - rows)


def ended(rows: int) -> None:
    """So many rows of the batch of this thread are over, though others of it go on: their far end has room again."""
    _leave(lambda place: min(rows, place.room))


def _leave(how_much: Any) -> None:
    kind, place = getattr(_mine, "place", None) or (None, None)
    if kind is None or place is None:
        return
    with _lock:
        rows = max(how_much(place), 0)
        place.room -= rows
        _give_back(kind, place.lane, rows, batches=0)


def _place(kind: "WorkKind", lanes: list[Lane]) -> Place | None:
    def taken(lane: Lane) -> _InHand:
        return _in_hand.get((kind.name, lane), _InHand())

    def room(lane: Lane) -> int:
        return kind.batch if kind.lane_rows is None else min(kind.batch, kind.lane_rows - taken(lane).rows)

    free = [lane for lane in lanes if taken(lane).batches < kind.lane_batches and room(lane) > 0]
    lane = min(free, key=lambda one: taken(one).batches, default=None)
    if lane is None:
        return None
    place = Place(lane, room(lane))
    mine = _in_hand.setdefault((kind.name, lane), _InHand())
    mine.batches += 1
    mine.rows += place.room
    return place


def _give_back(kind: "WorkKind", lane: Lane, rows: int, *, batches: int) -> None:
    mine = _in_hand[kind.name, lane]
    mine.rows -= rows
    mine.batches -= batches
    if not mine.batches:
        del _in_hand[kind.name, lane]
