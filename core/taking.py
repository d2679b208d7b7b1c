"""The statements that find and take due rows of a kind of work."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, bindparam, select, update

from core import db, lanes
from core.types import Instant

if TYPE_CHECKING:
    from core.work import WorkKind


@lru_cache(maxsize=64)  # building these takes longer than asking them
def any_due(kind: "WorkKind") -> Any:
    """Finds one due row."""
    return select(kind.model.id).where(*lanes.is_due(kind.model, db.moment(told=True))).limit(1)


# Their parameters are named like no column: those would be written.
@lru_cache(maxsize=256)
def taking(kind: "WorkKind", of_lane: str, *, told: bool, busy: bool) -> Any:
    """Takes due rows: of any lane, of the one that is named, or those without a lane; none that are busy here."""
    model, at = kind.model, db.moment(told=told)
    until = bindparam("the_until", type_=Instant) if told else at + kind.lease
    which = [*lanes.is_due(model, at)]
    if of_lane != "any" and kind.lane is not None:
        lane = getattr(model, kind.lane)
        which.append(lane == bindparam("the_lane") if of_lane == "named" else lane.is_(None))
    if busy:
        which.append(model.id.not_in(bindparam("the_busy", expanding=True)))
    picked = (
        select(model.id)
        .where(*which)
        .order_by(model.due_at)
        .limit(bindparam("the_limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    return (
        update(model)
        .where(model.id.in_(select(picked.c.id)))
        .values(lease_until=until, fence=model.fence + 1, attempts=model.attempts + 1)
        .returning(model.id, model.fence, model.attempts, model.correlation, at.label("at"))
        .execution_options(synchronize_session=False)
    )
