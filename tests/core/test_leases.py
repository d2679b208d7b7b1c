"""Leases are renewed while the work goes on, let go when it hangs, and never taken from whoever has taken over."""

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from held_time import HeldClock
from sqlalchemy import select, update

from core import leases, outbox, work
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Unavailable
from core.ids import new_id
from core.outbox import OutboxRow

AT_ONCE = timedelta(0)


def a_row() -> UUID:
    with unit_of_work() as uow:
        row = OutboxRow(id=new_id(), entry=new_id(), subscriber="nobody", due_at=uow.now)
        uow.add(row)
    return row.id


def lease_left(clock: HeldClock) -> timedelta:
    with reading() as session:
        until = session.scalars(select(OutboxRow.lease_until)).one()
    assert until is not None
    return until - clock.now


def test_the_lease_of_long_work_is_renewed(database: object, clock: HeldClock) -> None:
    a_row()
    claims = work.claim(outbox.KIND, 1)
    clock.advance(seconds=10)
    assert lease_left(clock) == leases.LEASE - timedelta(seconds=10)
    with leases.held(outbox.KIND, claims):
        leases.renew(AT_ONCE)
        assert lease_left(clock) == leases.LEASE
    clock.advance(seconds=10)
    leases.renew(AT_ONCE)
    assert lease_left(clock) == leases.LEASE - timedelta(seconds=10), "it is not held any more"


def test_whoever_has_taken_over_keeps_it(database: object, clock: HeldClock) -> None:
    a_row()
    claims = work.claim(outbox.KIND, 1)
    clock.advance(seconds=21)
    assert work.claim(outbox.KIND, 1)
    clock.advance(seconds=10)
    with leases.held(outbox.KIND, claims):
        leases.renew(AT_ONCE)
    assert lease_left(clock) == leases.LEASE - timedelta(seconds=10)


def test_a_row_that_its_holder_is_writing_does_not_hold_renewing_up(
    postgresql_database: object, clock: HeldClock
) -> None:
    a_row()
    claims = work.claim(outbox.KIND, 1)
    clock.advance(seconds=10)
    with leases.held(outbox.KIND, claims), unit_of_work() as uow:
        uow.scalars(select(OutboxRow).with_for_update()).one()
        renewing = threading.Thread(target=leases.renew, args=(AT_ONCE,))
        renewing.start()
        renewing.join(10)
        assert not renewing.is_alive()
    assert lease_left(clock) == leases.LEASE - timedelta(seconds=10)


def test_what_was_finished_is_not_leased_again(database: object, clock: HeldClock) -> None:
    a_row()
    claims = work.claim(outbox.KIND, 1)
    with unit_of_work() as uow:
        work.later(uow, outbox.KIND, claims[0], uow.now + timedelta(hours=1))
    with leases.held(outbox.KIND, claims):
        leases.renew(AT_ONCE)
    with reading() as session:
        assert session.scalars(select(OutboxRow.lease_until)).one() is None


def test_work_that_hangs_is_let_go(
    database: object, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_row()
    claims = work.claim(outbox.KIND, 1)
    clock.advance(seconds=10)
    monkeypatch.setattr(leases, "LONGEST", timedelta(0))
    with leases.held(outbox.KIND, claims):
        leases.renew(AT_ONCE)
    assert lease_left(clock) == leases.LEASE - timedelta(seconds=10)


def test_releasing_gives_every_lease_back_and_keeps_the_fence(database: object, clock: HeldClock) -> None:
    row = a_row()
    (claim,) = work.claim(outbox.KIND, 1)
    with unit_of_work() as uow:
        assert leases.release(uow, work.kinds().values()) == 1
    with pytest.raises(work.LostLease), unit_of_work() as uow:
        work.finish(uow, outbox.KIND, claim)
    (again,) = work.claim(outbox.KIND, 1)
    assert (again.id, again.fence) == (row, claim.fence + 1)


def test_what_happened_outside_is_written_once_the_database_is_back(
    database: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work.time, "sleep", lambda _seconds: None)
    row, away = a_row(), [True, True, False]

    def write(uow: UnitOfWork) -> None:
        uow.execute(update(OutboxRow).values(subscriber="written"))
        if away.pop(0):
            raise Unavailable("The database cannot be reached; try again in a moment.")

    work.write_down(write)
    with reading() as session:
        assert session.get_one(OutboxRow, row).subscriber == "written"
    assert away == []


def test_a_database_that_stays_away_ends_the_patience(
    database: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_PATIENCE", timedelta(0))

    def write(_uow: UnitOfWork) -> None:
        raise Unavailable("The database cannot be reached; try again in a moment.")

    with pytest.raises(Unavailable):
        work.write_down(write)
