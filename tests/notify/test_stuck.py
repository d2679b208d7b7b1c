"""Work that was set aside pages somebody once, and no storm of it ever becomes a storm of pages."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from held_time import HeldClock
from sqlalchemy import select

from core import outbox, parked, work
from core.actors import SYSTEM
from core.auth import users
from core.db import UnitOfWork, reading, unit_of_work
from core.journal import Entry, Fact, declare, record
from core.types import Ref
from notify import delivery, stuck
from notify.escalation import Target
from notify.models import Page
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy

pytestmark = pytest.mark.usefixtures("database")
POISON = declare("test.poison", "was poisoned")


@pytest.fixture(autouse=True)
def poisoned() -> Iterator[None]:
    """A subscriber that can never handle what it is handed."""

    @outbox.subscriber("test.victim", verbs=["test.poison"])
    def fall_over(_uow: UnitOfWork, _entry: Entry) -> None:
        raise RuntimeError("cannot be handled")

    yield
    outbox._handlers.pop("test.victim")
    outbox._by_verb["test.poison"].remove("test.victim")


def set_aside(clock: HeldClock, times: int = 1) -> None:
    """So many facts are tried until they are parked."""
    with unit_of_work() as uow:
        for n in range(times):
            record(uow, SYSTEM, Fact(POISON, (Ref("incident", str(n)),), {}))
    for _ in range(8):
        work.drain("core.outbox")
        clock.advance(minutes=6)


def on_call(name: str = "default") -> None:
    with unit_of_work() as uow:
        ana = users.create(uow, SYSTEM, email="ana@example.org", name="Ana", roles=["responder"])
        target = (Target("user", str(ana.id)),)
        create_policy(uow, SYSTEM, PolicyDraft(name, (StepDraft(target, 1800),), target))


def look() -> int:
    with unit_of_work() as uow:
        return stuck.page_for_parked(uow)


def pages() -> list[Page]:
    with reading() as session:
        query = select(Page).where(Page.subject_kind == "work").order_by(Page.created_at)
        return list(session.scalars(query))


def test_stuck_work_pages_once_until_somebody_has_looked(clock: HeldClock) -> None:
    on_call()
    assert look() == 0
    set_aside(clock, times=3)
    assert look() == 1
    (page,) = pages()
    assert (page.title, page.path, page.policy) == ("3 pieces of work are stuck", "/settings/work", "default")
    assert "3 × core.outbox" in page.message
    assert "cannot be handled" in page.message
    set_aside(clock)  # this takes 48 minutes
    assert look() == 0, "nobody has acknowledged the first one: it escalates by itself"
    with unit_of_work() as uow:
        delivery.acknowledge(uow, SYSTEM, page.id, "web")
    assert look() == 1
    assert look() == 0
    assert [one.state for one in pages()] == ["closed", "waiting"]


def test_at_most_one_page_in_half_an_hour(clock: HeldClock) -> None:
    on_call()
    set_aside(clock)
    assert look() == 1
    with unit_of_work() as uow:
        delivery.acknowledge(uow, SYSTEM, pages()[0].id, "web")
    clock.advance(minutes=10)
    now = clock.now
    first = pages()[0].created_at
    new = now - timedelta(minutes=2)
    assert not stuck.due(new, now, first, "acknowledged")
    assert stuck.due(new, now + timedelta(minutes=25), first, "acknowledged")
    assert not stuck.due(new, new + timedelta(seconds=50), None, None), "whoever looks has a minute"


def test_the_page_ends_when_nothing_is_stuck_any_more(clock: HeldClock) -> None:
    on_call("stuck work")
    set_aside(clock)
    assert look() == 1
    assert pages()[0].policy == "stuck work"
    with unit_of_work() as uow:
        for row in parked.parked(uow):
            work.replay(uow, SYSTEM, row.kind, UUID(str(row.id)))
    assert look() == 0
    assert [one.state for one in pages()] == ["closed"]


def test_without_a_policy_nobody_is_paged_and_nothing_breaks(clock: HeldClock) -> None:
    set_aside(clock)
    assert look() == 0
    assert pages() == []
