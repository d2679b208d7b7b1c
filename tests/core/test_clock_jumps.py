"""A clock that is set forward or back by an hour, while work waits and while it is being done: nothing twice, nothing stalled."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from free_ports import wait_until
from tables_ready import Database

from core import clock, outbox, queue, work
from core.actors import SYSTEM
from core.db import UnitOfWork, reading, unit_of_work
from core.journal import Entry, Fact, declare, record
from core.outbox import OutboxRow
from core.types import Ref

TICKED = declare("test.ticked", "ticked")


class Wall:
    """The machine's clock, set forward or back by so many seconds."""

    def __init__(self) -> None:
        self.off = 0.0
        self._real = time.time

    def __call__(self) -> float:
        return self._real() + self.off


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    set_to = Wall()
    monkeypatch.setattr(clock.time, "time", set_to)
    clock._anchor.clear()
    yield set_to
    clock._anchor.clear()


def test_the_clock_never_goes_back_and_follows_forward(wall: Wall) -> None:
    before = clock.now()
    wall.off = -3600
    assert timedelta(0) <= clock.now() - before < timedelta(seconds=5)
    time.sleep(0.05)
    assert clock.now() - before >= timedelta(seconds=0.05), "it goes on"
    wall.off = 3600
    assert clock.now() - before >= timedelta(hours=1)
    wall.off = -2 * 86_400.0
    assert clock.now() < before, "a clock that was days ahead was set right"


class Listener:
    """A subscriber whose work can be held up in the middle."""

    def __init__(self) -> None:
        self.began = 0
        self.go_on = threading.Event()

    def __call__(self, _uow: UnitOfWork, _entry: Entry) -> None:
        self.began += 1
        self.go_on.wait(60)


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()
    outbox.subscriber("test.clockwork", verbs=["test.ticked"])(heard)
    yield heard
    heard.go_on.set()
    outbox._handlers.pop("test.clockwork")
    outbox._by_verb["test.ticked"].remove("test.clockwork")


def tick() -> None:
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(TICKED, (Ref("incident", "1"),), {}))


def left() -> int:
    with reading() as session:
        return session.query(OutboxRow).count()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_work_is_done_once_and_at_once(
    database: Database, wall: Wall, listener: Listener, jump: float
) -> None:
    listener.go_on.set()
    tick()
    wall.off = jump
    tick()
    assert work.drain("core.outbox") == 2
    assert (listener.began, left()) == (2, 0)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_work_in_hand_is_not_taken_over_by_its_own_process(
    database: Database, wall: Wall, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    began, go_on = [], threading.Event()

    def handle(claims: list[work.Claim]) -> None:
        began.extend(claims)
        go_on.wait(60)
        with unit_of_work() as uow:
            work.finish_all(uow, kind, claims)

    kind = work.register(work.WorkKind("test.clockwork", OutboxRow, handle, keep=False))
    monkeypatch.delitem(work._kinds, "core.outbox", raising=False)
    try:
        outbox._by_verb["test.ticked"] = ["test.clockwork"]
        tick()
        first = threading.Thread(target=work.drain, args=("test.clockwork",))
        first.start()
        wait_until(lambda: began, what="the work to begin")
        wall.off = jump
        assert work.drain("test.clockwork") == 0, "it is in hand"
        go_on.set()
        first.join()
        assert (len(began), left()) == (1, 0)
    finally:
        go_on.set()
        work._kinds.pop("test.clockwork")
        outbox._by_verb.pop("test.ticked")


def test_the_databases_clock_alone_decides_on_postgresql(
    postgresql_database: Database, wall: Wall, listener: Listener
) -> None:
    listener.go_on.set()
    tick()
    with unit_of_work() as uow:
        (row,) = uow.query(OutboxRow)
        row.due_at = uow.now + timedelta(minutes=30)
    wall.off = 3600
    assert work.drain("core.outbox") == 0, "due in half an hour, by the clock that all share"
    with unit_of_work() as uow:
        uow.query(OutboxRow).one().due_at = uow.now
    wall.off = -3600
    assert work.drain("core.outbox") == 1


def test_two_sweepers_do_nothing_twice(database: Database, listener: Listener) -> None:
    listener.go_on.set()
    dispatchers = [queue.Dispatcher(), queue.Dispatcher()]
    stop = threading.Event()
    beats = [
        threading.Thread(target=queue.sweep_forever, args=(stop, one.wake), daemon=True)
        for one in dispatchers
    ]
    for beat in beats:
        beat.start()
    for _ in range(20):
        tick()
    wait_until(lambda: left() == 0, what="the facts to be handed over")
    stop.set()
    for one in dispatchers:
        one.stop()
    assert listener.began == 20
