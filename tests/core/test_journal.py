"""The journal holds what was recorded with the change, cannot be altered, and survives redaction."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.db import UnitOfWork, reading, unit_of_work
from core.journal import (
    Fact,
    JournalData,
    JournalEntry,
    JournalPending,
    data_digest,
    declare,
    entries,
    record,
)
from core.types import Ref

DONE = declare("test.done", "did it")
OTHER = declare("test.other", "did something else")
ANA = Actor(ActorKind.person, "01999999-0000-7000-8000-000000000001", "Ana")
CASE = Ref("incident", "1")
UNDECLARED = journal.Verb("test.invented", "made up")


def test_an_entry_reads_back_as_it_was_recorded(database: object) -> None:
    with unit_of_work() as uow:
        at = uow.now
        fact = Fact(DONE, (CASE, Ref("page", "2")), {"count": 3}, {"note": "ünïcode \U0001f514"})
        entry_id = record(uow, ANA, fact)
    with reading() as session:
        (entry,) = entries(session, ref=Ref("page", "2"))
        assert entries(session, ref=Ref("page", "3")) == []
    assert (entry.id, entry.at, entry.actor_name, entry.verb, entry.says) == (
        entry_id,
        at,
        "Ana",
        "test.done",
        "did it",
    )
    assert entry.body == {"count": 3}
    assert entry.data == {"note": "ünïcode \U0001f514"}
    assert set(entry.refs) == {CASE, Ref("page", "2")}
    assert entry.actor.user_id == ANA.user_id


def test_it_tells_of_nothing_that_was_rolled_back(database: object) -> None:
    with pytest.raises(ValueError, match="not a declared verb"), unit_of_work() as uow:
        assert record(uow, SYSTEM, Fact(DONE, (CASE,))) != record(uow, SYSTEM, Fact(UNDECLARED, (CASE,)))
    with reading() as session:
        assert entries(session) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET verb = 'test.other'",
        "DELETE FROM journal",
        "UPDATE journal_refs SET ref_id = 'x'",
        "DELETE FROM journal_refs",
        "UPDATE journal_data SET data = salt",
    ],
)
def test_the_database_refuses_to_alter_it(database: object, statement: str) -> None:
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(DONE, (CASE,), data={"a": 1}))
    with pytest.raises(DBAPIError, match="append-only"), unit_of_work() as uow:
        uow.execute(text(statement))


def test_sqlite_refuses_to_replace_an_entry(sqlite_database: object) -> None:
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(DONE, (CASE,)))
    with pytest.raises(DBAPIError, match="append-only"), unit_of_work() as uow:
        uow.execute(
            text("INSERT OR REPLACE INTO journal SELECT id, 0, 'x', 'x', 'x', x'00', NULL FROM journal")
        )


def test_postgresql_refuses_to_truncate(postgresql_database: object) -> None:
    with pytest.raises(DBAPIError, match="append-only"), unit_of_work() as uow:
        uow.execute(text("TRUNCATE journal"))


def test_redacting_leaves_the_sealed_body_true(database: object) -> None:
    with unit_of_work() as uow:
        entry_id = record(uow, SYSTEM, Fact(DONE, (CASE,), {"kept": True}, {"password": "hunter2"}))
    with reading() as session:
        row = session.get_one(JournalEntry, entry_id)
        held = session.get_one(JournalData, entry_id)
    assert b"hunter2" not in row.body
    assert data_digest(held.salt, held.data) == row.data_digest
    assert row.data_digest is not None
    assert row.data_digest.hex().encode() in row.body
    with unit_of_work() as uow:
        uow.execute(text("DELETE FROM journal_data"))
    with reading() as session:
        (entry,) = entries(session)
    assert entry.redacted
    assert entry.body == {"kept": True}


def test_pages_of_entries_follow_each_other(database: object) -> None:
    for n in range(7):
        with unit_of_work() as uow:
            record(uow, SYSTEM, Fact(DONE if n % 2 else OTHER, (CASE,), {"n": n}))
    with reading() as session:
        first = entries(session, limit=3)
        second = entries(session, limit=3, before=first[-1].id)
        odd = entries(session, verbs=["test.done"])
    assert [e.body["n"] for e in (*first, *second)] == [6, 5, 4, 3, 2, 1]
    assert [e.body["n"] for e in odd] == [5, 3, 1]


def test_every_entry_waits_for_its_seal(database: object) -> None:
    with unit_of_work() as uow:
        entry_id = record(uow, SYSTEM, Fact(DONE, (CASE,)))
    with reading() as session:
        assert session.scalars(select(JournalPending.entry)).all() == [entry_id]


def test_only_declared_verbs_are_recorded(database: object) -> None:
    with pytest.raises(ValueError, match="not a declared verb"), unit_of_work() as uow:
        record(uow, SYSTEM, Fact(UNDECLARED, (CASE,)))


def record_and_fail(uow: UnitOfWork) -> None:
    """Record something, then go wrong."""
    record(uow, SYSTEM, Fact(OTHER, (CASE, Ref("page", "1")), {"n": 2}, {"note": "gone"}))
    record(uow, SYSTEM, Fact(UNDECLARED, (CASE,)))


def test_a_savepoint_takes_back_what_was_recorded_inside_it(database: object) -> None:
    with unit_of_work() as uow:
        kept = record(uow, SYSTEM, Fact(DONE, (CASE,), {"n": 1}, {"note": "kept"}))
        with pytest.raises(ValueError, match="not a declared verb"), uow.begin_nested():
            record_and_fail(uow)
        with uow.begin_nested():
            after = record(uow, SYSTEM, Fact(OTHER, (CASE,), {"n": 3}))
    with reading() as session:
        assert [entry.id for entry in entries(session)] == [after, kept]
        assert session.scalars(select(JournalPending.entry).order_by(JournalPending.entry)).all() == [
            kept,
            after,
        ]
