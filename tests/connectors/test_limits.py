"""No product is called more often than it takes, by all workers together; who waits loses no try and is told why."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import httpx
import pytest
import respx
from held_time import A_MONDAY, HeldClock
from people_here import People
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tables_ready import ROOT, Database
from vendor_server import Answer, Vendor

from connectors import calling, calls, foreseeing, instances, limits
from connectors.calls import CallContext
from connectors.models import ActionCall, ConnectorInstance, ConnectorUse
from connectors.outcomes import Outcome
from connectors.products import Heard
from core import metrics, side_by_side
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.types import Ref

CTX = CallContext(Actor(ActorKind.playbook, "run-1", "Enrich"), Ref("incident", str(uuid4())), run="run-1")
WORK = "connectors.calls"
EDGE, BUSY = "https://edge.example", "https://busy.example"

Drain = Callable[..., int]


@pytest.fixture
def edge() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        router.get(url__startswith=EDGE).respond(200, json={})
        router.put(url__startswith=EDGE).respond(200, json={})
        yield router


def product(name: str, rate: str, url: str = EDGE) -> None:
    with unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, name=name, connector="http", settings={"base_url": url}, rate=rate, private=True
        )


def look(instance: str, n: int) -> list[UUID]:
    with unit_of_work() as uow:
        return [
            calls.request(
                uow, CTX, "http.get", {"path": f"/{instance}/{i}"}, instance=instance, key=uuid4().hex
            ).id
            for i in range(n)
        ]


def now(call: UUID) -> ActionCall:
    with reading() as session:
        return calls.get(session, call)


def states(ids: list[UUID]) -> list[str]:
    return [now(one).state for one in ids]


def until_all_are_done(drain: Drain, clock: HeldClock, ids: list[UUID], seconds: int) -> None:
    """Let at most so many seconds pass; every few, what is due is done."""
    for _ in range(0, seconds, 5):
        drain(WORK)
        if set(states(ids)) == {"succeeded"}:
            return
        clock.advance(seconds=5)
    raise AssertionError(states(ids))


def test_no_more_calls_than_the_limit_and_each_in_its_turn(
    database: Database, edge: respx.MockRouter, drain: Drain, clock: HeldClock
) -> None:
    product("narrow", "4/1m")
    product("wide", "none")
    ids, others = look("narrow", 10), look("wide", 10)
    drain(WORK)
    assert states(others) == ["succeeded"] * 10, "another product does not wait with it"
    assert sorted(states(ids)) == ["intended"] * 6 + ["succeeded"] * 4
    waiting = [now(one) for one in ids if now(one).state == "intended"]
    for one in waiting:
        assert one.waits_for_turn
        assert one.note == "It waits for its turn: narrow takes 4 calls in 1m."
        assert (one.tries, one.attempts, one.called_at) == (0, 0, None), "it costs no try"
        assert one.due_at is not None
        assert one.due_at >= clock.now + timedelta(minutes=1)
    assert len({one.due_at for one in waiting}) == 6, "they do not all come back at once"
    assert drain(WORK) == 0
    until_all_are_done(drain, clock, ids, 200)
    with reading() as session:
        uses = session.scalars(select(ConnectorUse.at).order_by(ConnectorUse.at)).all()
    assert len(uses) <= 4, "what no longer counts is not kept"
    assert {now(one).note for one in ids} == {None}
    asked = [now(one).called_at for one in ids]
    at = sorted(one for one in asked if one is not None)
    assert all(at[i + 4] - at[i] >= timedelta(minutes=1) for i in range(6))


def test_who_comes_later_does_not_overtake_but_what_acts_does(
    database: Database, edge: respx.MockRouter, drain: Drain, clock: HeldClock
) -> None:
    product("edge", "2/10s")
    first = look("edge", 6)
    drain(WORK)
    clock.advance(seconds=9)
    with unit_of_work() as uow:
        ctx = CallContext(CTX.actor, CTX.subject, approved_by=("ana",))
        inputs = {"method": "PUT", "path": "/block"}
        act = calls.request(uow, ctx, "http.request", inputs, instance="edge", key="act").id
    late = look("edge", 1)
    drain(WORK)
    assert now(act).due_at == clock.now + timedelta(seconds=1), "as soon as there is room"
    clock.advance(seconds=2)
    drain(WORK)
    assert now(act).state == "succeeded"
    assert states(late) == ["intended"]
    until_all_are_done(drain, clock, [*first, *late], 60)
    came = [now(one).called_at for one in [*first, *late]]
    assert came[-1] == max(one for one in came if one is not None), "the last who came was the last who went"


def test_several_limits_hold_together_and_what_would_wait_too_long_has_failed(
    database: Database, edge: respx.MockRouter, drain: Drain, clock: HeldClock
) -> None:
    product("small", "2/1m, 5/1d")
    ids = look("small", 7)
    for _ in range(20):
        drain(WORK)
        clock.advance(seconds=15)
    assert sorted(states(ids)) == ["failed", "failed", *["succeeded"] * 5]
    lost = next(now(one) for one in ids if now(one).state == "failed")
    assert lost.note == (
        "It waits for its turn: small takes 2 calls in 1m and 5 calls in 1d. It would not have had its turn in time."
    )
    assert lost.tries == 0


def test_a_product_that_says_too_many_is_left_alone_by_all_but_those_on_their_way(
    database: Database, edge: respx.MockRouter, drain: Drain, clock: HeldClock
) -> None:
    """A process has at most `lane_rows` calls of a product on the wire; none of these hears of another's answer in time."""
    product("busy", "none", BUSY)
    rested, at_a_time = clock.now + timedelta(seconds=60), calling.KIND.lane_rows or 0
    all_on_their_way = threading.Barrier(at_a_time)

    def answer(_request: httpx.Request) -> httpx.Response:
        if clock.now >= rested:
            return httpx.Response(200, json={})
        all_on_their_way.wait(30)
        return httpx.Response(429, headers={"Retry-After": "60"})

    tired = edge.get(url__startswith=BUSY).mock(side_effect=answer)
    ids = look("busy", at_a_time + 4)
    drain(WORK)
    assert tired.call_count == at_a_time
    assert states(ids) == ["intended"] * len(ids)
    assert {now(one).tries for one in ids} == {0}
    assert any("The other side answered 429." in (now(one).note or "") for one in ids)
    assert all("busy asked to be left alone for a while" in (now(one).note or "") for one in ids)
    more = look("busy", 1)
    drain(WORK)
    clock.advance(seconds=59)
    assert drain(WORK) == 0
    assert tired.call_count == at_a_time
    until_all_are_done(drain, clock, [*ids, *more], 20)
    metrics.flush()
    with reading() as session:
        told = [figure.values for figure in metrics.sums(session) if figure.figure.name == limits.WAITS.name]
    assert ("http", "product") in told


