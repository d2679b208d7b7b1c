"""Who read what: files that left the record and what was sent to us, kept apart from the journal and for a time of its own."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Index, Text, Uuid, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import logs, retention
from core.actors import Actor
from core.auth.permissions import declare
from core.db import Base, UnitOfWork, database_now, reading, unit_of_work
from core.ids import new_id
from core.retention import Old
from core.types import Instant, Ref

READ_ACCESS = declare("access.read", "See who read what", ("manager", "auditor"))


class Access(Base):
    """One reading: who, what, how. `within` is the thing whose readers may know of it (an incident, mostly)."""

    __tablename__ = "access_log"
    __table_args__ = (Index("ix_access_log_thing", "thing_kind", "thing_id", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(Instant)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    actor_name: Mapped[str] = mapped_column(Text)
    doing: Mapped[str] = mapped_column(Text)
    thing_kind: Mapped[str] = mapped_column(Text)
    thing_id: Mapped[str] = mapped_column(Text)
    thing_name: Mapped[str] = mapped_column(Text)
    within: Mapped[UUID | None] = mapped_column(Uuid)
    correlation: Mapped[str | None] = mapped_column(Text)


def note(actor: Actor, doing: str, thing: Ref, name: str, *, within: UUID | None = None) -> None:
    """Write down, before it is handed out, that somebody reads something; `doing` is a word such as "downloaded".

    It stands when this returns: what cannot be written down is not handed out.
    """
    with unit_of_work() as uow:
        add(uow, actor, doing, thing, name, within=within)


def note_once(
    actor: Actor, doing: str, thing: Ref, name: str, *, within: UUID | None = None, every: timedelta = timedelta(hours=1)
) -> None:
    """The same for what a page shows again and again while it is open: one line in `every`, of one reader and thing."""
    with reading() as session:
        again = select(Access.id).where(
            Access.thing_kind == thing.kind, Access.thing_id == thing.id, Access.doing == doing,
            Access.actor_kind == str(actor.kind), Access.actor_id == actor.id, Access.at > database_now(session) - every,
        )  # fmt: skip
        if session.scalar(again.limit(1)) is not None:
            return
    note(actor, doing, thing, name, within=within)


def add(
    uow: UnitOfWork, actor: Actor, doing: str, thing: Ref, name: str, *, within: UUID | None = None
) -> None:
    """The same as a part of a transaction."""
    row = Access(
        at=uow.now, actor_kind=str(actor.kind), actor_id=actor.id, actor_name=actor.name, doing=doing,
        thing_kind=thing.kind, thing_id=thing.id, thing_name=name[:300], within=within, correlation=logs.tied_to(),
    )  # fmt: skip
    uow.add(row)


def log(
    session: Session, *conditions: ColumnElement[bool], before: UUID | None = None, limit: int = 50
) -> list[Access]:
    """Readings that fit, newest first; the next page is `before=` the last one's id."""
    query = select(Access).where(*conditions).order_by(Access.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Access.id < before)
    return list(session.scalars(query))


def _may_go(before: datetime) -> Sequence[ColumnElement[bool]]:
    return [Access.at < before]


ACCESSES = retention.declare(
    Old(
        "access log",
        lambda given: given.keep_access,
        retention.by_age(Access, _may_go),
        retention.rows(Access, _may_go),
    )
)
