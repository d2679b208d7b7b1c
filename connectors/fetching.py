"""Notices that a block list is no longer fetched, and that it is again: what nobody fetches blocks nothing new."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from connectors import facts
from connectors.models import BlocklistEntry, BlocklistFeed, ConnectorInstance
from core import work
from core.actors import SYSTEM
from core.db import UnitOfWork, unit_of_work
from core.journal import Fact, record
from core.types import Ref

LEAST = timedelta(minutes=15)
TIMES = 3
ONE_LOOK = timedelta(minutes=1)  # requests closer together are one: pairs of firewalls, attempts repeated
_KEPT = 0.7  # of the usual interval, when another has been seen


def patience(every_seconds: int) -> timedelta:
    """How long a list may go unfetched: three times its usual interval, at least a quarter of an hour."""
    return max(LEAST, TIMES * timedelta(seconds=every_seconds))


def usual(every_seconds: int | None, gap: timedelta) -> int | None:
    """The usual interval in seconds once another has been seen; the newer ones weigh more."""
    if gap < ONE_LOOK:
        return every_seconds
    seen = gap.total_seconds()
    return round(seen if every_seconds is None else _KEPT * every_seconds + (1 - _KEPT) * seen)


def heard(uow: UnitOfWork, feed: BlocklistFeed) -> None:
    """The list is being fetched: learn its interval, end an alarm, set the next. To be called before the time is noted.

    A list fetched once, by its operator perhaps, has no interval yet and raises no alarm.
    """
    if feed.silent_since is not None:
        forget(uow, feed)
    elif feed.fetched_at is not None:
        feed.every_seconds = usual(feed.every_seconds, uow.now - feed.fetched_at)
    if feed.every_seconds is not None:
        feed.due_at = uow.now + patience(feed.every_seconds)


def forget(uow: UnitOfWork, feed: BlocklistFeed) -> None:
    """End a list's alarm, if there is one: it is fetched again, or nobody is to fetch it any more."""
    feed.due_at = None
    if feed.silent_since is None:
        return
    record(uow, SYSTEM, Fact(facts.FEED_HEARD, (_ref(feed),), _told(feed)))
    feed.silent_since = None
    _show(uow)


def silent_feeds(session: Session) -> list[str]:
    """The names of the lists that are no longer fetched."""
    missed = select(BlocklistFeed.name).where(BlocklistFeed.silent_since.is_not(None))
    return list(session.scalars(missed.order_by(BlocklistFeed.name)))


def silent(uow: UnitOfWork, feed: BlocklistFeed) -> None:
    """The list should have been fetched long ago: say so once."""
    listed = uow.scalar(
        select(func.count())
        .select_from(BlocklistEntry)
        .where(BlocklistEntry.kind == feed.kind, BlocklistEntry.removed_at.is_(None))
        .where(or_(BlocklistEntry.expires_at.is_(None), BlocklistEntry.expires_at > uow.now))
    )
    feed.silent_since = uow.now
    record(uow, SYSTEM, Fact(facts.FEED_SILENT, (_ref(feed),), {**_told(feed), "listed": listed or 0}))
    _show(uow)


def _told(feed: BlocklistFeed) -> Mapping[str, Any]:
    last = feed.fetched_at.isoformat() if feed.fetched_at else None
    return {
        "name": feed.name,
        "kind": feed.kind,
        "by": feed.fetched_by,
        "last": last,
        "every": feed.every_seconds,
    }


def _show(uow: UnitOfWork) -> None:
    """The block list, as a product, does not answer as long as one of its lists is not fetched."""
    uow.flush()
    names = silent_feeds(uow)
    note = f"No longer fetched: {', '.join(names)}. See whether who fetches it still can." if names else ""
    uow.execute(
        update(ConnectorInstance)
        .where(ConnectorInstance.connector == "blocklist")
        .values(health="failing" if names else "ok", health_note=note or None, health_at=uow.now)
    )


def _ref(feed: BlocklistFeed) -> Ref:
    return Ref("feed", str(feed.id))


def _handle(claims: list[work.Claim]) -> None:
    """A list that was fetched in the meantime is looked at again when it is next late."""
    for claim in claims:
        with unit_of_work() as uow:
            feed = uow.get(BlocklistFeed, claim.id, with_for_update=True)
            late = None
            if feed is not None and feed.disabled_at is None and feed.silent_since is None:
                late = (feed.fetched_at or feed.created_at) + patience(feed.every_seconds or 0)
            if feed is not None and late is not None and late <= uow.now:
                silent(uow, feed)
                late = None
            uow.flush()
            if late is None:
                work.finish(uow, KIND, claim)
            else:
                work.later(uow, KIND, claim, late)


KIND = work.register(work.WorkKind("connectors.fetching", BlocklistFeed, _handle, concurrency=1))