def test_what_is_not_on_its_way_yet_stays_here_once_the_product_has_said_too_many(
    database: Database, edge: respx.MockRouter, drain: Drain, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    product("busy", "none", BUSY)
    tired = edge.get(url__startswith=BUSY).respond(429, headers={"Retry-After": "60"})
    ids = look("busy", 5)
    with ThreadPoolExecutor(1) as one_at_a_time:
        monkeypatch.setattr(side_by_side, "_threads", one_at_a_time)
        drain(WORK)
    assert tired.call_count == 1
    assert states(ids) == ["intended"] * 5
    assert {now(one).tries for one in ids} == {0}
    assert all(due >= clock.now + timedelta(seconds=60) for one in ids if (due := now(one).due_at))
    assert sum("It was not sent" in (now(one).note or "") for one in ids) == 4


def test_what_has_begun_is_asked_about_though_the_product_has_said_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [Heard(1, limited=True, wait=5.0)]
    monkeypatch.setattr(calling, "_called", lambda _job: Outcome("wait"))
    begun = SimpleNamespace(began=True, call=SimpleNamespace(polling_until=None), product=SimpleNamespace(heard=Heard()))
    assert calling._unless_too_many(said, begun).kind == "wait"  # type: ignore[arg-type]  # as much of a job as is read
    begun.began, begun.call.polling_until = False, A_MONDAY
    assert calling._unless_too_many(said, begun).kind == "wait"  # type: ignore[arg-type]  # as much of a job as is read
    begun.call.polling_until = None
    assert calling._unless_too_many(said, begun).kind == "limited"  # type: ignore[arg-type]  # as much of a job as is read


def test_what_another_worker_has_just_been_told_holds_here(
    database: Database, edge: respx.MockRouter, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    product("busy", "none", BUSY)
    asked = edge.get(url__startswith=BUSY).respond(200, json={})
    by_ids = instances.by_ids

    def told_meanwhile(session: Session, ids: Iterable[UUID]) -> dict[UUID | None, ConnectorInstance]:
        found = by_ids(session, ids)
        with unit_of_work() as uow:
            limits.heard(uow, next(iter(found.values())).id, Heard(1, limited=True, wait=60.0))
        return found

    monkeypatch.setattr(instances, "by_ids", told_meanwhile)
    ids = look("busy", 2)
    drain(WORK)
    assert asked.call_count == 0
    assert states(ids) == ["intended"] * 2


def test_too_many_for_hours_ends(
    database: Database, edge: respx.MockRouter, drain: Drain, clock: HeldClock
) -> None:
    product("busy", "none", BUSY)
    edge.get(url__startswith=BUSY).respond(429)
    (call,) = look("busy", 1)
    for _ in range(14):
        drain(WORK)
        clock.advance(minutes=5)
    assert now(call).state == "failed"
    assert now(call).note == "The other side answered 429."


def test_another_limit_lets_those_who_wait_ask_again(
    database: Database, people: People, edge: respx.MockRouter, drain: Drain, clock: HeldClock
) -> None:
    product("edge", "1/1h")
    ids = look("edge", 5)
    drain(WORK)
    assert states(ids).count("intended") + states(ids).count("failed") == 4
    waiting = [one for one in ids if now(one).state == "intended"]
    with unit_of_work() as uow:
        row = instances.change(uow, people.admin, "edge", rate=" 100 / m ")
        assert row.rate == "100/1m"
    drain(WORK)
    assert states(waiting) == ["succeeded"] * len(waiting)
    with unit_of_work() as uow:
        instances.change(uow, people.admin, "edge", rate="")
        assert instances.get(uow, "edge").rate is None


def test_every_request_counts_also_the_ones_to_check_by(database: Database, vendor: Vendor) -> None:
    product("edge", "100/1h", vendor.url)
    instances.check("edge")
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(ConnectorUse)) == 1
    vendor.answer("GET", "/", Answer(429, headers={"Retry-After": "300"}))
    instances.check("edge")
    with reading() as session:
        row = session.scalars(select(ConnectorInstance)).one()
        assert row.paused_until is not None
        assert row.version == 3, "resting is no change of its settings"


WORKER = """
import sys, time
from cli import assemble
from core import work
assemble.load()
end = time.monotonic() + 60
while time.monotonic() < end and not sys.stdin.closed:
    work.drain("connectors.calls")
    time.sleep(0.05)
"""


def test_two_workers_keep_one_limit(database: Database, vendor: Vendor) -> None:
    product("edge", "5/2s", vendor.url)
    env = {
        **os.environ,
        "TOCSIN_DATA_DIR": str(database.settings.data_dir),
        "TOCSIN_DATABASE_URL": database.url,
        "TOCSIN_SECRET_KEY": "a secret key for tests only, 32+ bytes",
        "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8",
    }
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], env=env, cwd=ROOT) for _ in range(2)]
    try:
        ids = look("edge", 12)
        vendor.wait_for(12, seconds=60)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert len(vendor.calls) == 12
    # When each had its turn, by the database's clock; a request leaves a moment after it.
    turns = sorted(turn for one in ids if (turn := now(one).called_at))
    assert all(turns[i + 5] - turns[i] >= timedelta(seconds=2) for i in range(7)), turns
    assert sum(now(one).tries for one in ids) == 12


def test_who_looks_first_is_told_that_there_is_no_room_now(database: Database, edge: respx.MockRouter, drain: Drain, clock: HeldClock) -> None:
    product("narrow", "4/1m")

    def waits() -> limits.Wait | None:
        with reading() as session:
            told = foreseeing.foresee(session, CTX, "http.get", {"path": "/"}, instance="narrow")
        return told.at[0].waits

    assert waits() is None
    look("narrow", 4)
    drain(WORK)
    wait = waits()
    assert wait is not None
    assert (wait.why, wait.until) == ("narrow takes 4 calls in 1m", clock.now + timedelta(minutes=1))
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(ConnectorUse)) == 4, "looking takes no turn"
    clock.advance(minutes=1)
    assert waits() is None
