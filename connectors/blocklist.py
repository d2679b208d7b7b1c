"""The block list we publish: values that firewalls, resolvers and proxies fetch as plain text, each for a time."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from connectors import applied, facts, fetching
from connectors.contract import ActionFailed
from connectors.models import ActionCall, BlocklistEntry, BlocklistFeed, ConnectorInstance
from connectors.permissions import MANAGE_CONNECTORS
from core import logs
from core.actors import SYSTEM, Actor
from core.auth import permissions
from core.db import UnitOfWork, database_now, reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Problem, Unavailable
from core.ids import secret_token, token_digest
from core.journal import Fact, record
from core.settings import settings
from core.types import Ref

log = logs.get(__name__)

INSTANCE = "blocklist"
KINDS = ("ip", "domain", "url")
MOST_ENTRIES = 10_000  # more than this many firewalls refuse, or cut
STALE_AFTER = timedelta(minutes=30)


@dataclass(frozen=True)
class Published:
    """A list as it is served: its text, when it last changed, and a strong ETag."""

    text: str
    last_modified: datetime
    etag: str


class Port:
    """What the block-list product may do with our rows; lent to it by the door."""

    def add(self, kind: str, value: str, key: str) -> bool:
        """List a value for as long as its call says; False when it was listed already. Raises ActionFailed when full."""
        with unit_of_work() as uow:
            return _add(uow, kind, value, key)

    def remove(self, kind: str, value: str) -> bool:
        """Take a value off the list; False when it was not on it."""
        with unit_of_work() as uow:
            rows = uow.scalars(
                select(BlocklistEntry).where(
                    BlocklistEntry.kind == kind,
                    BlocklistEntry.value == value,
                    BlocklistEntry.removed_at.is_(None),
                )
            ).all()
            for row in rows:
                row.removed_at = uow.now
            return bool(rows)

    def state(self, kind: str, value: str) -> dict[str, bool]:
        """Whether a value is listed, and whether anybody has fetched the list since."""
        with reading() as session:
            standing = _standing(database_now(session))
            row = session.scalar(
                select(BlocklistEntry).where(
                    BlocklistEntry.kind == kind, BlocklistEntry.value == value, *standing
                )
            )
        return {"listed": row is not None, "fetched": row is not None and row.fetched_at is not None}


def _add(uow: UnitOfWork, kind: str, value: str, key: str) -> bool:
    seconds = uow.scalar(select(ActionCall.undo_after_seconds).where(ActionCall.key == key))
    until = uow.now + timedelta(seconds=seconds) if seconds else None
    there = uow.scalar(
        select(BlocklistEntry)
        .where(
            BlocklistEntry.kind == kind, BlocklistEntry.value == value, BlocklistEntry.removed_at.is_(None)
        )
        .with_for_update()
    )
    if there is not None and (there.expires_at is None or there.expires_at > uow.now):
        if until is None or (there.expires_at is not None and until > there.expires_at):
            there.expires_at = until
        return False
    if there is not None:
        there.removed_at = there.expires_at
        uow.flush()
    counted = select(func.count()).select_from(BlocklistEntry)
    listed = uow.scalar(counted.where(BlocklistEntry.kind == kind, *_standing(uow.now))) or 0
    if listed >= MOST_ENTRIES:
        raise ActionFailed(
            f"The block list holds {listed} values, the most it may; take some off first.", done=False
        )
    uow.add(BlocklistEntry(kind=kind, value=value, key=key, expires_at=until, created_at=uow.now))
    return True


# ------------------------------------------------------------------------------------------------ feeds


def create_feed(uow: UnitOfWork, actor: Actor, *, name: str, kind: str) -> tuple[BlocklistFeed, str]:
    """A new feed and its address, which is shown this once: the token in it is kept only as a digest.

    With the first feed the block list can be used by playbooks (`network.block_ip`…).
    """
    permissions.require(actor, MANAGE_CONNECTORS.name)
    if kind not in KINDS:
        raise Invalid("A feed lists one of ip, domain, url.", [Problem("kind", kind)])
    if not name.strip():
        raise Invalid("Give the feed a name that says who fetches it.", [Problem("name", "empty")])
    if uow.scalar(select(BlocklistFeed.id).where(BlocklistFeed.name == name)) is not None:
        raise Conflict(f"There is already a feed named {name}.")
    token = secret_token()
    feed = BlocklistFeed(name=name.strip()[:64], kind=kind, digest=token_digest(token), created_at=uow.now)
    uow.add(feed)
    if uow.scalar(select(ConnectorInstance.id).where(ConnectorInstance.connector == INSTANCE)) is None:
        uow.add(ConnectorInstance(name=INSTANCE, connector=INSTANCE, settings={}, created_at=uow.now))
    uow.flush()
    record(
        uow, actor, Fact(facts.FEED_CHANGED, (_ref(feed),), {"name": name, "kind": kind, "change": "added"})
    )
    return feed, f"{settings().base_url}/feeds/{token}.txt"


def disable_feed(uow: UnitOfWork, actor: Actor, feed_id: UUID) -> None:
    """Answer this feed's address no more."""
    permissions.require(actor, MANAGE_CONNECTORS.name)
    feed = uow.get(BlocklistFeed, feed_id)
    if feed is None:
        raise NotFound("There is no such feed.")
    feed.disabled_at = uow.now
    fetching.forget(uow, feed)
    record(uow, actor, Fact(facts.FEED_CHANGED, (_ref(feed),), {"name": feed.name, "change": "disabled"}))


