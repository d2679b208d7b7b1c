"""Gives each call its turn at a product: no more calls in a time than it takes, in all processes together, and none while it rests.

A call that has its turn is a row; whether there is room is a question to those rows, asked under a lock on the product. Who
finds no room is told when to look again, one after another, so that a thousand who wait cost no more than their turns.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Update, delete, func, select, update
from sqlalchemy.orm import Session

from connectors import rates, registry
from connectors.contract import Rate
from connectors.models import INTENDED, ActionCall, ConnectorInstance, ConnectorUse
from connectors.products import Heard
from core import metrics
from core.db import UnitOfWork, database_now
from core.ids import new_id

WAITS = metrics.counter(
    "tocsin_call_waits_total",
    "Times that a call had to wait: for the limit we keep, or because the product asked for it.",
    "product",
    "because",
)

MOST = {True: timedelta(hours=24), False: timedelta(hours=1)}
"""How long what acts (True), and what only reads, may wait for its turn; then it has failed."""
UNTOLD = 30.0  # seconds of rest for a product that says "too many" and not how long
_APART = timedelta(seconds=0.25)  # between calls that waited for a product of which no limit is known


@dataclass(frozen=True)
class Wait:
    """No turn now: look again at `until`; `why` is a sentence. `lost`: there is none in the time that it may wait."""

    until: datetime
    why: str
    lost: bool


def of(instance: ConnectorInstance) -> tuple[Rate, ...]:
    """The limits of a configured product: its own, else those of its file."""
    return rates.read(instance.rate) if instance.rate is not None else registry.get(instance.connector).rates


def known(instance: ConnectorInstance) -> bool:
    """Whether this product has a limit or rests, so that a call of it must ask for its turn."""
    return instance.paused_until is not None or bool(of(instance))


def resting(session: Session, instances: Iterable[UUID]) -> set[UUID]:
    """Those of these products that rest, or did: what another worker has heard since they were read."""
    asked = ConnectorInstance.id.in_(list(instances)), ConnectorInstance.paused_until.is_not(None)
    return set(session.scalars(select(ConnectorInstance.id).where(*asked)))


def ask(uow: UnitOfWork, instance_id: UUID, *, acts: bool, since: datetime | None) -> Wait | None:
    """Take a turn at the product now (None), or hear when to look again.

    What `acts` goes before what only reads. `since`: when this call was first told to wait; None: it comes for the first
    time and does not overtake those who wait.
    """
    row = uow.execute(select(ConnectorInstance).where(ConnectorInstance.id == instance_id).with_for_update()
                      .execution_options(populate_existing=True)).scalar_one()  # fmt: skip
    limits, now = of(row), uow.now
    free = max((_free_at(uow, instance_id, limit, now) for limit in limits), default=now)
    resting = row.paused_until is not None and row.paused_until > now
    if resting and row.paused_until is not None:
        free = max(free, row.paused_until)
    overtakes = not acts and since is None and row.line_until is not None and row.line_until > now
    if free <= now and not overtakes:
        _use(uow, instance_id, limits)
        return None
    step = min((limit.per / limit.calls for limit in limits), default=_APART)
    until = max(free, now)
    if not acts:
        last = row.line_until if since is None else row.again_until
        until = max(until, last + step) if last is not None else until
    why = _why(row, limits, resting=resting)
    lost = until - (since or now) > MOST[acts]
    if not acts and not lost:
        column = "line_until" if since is None else "again_until"
        uow.execute(_changed(instance_id).values({column: until}))
    uow.after_commit(lambda: WAITS.add(row.connector, "product" if resting else "limit"))
    return Wait(until, f"It waits for its turn: {why}.", lost)


def foresee(session: Session, row: ConnectorInstance) -> Wait | None:
    """Whether a call that acts would find no room at the product now, and when it would; nothing is written."""
    limits, now = of(row), database_now(session)
    free = max((_free_at(session, row.id, limit, now) for limit in limits), default=now)
    resting = row.paused_until is not None and row.paused_until > now
    if resting and row.paused_until is not None:
        free = max(free, row.paused_until)
    return Wait(free, _why(row, limits, resting=resting), lost=False) if free > now else None


def _why(row: ConnectorInstance, limits: tuple[Rate, ...], *, resting: bool) -> str:
    return f"{row.name} asked to be left alone for a while" if resting else f"{row.name} takes {rates.told(limits)}"


def heard(uow: UnitOfWork, instance_id: UUID, said: Heard, *, counted: int = 1) -> None:
    """Count what a call has sent besides the `counted` requests it had its turn for, and let the product rest if it asks."""
    row = uow.get_one(ConnectorInstance, instance_id)
    more = said.requests - counted
    if more > 0 and (limits := of(row)):
        _use(uow, instance_id, limits, more)
    if said.limited:
        until = uow.now + timedelta(seconds=said.wait if said.wait is not None else UNTOLD)
        rests = (ConnectorInstance.paused_until.is_(None)) | (ConnectorInstance.paused_until < until)
        uow.execute(_changed(instance_id).where(rests).values(paused_until=until))


def begin_anew(uow: UnitOfWork, row: ConnectorInstance) -> None:
    """The limit was changed: forget rest and line, and let those who wait ask again."""
    row.paused_until = row.line_until = row.again_until = None
    waiting = (
        ActionCall.instance_id == row.id,
        ActionCall.state == INTENDED,
        ActionCall.lease_until.is_(None),
    )
    uow.execute(
        update(ActionCall)
        .where(*waiting, ActionCall.limited_since.is_not(None), ActionCall.due_at > uow.now)
        .values(due_at=uow.now)
        .execution_options(synchronize_session=False)
    )
    uow.wake("connectors.calls")


def waiting(session: Session) -> dict[UUID, int]:
    """How many calls wait for their turn, by product."""
    of_each = (
        select(ActionCall.instance_id, func.count())
        .where(ActionCall.due_at.is_not(None), ActionCall.state == INTENDED)
        .where(ActionCall.limited_since.is_not(None))
        .group_by(ActionCall.instance_id)
    )
    return {instance: number for instance, number in session.execute(of_each) if instance is not None}


def _changed(instance_id: UUID) -> Update:
    return (
        update(ConnectorInstance)
        .where(ConnectorInstance.id == instance_id)
        .execution_options(synchronize_session=False)
    )


def _free_at(session: Session, instance_id: UUID, limit: Rate, now: datetime) -> datetime:
    """When one more call is within this limit: the present, or when the oldest of the last ones no longer counts."""
    oldest = session.scalar(
        select(ConnectorUse.at)
        .where(ConnectorUse.instance_id == instance_id)
        .order_by(ConnectorUse.at.desc())
        .offset(limit.calls - 1)
        .limit(1)
    )
    return max(oldest + limit.per, now) if oldest is not None else now


def _use(uow: UnitOfWork, instance_id: UUID, limits: tuple[Rate, ...], number: int = 1) -> None:
    if not limits:
        return
    longest = max(limit.per for limit in limits)
    uow.execute(
        delete(ConnectorUse)
        .where(ConnectorUse.instance_id == instance_id, ConnectorUse.at <= uow.now - longest)
        .execution_options(synchronize_session=False)
    )
    uow.add_all(ConnectorUse(id=new_id(), instance_id=instance_id, at=uow.now) for _ in range(number))
    uow.flush()
