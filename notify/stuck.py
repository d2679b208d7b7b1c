"""Pages somebody when work has been set aside: once for all of it, and not again and again."""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import select

from core import backlog, logs
from core.actors import SYSTEM
from core.db import UnitOfWork
from core.errors import NotFound
from core.parked import Parked, parked
from core.types import Ref, Severity
from notify import delivery
from notify.models import Page, PageState

log = logs.get(__name__)

POLICY = "stuck work"
"""The escalation policy that such pages follow; without one of this name, the default one."""
PATIENCE = timedelta(seconds=60)
"""How long somebody who looks at the list has, before others are told."""
BETWEEN = timedelta(minutes=30)
"""Two such pages are at least this far apart, however much is set aside."""
SUBJECT = Ref("work", "parked")


def page_for_parked(uow: UnitOfWork) -> int:
    """Page for what was set aside since the last such page; end that one when nothing is left. Returns 1 if it paged.

    One page at a time: while nobody has acknowledged it, it escalates by itself.
    """
    rows = parked(uow)
    if not rows:
        delivery.close(uow, SYSTEM, SUBJECT)
        return 0
    last = _last(uow)
    if not due(rows[0].parked_at, uow.now, last.created_at if last else None, last.state if last else None):
        return 0
    delivery.close(uow, SYSTEM, SUBJECT)
    total = sum(one.parked for one in backlog.counts(uow))
    said = "1 piece of work is stuck" if total == 1 else f"{total} pieces of work are stuck"
    try:
        delivery.page(
            uow, SYSTEM, policy=POLICY, subject=SUBJECT, title=said, message=_message(rows),
            severity=Severity.medium, path="/settings/work",
        )  # fmt: skip
    except NotFound as error:
        log.warning("nobody can be paged for stuck work", extra={"reason": error.message})
        return 0
    return 1


def due(newest: datetime, now: datetime, last: datetime | None, state: str | None) -> bool:
    """Whether to page for work that was set aside, the latest at `newest`; `last` and `state` are of the last such page."""
    if newest > now - PATIENCE:
        return False
    if last is None:
        return True
    return newest > last and state != PageState.waiting and last <= now - BETWEEN


def _last(uow: UnitOfWork) -> Page | None:
    query = select(Page).where(Page.subject_kind == SUBJECT.kind, Page.subject_id == SUBJECT.id)
    return uow.scalar(query.order_by(Page.created_at.desc(), Page.id.desc()).limit(1))


def _message(rows: list[Parked]) -> str:
    kinds = ", ".join(f"{times} × {kind}" for kind, times in Counter(row.kind for row in rows).most_common(4))
    return f"{kinds}.\nThe last one: {rows[0].error[:200]}"
