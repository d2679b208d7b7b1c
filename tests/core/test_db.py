"""A unit of work commits or rolls back as a whole, and nothing else writes."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DataError, DBAPIError
from tables_ready import Database

from core import blobs, db
from core.blobs import Blob
from core.db import one_moment, reading, unit_of_work
from core.errors import NotFound, Unavailable


def fail_after(_done: object) -> None:
    """What goes wrong in the middle of a unit of work."""
    raise ValueError("not bytes")


def test_what_raises_leaves_nothing_behind(database: object) -> None:
    with pytest.raises(ValueError, match="not bytes"), unit_of_work() as uow:
        fail_after(blobs.put(uow, b"half", "text/plain"))
    with reading() as session:
        assert session.scalars(select(Blob)).all() == []


def test_what_ends_well_is_there(database: object) -> None:
    with unit_of_work() as uow:
        digest = blobs.put(uow, b"whole", "text/plain")
        assert blobs.put(uow, b"whole", "text/plain") == digest
    with reading() as session:
        assert blobs.get(session, digest) == b"whole"
        with pytest.raises(NotFound):
            blobs.get(session, "0" * 64)


def test_reading_cannot_write(database: object) -> None:
    with reading() as session, pytest.raises(DBAPIError):
        session.execute(text("DELETE FROM blobs"))


def test_a_unit_inside_another_is_refused(database: object) -> None:
    with unit_of_work(), pytest.raises(RuntimeError, match="inside another"), unit_of_work():
        pass


def test_after_commit_runs_only_after_a_commit(database: object) -> None:
    told: list[str] = []
    with unit_of_work() as uow:
        uow.after_commit(lambda: told.append("kept"))
        assert told == []
    with pytest.raises(ValueError, match="not bytes"), unit_of_work() as uow:
        fail_after(uow.after_commit(lambda: told.append("lost")))
    assert told == ["kept"]


def test_many_writers_wait_their_turn(database: object) -> None:
    def write(n: int) -> None:
        for m in range(20):
            with unit_of_work() as uow:
                blobs.put(uow, f"{n}-{m}".encode(), "text/plain")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading() as session:
        assert len(session.scalars(select(Blob.digest)).all()) == 160


def test_the_database_keeps_microseconds_in_utc(database: object) -> None:
    with unit_of_work() as uow:
        digest, now = blobs.put(uow, b"when", "text/plain"), uow.now
    with reading() as session:
        stored = session.get_one(Blob, digest).stored_at
    assert stored == now
    assert stored.utcoffset() is not None


def test_after_a_statement_of_its_own_has_failed_units_still_roll_back(postgresql_database: object) -> None:
    assert db.at_once("SELECT %(n)s + 1", {"n": 1}) == [(2,)]
    with pytest.raises(DataError, match="division by zero"):
        db.at_once("SELECT 1 / %(n)s", {"n": 0})
    for _ in range(2):
        with pytest.raises(ValueError, match="not bytes"), unit_of_work() as uow:
            fail_after(blobs.put(uow, b"half", "text/plain"))
    with reading() as session:
        assert session.scalars(select(Blob)).all() == []


def test_a_statement_of_its_own_says_when_the_database_is_away(postgresql_database: Database) -> None:
    db.at_once("SELECT 1", {})
    with db.engine().connect() as other:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        other.exec_driver_sql(others)
        with pytest.raises(Unavailable):
            db.at_once("SELECT pg_terminate_backend(pg_backend_pid())", {})
    assert db.at_once("SELECT 1", {}) == [(1,)]


def test_one_moment_is_not_disturbed(database: object) -> None:
    with one_moment() as session, ThreadPoolExecutor() as others:
        assert session.scalars(select(Blob)).all() == []
        others.submit(_put).result()
        assert session.scalars(select(Blob)).all() == []
    with reading() as session:
        assert len(session.scalars(select(Blob)).all()) == 1


def test_a_connection_in_use_while_the_database_is_closed_is_closed_when_it_comes_back(
    postgresql_database: object,
) -> None:
    with reading() as session:
        assert session.scalar(text("SELECT 1")) == 1
        connection = session.connection().connection.driver_connection
        db.configure()
        assert session.scalar(text("SELECT 2")) == 2
    assert connection is not None
    assert connection.closed


def _put() -> None:
    with unit_of_work() as uow:
        blobs.put(uow, b"meanwhile", "text/plain")


def test_what_was_to_be_stored_stands_in_no_error(database: object) -> None:
    """Errors go to logs and onto parked rows, which more people read than the table."""
    with unit_of_work() as uow:
        blobs.put(uow, b"once", "text/plain")
        now = uow.now
    same = blobs.measure(io.BytesIO(b"once"), 9).digest
    with pytest.raises(DBAPIError) as failed, unit_of_work() as uow:
        uow.add(Blob(digest=same, media_type="canary-4711", size=4, stored_at=now))
    assert "canary-4711" not in f"{failed.value!r} {failed.value}"
