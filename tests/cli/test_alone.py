"""The process that is alone on its data directory takes up what the dead one held; one that is not waits."""

import fcntl
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update
from tables_ready import Database

from cli import alone
from core.db import reading, unit_of_work
from core.ids import new_id
from core.outbox import OutboxRow


@pytest.fixture(autouse=True)
def _let_go() -> Iterator[None]:
    yield
    while alone._lock_file:
        alone._lock_file.pop().close()


def claimed() -> None:
    """A row that a process held when it was killed."""
    with unit_of_work() as uow:
        uow.add(OutboxRow(id=new_id(), entry=new_id(), subscriber="nobody", due_at=uow.now))
        uow.flush()
        uow.execute(update(OutboxRow).values(lease_until=uow.now, fence=3))


def leases() -> list[object]:
    with reading() as session:
        return list(session.scalars(select(OutboxRow.lease_until)))


def test_alone_it_takes_over_at_once(sqlite_database: Database) -> None:
    claimed()
    assert alone.take_over(sqlite_database.settings) == 1
    assert leases() == [None]


def test_while_another_lives_it_waits(sqlite_database: Database) -> None:
    claimed()
    with (sqlite_database.settings.data_dir / "serve.lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert alone.take_over(sqlite_database.settings) == 0
    assert leases() != [None]


def test_on_postgresql_others_may_be_at_work(postgresql_database: Database) -> None:
    claimed()
    assert alone.take_over(postgresql_database.settings) == 0
    assert leases() != [None]
