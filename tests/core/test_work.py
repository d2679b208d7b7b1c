"""Durable work: claimed once, fenced, retried with back-off, parked, replayed; facts reach subscribers exactly once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from held_time import HeldClock
from sqlalchemy import select, update

from core import backlog, outbox, suspects, work
from core.actors import SYSTEM
from core.backoff import Backoff
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import NotFound
from core.ids import new_id
from core.journal import Entry, Fact, declare, entries, record
from core.outbox import OutboxRow
from core.types import Ref

HAPPENED = declare("test.happened", "happened")
HEARD = declare("test.heard", "heard")
CASE = Ref("incident", "1")


class Killed(BaseException):
    """As if the process had died: no handler of errors sees it, and the lease runs out."""


@pytest.fixture
def told() -> Iterator[list[Entry]]:
    """What the subscriber `test.listener` was handed."""
    heard: list[Entry] = []

    @outbox.subscriber("test.listener", verbs=["test.happened"])
    def listen(_uow: UnitOfWork, entry: Entry) -> None:
        if entry.body.get("poison"):
            raise RuntimeError("cannot be handled")
        if entry.body.get("deadly"):
            raise Killed
        heard.append(entry)

    yield heard
    outbox._handlers.pop("test.listener")
    outbox._by_verb["test.happened"].remove("test.listener")


def happen(**body: Any) -> None:
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(HAPPENED, (CASE,), body))


def rows() -> list[OutboxRow]:
    with reading() as session:
        return list(session.scalars(select(OutboxRow)))


def test_a_fact_reaches_its_subscriber_once(
    database: object, told: list[Entry], drain: Callable[..., int]
) -> None:
    happen(n=1)
    happen(n=2)
    assert drain("core.outbox") == 2
    assert drain("core.outbox") == 0
    assert [e.body["n"] for e in told] == [1, 2]
    assert rows() == []


def test_who_hears_at_once_hears_in_the_transaction_that_tells_and_by_the_outbox_if_that_fails(
    database: object, told: list[Entry], drain: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[list[int]] = []

    def hear(uow: UnitOfWork, entries: Sequence[Entry]) -> None:
        record(uow, SYSTEM, Fact(HEARD, (CASE,), {}))
        at_once.append([entry.body["n"] for entry in entries])
        if any(entry.body["n"] == 3 for entry in entries):
            raise RuntimeError("not now")

    monkeypatch.setitem(outbox._at_once, "test.listener", hear)
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(HAPPENED, (CASE,), {"n": 1}))
        record(uow, SYSTEM, Fact(HAPPENED, (CASE,), {"n": 2}))
        assert at_once == [], "at the end of the transaction"
    assert (at_once, rows()) == ([[1, 2]], [])
    happen(n=3)
    assert [row.subscriber for row in rows()] == ["test.listener"]
    assert drain("core.outbox") == 1
    assert [entry.body["n"] for entry in told] == [3]
    with reading() as session:
        heard = [entry.verb for entry in entries(session, ref=CASE)]
    assert heard.count("test.heard") == 1, "what a failed hearer wrote is taken back"
    assert heard.count("test.happened") == 3, "and nothing else of the transaction"


def test_a_poisoned_fact_is_retried_then_parked_and_stops_no_other(
    database: object, told: list[Entry], clock: HeldClock
) -> None:
    happen(poison=True)
    happen(n=2)
    work.drain("core.outbox")
    assert [e.body for e in told] == [{"n": 2}]
    (row,) = rows()
    assert row.error is not None
    assert "cannot be handled" in row.error
    assert row.due_at is not None
    assert row.due_at > clock.now
    for _ in range(10):
        clock.advance(minutes=10)
        work.drain("core.outbox")
    (row,) = rows()
    assert row.parked_at is not None
    assert row.due_at is None
    with reading() as session:
        (count,) = [c for c in backlog.counts(session) if c.name == "core.outbox"]
        (seen,) = [g for g in backlog.glance(session) if g.name == "core.outbox"]
    assert (count.due, count.leased, count.parked) == (0, 0, 1)
    assert (seen.due, seen.oldest_due, seen.parked) == (0, None, 1)


def test_a_glance_counts_what_waits_only_so_far(
    database: object, told: list[Entry], clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST", 3)
    backlog._glancing.cache_clear()
    began = clock.now
    for number in range(5):
        happen(n=number)
        clock.advance(seconds=1)
    with reading() as session:
        (seen,) = [g for g in backlog.glance(session) if g.name == "core.outbox"]
    backlog._glancing.cache_clear()
    assert (seen.due, seen.oldest_due, seen.parked) == (3, began, 0)


def test_a_parked_row_can_be_replayed(database: object, told: list[Entry], clock: HeldClock) -> None:
    happen(poison=True)
    for _ in range(10):
        work.drain("core.outbox")
        clock.advance(minutes=10)
    (row,) = rows()
    with unit_of_work() as uow:
        work.replay(uow, SYSTEM, "core.outbox", row.id)
    assert rows()[0].due_at == clock.now
    with pytest.raises(NotFound), unit_of_work() as uow:
        work.replay(uow, SYSTEM, "core.outbox", row.id)


def test_a_fact_that_kills_its_worker_is_parked_alone(
    database: object, told: list[Entry], clock: HeldClock
) -> None:
    happen(deadly=True)
    for n in range(5):
        happen(n=n)
    deaths = 0
    for _ in range(outbox.KIND.max_attempts + suspects.DEATHS + 5):
        try:
            work.drain("core.outbox")
        except Killed:
            deaths += 1
        if deaths > suspects.SUSPECT + 1:
            assert [e.body["n"] for e in told] == [0, 1, 2, 3, 4], "whoever shared its batch is done, once"
        clock.advance(seconds=21)
    (row,) = rows()
    assert deaths == outbox.KIND.max_attempts + suspects.DEATHS
    assert row.parked_at is not None
    assert row.error == f"Deadly: it was taken up {deaths} times, and each time its worker died or hung"
    with unit_of_work() as uow:
        work.replay(uow, SYSTEM, "core.outbox", row.id)
    with pytest.raises(Killed):
        work.drain("core.outbox")


def test_what_failed_with_an_error_again_and_again_is_not_taken_apart(
    database: object, told: list[Entry], clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        happen(n=n)
    sizes: list[int] = []

    def fail(claims: list[work.Claim]) -> None:
        sizes.append(len(claims))
        raise RuntimeError("the far end is away")

    monkeypatch.setitem(work._kinds, "core.outbox", replace(outbox.KIND, handle=fail))
    for _ in range(suspects.SUSPECT + 2):
        work.drain("core.outbox")
        clock.advance(minutes=10)
    assert sizes == [3] * (suspects.SUSPECT + 2)


def test_a_lease_that_ends_is_taken_over_and_the_first_holder_is_fenced_off(
    database: object, told: list[Entry], clock: HeldClock
) -> None:
    happen(n=1)
    (first,) = work.claim(outbox.KIND, 10)
    assert work.claim(outbox.KIND, 10) == []
    clock.advance(seconds=61)
    (second,) = work.claim(outbox.KIND, 10)
    assert (second.id, second.fence, second.attempts) == (first.id, first.fence + 1, 2)
    with pytest.raises(work.LostLease), unit_of_work() as uow:
        work.finish(uow, outbox.KIND, first)
    with pytest.raises(work.LostLease), unit_of_work() as uow:
        work.retry(uow, outbox.KIND, first, "too late")
    with unit_of_work() as uow:
        work.finish(uow, outbox.KIND, second)
    with pytest.raises(work.LostLease), unit_of_work() as uow:
        work.finish(uow, outbox.KIND, second)


def test_later_is_no_failure(database: object, told: list[Entry], clock: HeldClock) -> None:
    happen(n=1)
    (claim,) = work.claim(outbox.KIND, 10)
    with unit_of_work() as uow:
        work.later(uow, outbox.KIND, claim, uow.now + timedelta(hours=1))
    assert work.claim(outbox.KIND, 10) == []
    clock.advance(hours=1)
    (again,) = work.claim(outbox.KIND, 10)
    assert again.attempts == 1


def test_backoff_grows_to_its_cap() -> None:
    backoff = Backoff(first=timedelta(seconds=2), cap=timedelta(seconds=60))
    waits = [backoff.after(n).total_seconds() for n in range(1, 12)]
    for n, wait in enumerate(waits):
        nominal = min(2 * 2**n, 60)
        assert nominal * 0.79 <= wait <= nominal * 1.21


def test_two_claimers_share_the_rows(database: object, told: list[Entry]) -> None:
    for n in range(30):
        happen(n=n)
    taken: list[UUID] = []
    while claims := work.claim(outbox.KIND, 7):
        taken += [c.id for c in claims]
    assert len(taken) == len(set(taken)) == 30


def test_the_subscriber_and_the_delivery_are_one_transaction(
    database: object, told: list[Entry], clock: HeldClock
) -> None:
    entry_id = new_id()

    @outbox.subscriber("test.listener", verbs=["test.happened"])
    def steal_own_lease(uow: UnitOfWork, entry: Entry) -> None:
        told.append(entry)
        record(uow, SYSTEM, Fact(HAPPENED, (Ref("incident", str(entry_id)),)))
        uow.execute(update(OutboxRow).values(fence=OutboxRow.fence + 1))

    happen(n=1)
    work.drain("core.outbox")
    with reading() as session:
        from core.journal import entries

        assert entries(session, ref=Ref("incident", str(entry_id))) == []
