"""The in-app inbox: puts items in, marks them read."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from core import live
from core.actors import Actor
from core.auth.models import User
from core.db import UnitOfWork, unit_of_work
from core.types import Ref
from notify.contract import Outgoing, Undeliverable
from notify.models import InboxItem


def put(outgoing: Outgoing, user_id: UUID) -> None:
    """The port that the inbox channel is given: one item per sending, in a transaction of its own."""
    with unit_of_work() as uow:
        if uow.get(User, user_id) is None:
            raise Undeliverable("This user no longer exists.", permanent=True)
        if uow.scalar(select(InboxItem.id).where(InboxItem.attempt == outgoing.id)) is not None:
            return
        text = "\n".join([outgoing.text, *outgoing.items]).strip()
        uow.add(
            InboxItem(
                created_at=uow.now,
                user_id=user_id,
                attempt=outgoing.id,
                kind=outgoing.kind,
                title=outgoing.title,
                text=text,
                link=outgoing.link,
                severity=outgoing.severity,
            )
        )
        uow.after_commit(lambda: live.publish((Ref("user", str(user_id)),)))


def items(session: Session, user_id: UUID, *, before: UUID | None = None, limit: int = 50) -> list[InboxItem]:
    """A person's items, newest first; the next page is `before=` the last one's id."""
    query = select(InboxItem).where(InboxItem.user_id == user_id)
    if before is not None:
        query = query.where(InboxItem.id < before)
    return list(session.scalars(query.order_by(InboxItem.id.desc()).limit(limit)))


def unread(session: Session, user_id: UUID) -> int:
    """How many items the person has not read."""
    return session.scalar(select(func.count()).select_from(unread_of(user_id).subquery())) or 0


def unread_of(user_id: UUID | None) -> Select[UUID]:
    """The items that the person has not read."""
    return select(InboxItem.id).where(InboxItem.user_id == user_id, InboxItem.read_at.is_(None))


def mark_read(uow: UnitOfWork, actor: Actor, ids: Sequence[UUID] | None = None) -> int:
    """Mark one's own items (all with None) as read; returns how many were not (not journalled)."""
    change = update(InboxItem).where(InboxItem.user_id == actor.user_id, InboxItem.read_at.is_(None))
    if ids is not None:
        change = change.where(InboxItem.id.in_(ids))
    result = uow.execute(change.values(read_at=uow.now).returning(InboxItem.id))
    uow.after_commit(lambda: live.publish((Ref("user", actor.id),)))
    return len(result.all())
