"""An acknowledged page about which nobody does anything rings again: once, whatever dies meanwhile, and only if it is loud."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from held_time import HeldClock
from sqlalchemy import select

from core import work
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.journal import Entry, entries
from core.types import Ref, Severity
from notify import delivery, due_pages, ledger, queries, working
from notify.escalation import Target
from notify.models import InboxItem, Page, PageTarget
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy

pytestmark = pytest.mark.usefixtures("database", "clock")
Drain = Callable[..., int]
HALF_AN_HOUR = timedelta(minutes=30)


class PowerCut(BaseException):
    """Ends a worker as kill -9 would: nothing after it runs."""


class Hands:
    """Whether somebody works on what pages are about, and since when that was asked."""

    def __init__(self) -> None:
        self.busy = False
        self.asked: list[object] = []

    def decide(self, _session: object, _subject: Ref, since: object) -> bool:
        self.asked.append(since)
        return self.busy


@pytest.fixture(autouse=True)
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    found = Hands()
    monkeypatch.setattr(working, "_deciding", [found.decide])
    return found


@pytest.fixture
def team() -> dict[str, UUID]:
    with unit_of_work() as uow:
        return {
            name: users.create(uow, SYSTEM, email=f"{name}@example.org", name=name.title(), roles=["responder"]).id
            for name in ("ana", "bea")
        }


def policy(team: dict[str, UUID], **more: Any) -> None:
    ana, bea = ((Target("user", str(team[name])),) for name in ("ana", "bea"))
    steps = (StepDraft(ana, 300), StepDraft(bea, 3600))
    with unit_of_work() as uow:
        create_policy(uow, SYSTEM, PolicyDraft("critical", steps, ana, **more))


def ring(severity: Severity = Severity.high, about: str = "1") -> UUID:
    with unit_of_work() as uow:
        return delivery.page(
            uow, SYSTEM, policy="critical", subject=Ref("thing", about), title="Malware on WS-7", message="Isolate it?",
            severity=severity, path="/", received_at=uow.now - timedelta(seconds=2),
        ).id  # fmt: skip


def acknowledge(page_id: UUID, who: UUID) -> None:
    with unit_of_work() as uow:
        delivery.acknowledge(uow, users.actor_of(users.get(uow, who)), page_id, "link")


def look(page_id: UUID) -> Page:
    with reading() as session:
        return queries.page_by_id(session, page_id)


def lapses(page_id: UUID) -> list[Entry]:
    with reading() as session:
        return entries(session, ref=Ref("page", str(page_id)), verbs=["page.lapsed"])


def reached(page_id: UUID, round_: int) -> dict[UUID | None, str]:
    with reading() as session:
        query = select(PageTarget).where(PageTarget.page_id == page_id, PageTarget.round == round_)
        return {target.user_id: target.why for target in session.scalars(query)}


def test_it_rings_again_from_the_first_step_and_says_why(
    team: dict[str, UUID], drain: Drain, clock: HeldClock
) -> None:
    policy(team)
    page_id = ring()
    drain()
    clock.advance(minutes=5)
    drain()
    acknowledge(page_id, team["bea"])
    clock.advance(HALF_AN_HOUR - timedelta(seconds=1))
    assert drain("notify.pages") == 0
    clock.advance(seconds=1)
    drain()
    page = look(page_id)
    assert (page.state, page.step, page.lapsed_at, page.lapsed_name) == ("waiting", 0, clock.now, "Bea")
    assert page.acknowledged_at is None
    assert reached(page_id, page.round) == {
        team["ana"]: "named in the policy",
        team["bea"]: "the one who had acknowledged it",
    }
    (entry,) = lapses(page_id)
    assert entry.ref("thing") == "1"
    assert entry.ref("user") == str(team["bea"])
    assert entry.data == {"reason": "Bea acknowledged it 30 minutes ago, and nobody has done anything since"}
    with reading() as session:
        newest = session.scalars(
            select(InboxItem).where(InboxItem.user_id == team["ana"]).order_by(InboxItem.id.desc())
        ).first()
        assert newest is not None
        assert newest.text.startswith("Bea had acknowledged this, and nobody has done anything since.")
    clock.advance(minutes=1)
    acknowledge(page_id, team["ana"])
    with reading() as session:
        lines = ledger.of_page(session, look(page_id))
    minutes = [(line.what, round(line.ms / 60_000)) for line in ledger.moments(lines)]
    assert minutes == [
        ("received", 0), ("decided", 0), ("sent", 0), ("receipt", 0), ("acknowledged", 5),
        ("lapsed", 35), ("sent", 35), ("receipt", 35), ("acknowledged", 36),
    ]  # fmt: skip
    assert [line.ms for line in lines][:2] == [0, 2000]


def test_it_stays_quiet_when_somebody_does_something(
    team: dict[str, UUID], drain: Drain, clock: HeldClock, hands: Hands
) -> None:
    policy(team)
    page_id = ring()
    acknowledged = clock.advance(minutes=1)
    acknowledge(page_id, team["ana"])
    hands.busy = True
    clock.advance(HALF_AN_HOUR)
    drain()
    hands.busy = False
    clock.advance(hours=9)
    drain()
    assert look(page_id).state == "acknowledged"
    assert hands.asked == [acknowledged]


@pytest.mark.parametrize(
    ("severity", "ack_timeout", "again"),
    [
        (Severity.critical, 1800, True),
        (Severity.unknown, 1800, True),
        (Severity.high, 600, True),
        (Severity.high, 3600, False),
        (Severity.critical, 0, False),
        (Severity.medium, 1800, False),
    ],
)
def test_how_loud_and_when(
    team: dict[str, UUID], drain: Drain, clock: HeldClock, severity: Severity, ack_timeout: int, again: bool
) -> None:
    policy(team, ack_timeout=ack_timeout)
    page_id = ring(severity)
    acknowledge(page_id, team["ana"])
    clock.advance(HALF_AN_HOUR)
    drain()
    assert look(page_id).state == ("waiting" if again else "acknowledged")


def test_a_worker_that_dies_in_the_middle_leaves_it_to_the_next(
    team: dict[str, UUID], drain: Drain, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(team)
    page_id = ring()
    acknowledge(page_id, team["ana"])
    clock.advance(HALF_AN_HOUR)
    with monkeypatch.context() as cut:
        cut.setattr(work, "later", lambda *_: (_ for _ in ()).throw(PowerCut()))
        with pytest.raises(PowerCut):
            drain("notify.pages")
    assert look(page_id).state == "acknowledged"
    assert lapses(page_id) == []
    clock.advance(seconds=61)
    with ThreadPoolExecutor(3) as workers:
        list(workers.map(work.drain, ["notify.pages"] * 3))
    assert look(page_id).state == "waiting"
    assert len(lapses(page_id)) == 1
    assert len(reached(page_id, look(page_id).round)) == 1


def test_two_pages_about_one_thing_ring_again_once(
    team: dict[str, UUID], drain: Drain, clock: HeldClock
) -> None:
    policy(team)
    both = [ring(), ring()]
    other = ring(about="2")
    for page_id in (*both, other):
        acknowledge(page_id, team["ana"])
    clock.advance(HALF_AN_HOUR)
    drain()
    assert sorted(look(page_id).state for page_id in both) == ["acknowledged", "waiting"]
    assert look(other).state == "waiting"


def test_who_acknowledges_while_a_worker_has_it_in_hand_keeps_the_whole_time(
    team: dict[str, UUID], clock: HeldClock
) -> None:
    policy(team)
    page_id = ring()
    clock.advance(minutes=5)
    claims = work.claim(due_pages.PAGES, 5)
    acknowledge(page_id, team["ana"])
    due_pages.PAGES.handle(claims)
    page = look(page_id)
    assert (page.state, page.due_at) == ("acknowledged", clock.now + HALF_AN_HOUR)


def test_of_two_pages_about_one_thing_that_fall_due_at_once_one_rings(
    team: dict[str, UUID], clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(team)
    both = [ring(), ring()]
    for page_id in both:
        acknowledge(page_id, team["ana"])
    clock.advance(HALF_AN_HOUR + timedelta(seconds=1))
    looked = due_pages._rings_anyway

    def slowly(uow: Any, page: Page) -> bool:
        found = looked(uow, page)
        time.sleep(0.4)  # the other worker looks meanwhile, where nothing holds it back
        return found

    monkeypatch.setattr(due_pages, "_rings_anyway", slowly)
    claims = work.claim(due_pages.PAGES, 10)
    assert {claim.id for claim in claims} == set(both)
    with ThreadPoolExecutor(2) as workers:
        list(workers.map(lambda claim: due_pages._handle([claim]), claims))
    with reading() as session:
        states = sorted(session.scalars(select(Page.state)))
    assert states == ["acknowledged", "waiting"]
