"""The chores of the record, each a row that comes back by itself: quiet alerts end, new ones become findable, the old is forgotten."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from core import journal, retention, statistics, turns, work
from core.actors import SYSTEM
from core.db import UnitOfWork, is_postgres, reading, unit_of_work
from core.ids import new_id
from core.journal import Fact
from core.types import Ref
from incidents import accepting, addresses, facts, indexing, reaching, storms
from incidents.models import Alert, Upkeep
from notify import stuck

BATCH = 500
MOST_ROUNDS = 40  # then it is somebody else's turn; the rest waits for the next time
PASS = 1.0  # seconds for which senders at a crowded door go before the next round
SOON = timedelta(seconds=1)  # where a turn of forgetting has left off
EVERY = {
    "end quiet alerts": timedelta(seconds=30),
    "index alerts": timedelta(seconds=5),
    "page for the unattended": timedelta(seconds=15),
    "page for stuck work": timedelta(seconds=30),
    "forget past storms": timedelta(minutes=5),
    "forget old addresses": timedelta(hours=1),
    "measure grown tables": timedelta(seconds=15),
    "end what was ignored": timedelta(minutes=1),
    "forget what is old": timedelta(hours=1),
}


def seed(uow: UnitOfWork) -> None:
    """Make sure that every chore has its row; harmless to repeat."""
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(Upkeep)
    rows = [{"id": new_id(), "name": name, "due_at": uow.now, "fence": 0, "attempts": 0} for name in EVERY]
    uow.execute(insert.on_conflict_do_nothing(), rows)


def end_quiet_alerts(uow: UnitOfWork) -> int:
    """End up to 500 open alerts whose quiet time is over; returns how many. Told for those that have an incident."""
    query = (
        select(Alert).where(Alert.ended_at.is_(None), Alert.quiet_until < uow.now).order_by(Alert.quiet_until)
    )
    alerts = uow.scalars(query.limit(BATCH).with_for_update(skip_locked=True)).all()
    for alert in alerts:
        alert.ended_at, alert.ended_by = alert.quiet_until, "quiet"
        if alert.incident_id is not None:
            refs = (alert.ref, Ref("incident", str(alert.incident_id)))
            journal.record(uow, SYSTEM, Fact(facts.ALERT_ENDED, refs, {"by": "quiet", "count": alert.count}))
    return len(alerts)


# What a full round of a chore does; BATCH for the others.
_MOST = {"index alerts": indexing.BITE, "measure grown tables": 1}
_CHORES = {
    "end quiet alerts": end_quiet_alerts,
    "index alerts": indexing.index_alerts,
    "page for the unattended": reaching.page_unattended,
    "page for stuck work": stuck.page_for_parked,
    "forget past storms": storms.forget,
    "forget old addresses": addresses.forget,
    "end what was ignored": accepting.expire,
    "measure grown tables": statistics.refresh,
}


_forgetting = retention.Round()


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with reading() as session:
            name = session.scalar(select(Upkeep.name).where(Upkeep.id == claim.id))
        wait = EVERY.get(name or "")
        if name == "forget what is old" and _forgetting.turn():
            wait = SOON
        chore = _CHORES.get(name or "")
        most = _MOST.get(name or "", BATCH)
        for _ in range(MOST_ROUNDS if chore is not None else 0):
            turns.give_way(PASS)
            with unit_of_work() as uow:
                done = chore(uow) if chore is not None else 0
            if done < most:
                break
        with unit_of_work() as uow:
            work.later(uow, KIND, claim, uow.now + wait if wait is not None else None)


KIND = work.register(work.WorkKind("incidents.upkeep", Upkeep, _handle, batch=1, max_attempts=1_000_000))
"""Chores are tried for ever: a parked one would let alerts grow old unseen."""