def feeds(session: Session) -> Sequence[BlocklistFeed]:
    """Every feed, by name."""
    return session.scalars(select(BlocklistFeed).order_by(BlocklistFeed.name)).all()


def entries(session: Session, kind: str | None = None) -> Sequence[BlocklistEntry]:
    """What is listed now, newest first."""
    now = database_now(session)
    query = select(BlocklistEntry).where(*_standing(now)).order_by(BlocklistEntry.id.desc())
    return session.scalars(query.where(BlocklistEntry.kind == kind) if kind else query).all()


def find_feed(session: Session, token: str) -> BlocklistFeed:
    """The feed at this token. Raises NotFound."""
    feed = session.scalar(
        select(BlocklistFeed).where(
            BlocklistFeed.digest == token_digest(token), BlocklistFeed.disabled_at.is_(None)
        )
    )
    if feed is None:
        raise NotFound("No block list is published at this address.")
    return feed


def render(session: Session, feed: BlocklistFeed) -> Published:
    """The feed's text: one value a line, sorted, as firewalls' external lists want it."""
    now = database_now(session)
    values = session.scalars(
        select(BlocklistEntry.value)
        .where(BlocklistEntry.kind == feed.kind, *_standing(now))
        .limit(MOST_ENTRIES)
    )
    text = "".join(f"{value}\n" for value in sorted(values))
    changes = session.execute(
        select(
            func.max(BlocklistEntry.created_at),
            func.max(BlocklistEntry.removed_at),
            func.max(BlocklistEntry.expires_at).filter(BlocklistEntry.expires_at <= now),
        ).where(BlocklistEntry.kind == feed.kind)
    ).one()
    changed = max([feed.created_at, *(at for at in changes if at is not None)])
    return Published(
        text, changed.replace(microsecond=0), f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    )


def fetched(uow: UnitOfWork, feed_id: UUID, by: str, up_to: datetime) -> None:
    """Somebody has fetched the list as it stood at `up_to`: what it held is in force from now on."""
    feed = uow.get(BlocklistFeed, feed_id, with_for_update=True)
    if feed is None:
        return
    fetching.heard(uow, feed)
    feed.fetched_at, feed.fetched_by = uow.now, by[:200]
    new = uow.scalars(
        update(BlocklistEntry)
        .where(BlocklistEntry.kind == feed.kind, *_standing(uow.now))
        .where(BlocklistEntry.fetched_at.is_(None), BlocklistEntry.created_at <= up_to)
        .values(fetched_at=uow.now)
        .returning(BlocklistEntry.value)
        .execution_options(synchronize_session=False)
    ).all()
    if new:
        body = {"name": feed.name, "by": by[:200], "new": len(new)}
        record(uow, SYSTEM, Fact(facts.FEED_FETCHED, (_ref(feed),), body))
    listed = select(BlocklistEntry.value).where(BlocklistEntry.kind == feed.kind, *_standing(uow.now))
    applied.fetched(uow, f"{INSTANCE}.block_{feed.kind}", listed.where(BlocklistEntry.created_at <= up_to))


MOST_REMEMBERED = 50  # lists, for the time that the database is away
_last_good: dict[bytes, tuple[UUID, Published]] = {}


def serve(token: str, by: str) -> Published:
    """The list for one who fetches it, noting that it was fetched. Blocks.

    When it cannot be made, the last good one is served, never an empty one. Raises NotFound, Unavailable.
    """
    digest = token_digest(token)
    try:
        with reading() as session:
            feed = find_feed(session, token)
            at = database_now(session)
            published = render(session, feed)
        with unit_of_work() as uow:
            fetched(uow, feed.id, by, at)
    except NotFound:
        _last_good.pop(digest, None)
        raise
    except (OperationalError, Unavailable) as error:
        log.error("the block list could not be made", extra={"reason": repr(error)})
        if digest in _last_good:
            return _last_good[digest][1]
        raise Unavailable(
            "The block list cannot be made just now; keep the one you have.", retry_after=30
        ) from error
    _last_good.pop(digest, None)
    _last_good[digest] = (feed.id, published)
    while len(_last_good) > MOST_REMEMBERED:  # the one that was fetched longest ago
        _last_good.pop(next(iter(_last_good)), None)
    return published


def _standing(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        BlocklistEntry.removed_at.is_(None),
        or_(BlocklistEntry.expires_at.is_(None), BlocklistEntry.expires_at > now),
    )


def _ref(feed: BlocklistFeed) -> Ref:
    return Ref("feed", str(feed.id))
