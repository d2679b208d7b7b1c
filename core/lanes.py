"""Keeps one slow far end from holding every worker: says which lane is taken next, and counts what is in hand of each."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

if TYPE_CHECKING:
    from core.work import WorkKind


class Lane(NamedTuple):
    """The rows of one kind of work that wait for the same far end (a product, a mail server); None: for none."""

    name: str | None


_lock = threading.Lock()
_in_hand: dict[tuple[str, Lane], int] = {}  # batches being handled in this process


def is_due(model: Any, at: datetime) -> list[ColumnElement[bool]]:
    """The conditions under which a row may be taken at `at`: it is due, and nobody holds its lease."""
    return [
        model.due_at.is_not(None),
        model.due_at <= at,
        (model.lease_until.is_(None)) | (model.lease_until <= at),
    ]


def waiting(session: Session, kind: "WorkKind", at: datetime) -> list[Lane]:
    """The lanes that have something due, the one that has waited longest first.

    Jumps from lane to lane through their index: what one lane has waiting costs nothing when another is looked for.
    """
    model = kind.model
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
    found = [
        (since, Lane(lane))
        for lane, since in session.execute(select(jump.c.lane, of_lane).where(jump.c.lane.is_not(None)))
        if since is not None
    ]
    nowhere = session.scalar(oldest.where(getattr(row, kind.lane or "").is_(None)))
    if nowhere is not None:
        found.append((nowhere, Lane(None)))
    return [lane for _, lane in sorted(found, key=lambda one: one[0])]


@contextmanager
def entered(kind: "WorkKind", lanes: list[Lane]) -> Iterator[Lane | None]:
    """Hold a place in one of these lanes for the length of the block: in the emptiest, of equals the first.

    None when each has as many batches in hand as the kind allows.
    """
    with _lock:
        free = [lane for lane in lanes if _in_hand.get((kind.name, lane), 0) < kind.lane_batches]
        lane = min(free, key=lambda one: _in_hand.get((kind.name, one), 0), default=None)
        if lane is not None:
            _in_hand[kind.name, lane] = _in_hand.get((kind.name, lane), 0) + 1
    try:
        yield lane
    finally:
        if lane is not None:
            with _lock:
                _in_hand[kind.name, lane] -= 1
                if not _in_hand[kind.name, lane]:
                    del _in_hand[kind.name, lane]
