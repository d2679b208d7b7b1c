"""Paging: attempts, acknowledgement, escalation, the brake, crashes between sending and the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from held_time import HeldClock
from sqlalchemy import select

from core import work
from core.actors import SYSTEM, Actor, ActorKind
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, NotFound
from core.journal import entries
from core.settings import configure, settings
from core.types import Ref, Severity
from notify import contacts, delivery, inbox, ledger, queries, registry, sending
from notify.channels.inbox import channel as inbox_channel
from notify.contract import Channel, Context, Field, Outgoing, Sent, Undeliverable
from notify.escalation import Target
from notify.models import Page, PageAttempt, PageState, Policy, TargetState
from notify.oncall.editing import RotationDraft, create_schedule
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy, update_policy

pytestmark = pytest.mark.usefixtures("database", "clock", "far_end")
SUBJECT = Ref("incident", str(uuid4()))
ADMIN = Actor(ActorKind.system, "system", "Test")


@dataclass
class FarEnd:
    """The far end of the test channels `sms` and `mail`: keeps what arrives, fails as told."""

    got: list[tuple[str, str, Outgoing]] = field(default_factory=list)
    fail: dict[str, Exception] = field(default_factory=dict)

    def channel(self, name: str) -> Channel:
        def send(outgoing: Outgoing, address: Mapping[str, str], context: Context) -> Sent:
            to = address["to"]
            if (error := self.fail.get(to)) is not None:
                raise error
            self.got.append((name, to, outgoing))
            return Sent(f"{name}-{len(self.got)}", "250 taken")

        return Channel(name=name, title=name, send=send, address=(Field("to", "To"),))

    def to(self, name: str) -> list[Outgoing]:
        return [outgoing for _, to, outgoing in self.got if to == name]


class PowerCut(BaseException):
    """Ends a worker as kill -9 would: nothing after it runs."""


@pytest.fixture
def far_end(monkeypatch: pytest.MonkeyPatch) -> FarEnd:
    end = FarEnd()
    found = {"sms": end.channel("sms"), "mail": end.channel("mail"), "inbox": inbox_channel}
    monkeypatch.setattr(registry, "all_channels", lambda: found)
    return end


def person(name: str, *ways: str, delay: int = 180, roles: tuple[str, ...] = ("responder",)) -> UUID:
    """A user with contact methods such as "sms:ana"."""
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=f"{name}@example.org", name=name.title(), roles=roles)
        for way in ways:
            channel, to = way.split(":")
            contacts.add(uow, SYSTEM, user_id=user.id, channel=channel, address={"to": to}, delay=delay)
        return user.id


def user(user_id: UUID) -> Target:
    return Target("user", str(user_id))


def policy(*steps: list[Target], last: list[Target] | None = None, repeat: int = 0, delay: int = 300) -> None:
    with unit_of_work() as uow:
        drafts = tuple(StepDraft(tuple(targets), delay) for targets in steps)
        create_policy(
            uow, SYSTEM, PolicyDraft("critical", drafts, tuple(last or steps[0]), repeat, catch_all_delay=300)
        )


def ring(
    key: str | None = None, severity: Severity = Severity.high, title: str = "Malware on WS-7", kind: str | None = None,
    *, at_once: bool = False,
) -> UUID:  # fmt: skip
    with unit_of_work() as uow:
        page = delivery.page(
            uow, SYSTEM, policy="critical", subject=SUBJECT, title=title,
            message="Isolate it?\nSee http://evil.example/x\nthird line", severity=severity, path="/incidents/1", key=key,
            kind=kind, at_once=at_once,
        )  # fmt: skip
        return page.id


def look(page_id: UUID) -> Page:
    with reading() as session:
        return queries.page_by_id(session, page_id)


def tried(page_id: UUID) -> list[tuple[str, str]]:
    with reading() as session:
        return [(a.shown, a.state) for a in queries.attempts(session, page_id) if a.channel != "inbox"]


def verbs(page_id: UUID) -> list[str]:
    with reading() as session:
        return [entry.verb for entry in reversed(entries(session, ref=Ref("page", str(page_id)), limit=200))]


def acting(user_id: UUID) -> Actor:
    with reading() as session:
        return users.actor_of(users.get(session, user_id))


Drain = Callable[..., int]


def test_a_page_goes_out_at_once_and_everything_is_kept(far_end: FarEnd, drain: Drain) -> None:
    ana = person("ana", "sms:ana", "mail:ana-mail")
    policy([user(ana)])
    page_id = ring()
    drain()
    [sent] = far_end.to("ana")
    assert sent.text == "Isolate it?\nSee hxxp://evil[.]example/x"
    assert sent.link == "http://tocsin.test/incidents/1"
    assert sent.acknowledge is not None
    assert sent.acknowledge.startswith("http://tocsin.test/a/")
    assert tried(page_id) == [("ana", "sent"), ("ana-mail", "pending")]
    with reading() as session:
        attempt = session.scalars(select(PageAttempt).where(PageAttempt.shown == "ana")).one()
        assert (attempt.receipt, attempt.answer) == ("sms-1", "250 taken")
        found = ledger.of_page(session, queries.page_by_id(session, page_id))
        assert [line.what for line in found if line.channel != "inbox"] == [
            "decided",
            "sent",
            "receipt",
        ]
        assert inbox.unread(session, ana) == 1
    assert verbs(page_id)[0] == "page.started"
    assert {"page.attempted", "page.delivered"} <= set(verbs(page_id))
    assert look(page_id).first_sent_at is not None


def test_the_second_way_follows_when_its_delay_is_over(
    far_end: FarEnd, drain: Drain, clock: HeldClock
) -> None:
    policy([user(person("ana", "sms:ana", "mail:ana-mail"))])
    ring()
    drain()
    clock.advance(minutes=3)
    drain()
    assert len(far_end.to("ana-mail")) == 1


def test_the_second_way_goes_at_once_when_the_first_fails(far_end: FarEnd, drain: Drain) -> None:
    policy([user(person("ana", "sms:ana", "mail:ana-mail"))])
    far_end.fail["ana"] = Undeliverable("no such number", permanent=True)
    page_id = ring()
    drain()
    assert len(far_end.to("ana-mail")) == 1
    assert tried(page_id) == [("ana", "failed"), ("ana-mail", "sent")]


def test_all_ways_failed_escalates_at_once(far_end: FarEnd, drain: Drain) -> None:
    ana, bea = person("ana", "sms:ana", "mail:ana-mail"), person("bea", "sms:bea")
    policy([user(ana)], [user(bea)])
    far_end.fail["ana"] = Undeliverable("no such number", permanent=True)
    far_end.fail["ana-mail"] = Undeliverable("mailbox full")
    page_id = ring()
    drain()
    assert len(far_end.to("bea")) == 1
    assert look(page_id).step == 1
    assert "page.escalated" in verbs(page_id)
    with reading() as session:
        again = session.scalars(select(PageAttempt).where(PageAttempt.tries == 2)).one()
        assert again.shown == "ana-mail"  # what may pass is tried again all the same


def test_not_acknowledged_goes_through_steps_repeat_and_catch_all(
    far_end: FarEnd, drain: Drain, clock: HeldClock
) -> None:
    ana, bea, boss = person("ana", "sms:ana"), person("bea", "sms:bea"), person("boss", "sms:boss")
    policy([user(ana)], [user(bea)], last=[user(boss)], repeat=1)
    page_id = ring()
    reached = []
    for _ in range(6):
        drain()
        reached.append(far_end.got[-1][1])
        clock.advance(minutes=5)
    assert reached == ["ana", "bea", "ana", "bea", "boss", "boss"]
    assert look(page_id).state == PageState.exhausted
    assert verbs(page_id)[-1] == "page.exhausted"
    assert len(far_end.got) == 5


def test_the_same_key_is_the_same_page_until_it_ran_out(
    far_end: FarEnd, drain: Drain, clock: HeldClock
) -> None:
    policy([user(person("ana", "sms:ana"))])
    first = ring("k")
    assert ring("k") == first
    drain()
    assert len(far_end.to("ana")) == 1
    for _ in range(3):
        clock.advance(minutes=6)
        drain()
    assert look(first).state == PageState.exhausted
    sent = len(far_end.got)
    clock.advance(minutes=11)
    assert ring("k") == first
    drain()
    assert look(first).state == PageState.waiting
    assert len(far_end.got) == sent + 1
    with unit_of_work() as uow:
        assert delivery.close(uow, SYSTEM, SUBJECT) == 1
    assert ring("k") != first


def test_nobody_on_call_takes_the_next_step_at_once(far_end: FarEnd, drain: Drain, clock: HeldClock) -> None:
    ana, bea = person("ana", "sms:ana"), person("bea", "sms:bea")
    with unit_of_work() as uow:
        starts = datetime(2027, 1, 1, 9)
        rotation = RotationDraft("Base", (ana,), starts)
        schedule = create_schedule(uow, SYSTEM, name="soc", zone="Europe/Madrid", rotations=[rotation])
    policy([Target("schedule", str(schedule.id))], [user(bea)])
    page_id = ring()
    drain()
    assert [to for _, to, _ in far_end.got] == ["bea"]
    with reading() as session:
        escalated = entries(session, ref=Ref("page", str(page_id)), verbs=["page.escalated"])
        assert (escalated[0].data or {})["reason"] == "nobody is on call for soc"
    clock.hold(datetime.fromisoformat("2027-01-02T09:00:00+00:00"))
    ring()
    drain("notify.attempts")
    assert far_end.got[-1][1] == "ana"


def test_acknowledge_stops_everything_and_counts_once(
    far_end: FarEnd, drain: Drain, clock: HeldClock
) -> None:
    ana, bea = person("ana", "sms:ana", "mail:ana-mail"), person("bea", "sms:bea")
    policy([user(ana)], [user(bea)])
    page_id = ring()
    drain()
    clock.advance(seconds=40)
    with unit_of_work() as uow:
        delivery.acknowledge(uow, acting(ana), page_id, "link")
    with unit_of_work() as uow:
        delivery.acknowledge(uow, acting(bea), page_id, "web")
    page = look(page_id)
    assert (page.state, page.acknowledged_name, page.acknowledged_via) == ("acknowledged", "Ana", "link")
    clock.advance(hours=2)
    assert drain("notify.pages", "notify.bundles", "notify.attempts", "notify.messages") == 1
    assert look(page_id).state == PageState.acknowledged, "it was looked at once more: this is no incident anybody works on"
    assert tried(page_id) == [("ana", "sent"), ("ana-mail", "cancelled")]
    assert verbs(page_id).count("page.acknowledged") == 1


def test_who_was_not_paged_needs_the_permission(far_end: FarEnd) -> None:
    ana = person("ana", "sms:ana", roles=("auditor",))
    stranger = person("eve", roles=("auditor",))
    policy([user(ana)])
    page_id = ring()
    with unit_of_work() as uow, pytest.raises(Forbidden):
        delivery.acknowledge(uow, acting(stranger), page_id, "web")
    with unit_of_work() as uow:
        assert delivery.acknowledge(uow, acting(ana), page_id, "web").state == "acknowledged"
    with unit_of_work() as uow, pytest.raises(NotFound):
        delivery.acknowledge(uow, acting(ana), uuid4(), "web")


def test_escalate_by_hand_also_after_acknowledging(far_end: FarEnd, drain: Drain) -> None:
    ana, bea = person("ana", "sms:ana"), person("bea", "sms:bea")
    policy([user(ana)], [user(bea)])
    page_id = ring()
    drain()
    with unit_of_work() as uow:
        delivery.acknowledge(uow, acting(ana), page_id, "web")
        delivery.escalate(uow, acting(ana), page_id, "I cannot take this")
    drain()
    assert len(far_end.to("bea")) == 1
    assert look(page_id).acknowledged_at is None
    with unit_of_work() as uow:
        delivery.close(uow, SYSTEM, SUBJECT)
    with unit_of_work() as uow, pytest.raises(Conflict, match="closed"):
        delivery.escalate(uow, acting(ana), page_id)


def test_the_brake_bundles_what_is_too_much(far_end: FarEnd, drain: Drain, clock: HeldClock) -> None:
    ana = person("ana", "sms:ana")
    policy([user(ana)], delay=1800)
    pages = [ring(title=f"Alert {n}") for n in range(12)]
    pages += [ring(title=f"Domain admin {n} logged in", severity=Severity.critical) for n in range(12)]
    pages += [ring(title=f"Something new {n}", kind="new") for n in range(3)]
    pages += [ring(title=f"New kind {n}", kind=f"kind {n}") for n in range(4)]
    pages.append(ring(title="Stopped, and you are called", at_once=True))
    drain()
    shown = [outgoing.title for outgoing in far_end.to("ana")]
    passing = [f"Domain admin {n} logged in" for n in range(12)] + ["Something new 0", "New kind 0", "New kind 1"]
    passing.append("Stopped, and you are called")
    assert shown == [f"Alert {n}" for n in range(5)] + passing
    clock.advance(seconds=20)
    drain()
    assert len(far_end.to("ana")) == 22
    bundle = far_end.to("ana")[-1]
    assert bundle.kind == "bundle"
    assert bundle.title == "11 more pages wait for you"
    assert "high: Something new 1" in bundle.items
    assert "high: New kind 2" in bundle.items, "eight first ones have rung"
    with reading() as session:
        assert len(queries.waiting(session, user_id=ana)) == 32
        held = ledger.of_page(session, queries.page_by_id(session, pages[11]))
        assert [line.what for line in held if line.channel != "inbox"] == ["decided", "bundled", "sent", "receipt"]
        assert inbox.unread(session, ana) == 33
    with unit_of_work() as uow:
        delivery.acknowledge(uow, acting(ana), pages[7], "web")
    assert look(pages[7]).state == PageState.acknowledged
    clock.advance(minutes=1)
    late = ring(title="one more")
    drain()
    clock.advance(minutes=1)
    drain()
    assert len(far_end.to("ana")) == 22, "a second bundle keeps its distance"
    clock.advance(minutes=4)
    drain()
    assert far_end.to("ana")[-1].title == "1 more page waits for you"
    assert "page.bundled" in verbs(late)


def test_a_bundle_that_cannot_be_sent_escalates_its_pages(
    far_end: FarEnd, drain: Drain, clock: HeldClock
) -> None:
    ana, bea = person("ana", "sms:ana"), person("bea", "sms:bea")
    policy([user(ana)], [user(bea)], delay=1800)
    pages = [ring(title=f"Alert {n}") for n in range(6)]
    drain()
    far_end.fail["ana"] = Undeliverable("no such number", permanent=True)
    clock.advance(seconds=21)
    drain()
    assert look(pages[-1]).step == 1
    assert [outgoing.title for outgoing in far_end.to("bea")] == ["Alert 5"]


def test_cut_off_between_sending_and_the_answer(
    far_end: FarEnd, drain: Drain, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy([user(person("ana", "sms:ana"))])
    high, low = ring(), ring(severity=Severity.low)
    real = sending._conclude
    monkeypatch.setattr(sending, "_conclude", lambda *_: (_ for _ in ()).throw(PowerCut()))
    for _ in ("the inbox", "the messages to the phone"):  # each far end is a batch of its own
        with pytest.raises(PowerCut):
            drain("notify.attempts")
    monkeypatch.setattr(sending, "_conclude", real)
    sent_before = len(far_end.to("ana"))
    assert sent_before == 2
    assert drain("notify.attempts") == 0, "the lease still holds"
    clock.advance(seconds=61)
    drain("notify.attempts")
    assert tried(high) == [("ana", "unknown"), ("ana", "sent")]
    assert tried(low) == [("ana", "unknown")]
    again = list(far_end.to("ana")[sent_before:])
    assert [outgoing.thread for outgoing in again] == [str(high)]
    assert again[0].id in {outgoing.id for outgoing in far_end.to("ana")[:sent_before]}, (
        "the far end may see one"
    )


@pytest.mark.parametrize(("deaths", "reached"), [(9, "ana"), (sending.MOST_CUT_OFF, "bea")])
def test_dying_again_and_again_is_no_failure_of_the_channel(
    far_end: FarEnd, drain: Drain, clock: HeldClock, monkeypatch: pytest.MonkeyPatch, deaths: int, reached: str
) -> None:
    policy([user(person("ana", "sms:ana"))], [user(person("bea", "sms:bea"))], delay=1800)
    ring()
    left, real = [deaths], sending.send

    def dies(job: sending.Job) -> sending.Outcome:
        if job.channel == "sms" and left[0]:
            left[0] -= 1
            raise PowerCut
        return real(job)

    monkeypatch.setattr(sending, "send", dies)
    for _ in range(deaths):
        with pytest.raises(PowerCut):
            drain("notify.attempts")
        clock.advance(seconds=21)
    drain()
    assert len(far_end.to(reached)) == 1


def test_cut_off_before_sending_sends_once(
    far_end: FarEnd, drain: Drain, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy([user(person("ana", "sms:ana"))])
    page_id = ring()
    real = sending._intend
    monkeypatch.setattr(sending, "_intend", lambda *_: (_ for _ in ()).throw(PowerCut()))
    with pytest.raises(PowerCut):
        drain("notify.attempts")
    monkeypatch.setattr(sending, "_intend", real)
    clock.advance(seconds=61)
    drain("notify.attempts")
    assert len(far_end.to("ana")) == 1
    assert tried(page_id) == [("ana", "sent")]


def test_a_channel_with_a_bug_ends_as_a_failed_way(far_end: FarEnd, drain: Drain, clock: HeldClock) -> None:
    ana, bea = person("ana", "sms:ana"), person("bea", "sms:bea")
    policy([user(ana)], [user(bea)], delay=3600)
    far_end.fail["ana"] = KeyError("to")
    page_id = ring()
    for _ in range(12):
        drain("notify.attempts", "notify.pages")
        clock.advance(seconds=90)
    assert len(far_end.to("bea")) == 1
    assert look(page_id).step == 1


def test_muzzled_sends_nothing_out_but_shows_it_inside(far_end: FarEnd, drain: Drain) -> None:
    configure(settings().with_(muzzled=True))
    ana = person("ana", "sms:ana")
    policy([user(ana)])
    page_id = ring()
    drain()
    assert far_end.got == []
    assert tried(page_id) == [("ana", "muzzled")]
    with reading() as session:
        [attempt] = [a for a in queries.attempts(session, page_id) if a.channel == "sms"]
        assert attempt.answer == "not sent: this Tocsin is muzzled"
        assert inbox.unread(session, ana) == 1
    assert look(page_id).state == PageState.waiting


def test_without_contact_methods_the_inbox_counts(far_end: FarEnd, drain: Drain) -> None:
    ana = person("ana")
    policy([user(ana)])
    page_id = ring()
    drain()
    with reading() as session:
        [target] = queries.targets(session, page_id)
        assert target.state == TargetState.reached
        [item] = inbox.items(session, ana)
        assert item.title == "Malware on WS-7"
    with unit_of_work() as uow:
        assert inbox.mark_read(uow, acting(ana)) == 1


def test_an_unknown_policy_uses_the_default_one(far_end: FarEnd, drain: Drain) -> None:
    ana = person("ana", "sms:ana")

    def start() -> None:
        with unit_of_work() as uow:
            delivery.page(
                uow,
                SYSTEM,
                policy="typo",
                subject=SUBJECT,
                title="t",
                message="",
                severity=Severity.high,
                path="/x",
            )

    with pytest.raises(NotFound, match="no escalation policy"):
        start()
    policy([user(ana)])
    start()
    drain()
    assert len(far_end.to("ana")) == 1


def test_a_page_keeps_the_policy_it_started_with(far_end: FarEnd, drain: Drain, clock: HeldClock) -> None:
    ana, bea, cai = person("ana", "sms:ana"), person("bea", "sms:bea"), person("cai", "sms:cai")
    policy([user(ana)], [user(bea)])
    ring()
    with unit_of_work() as uow:
        found = uow.scalars(select(Policy)).one()
        changed = PolicyDraft("critical", (StepDraft((user(cai),)),), (user(cai),))
        update_policy(uow, SYSTEM, found.id, changed)
    drain()
    clock.advance(minutes=5)
    drain()
    assert [to for _, to, _ in far_end.got] == ["ana", "bea"]


def test_a_shared_place_is_a_target_too(far_end: FarEnd, drain: Drain) -> None:
    with unit_of_work() as uow:
        place = contacts.add(uow, SYSTEM, user_id=None, channel="sms", address={"to": "soc"}, name="#soc")
    policy([Target("contact", str(place.id))])
    page_id = ring()
    drain()
    [sent] = far_end.to("soc")
    assert sent.acknowledge is None, "nobody in particular could be said to have acknowledged"
    assert tried(page_id) == [("soc", "sent")]


def test_a_taken_over_attempt_writes_nothing(far_end: FarEnd, drain: Drain, clock: HeldClock) -> None:
    policy([user(person("ana", "sms:ana"))])
    page_id = ring()
    stale = list(work.claim(sending.ATTEMPTS, 10))
    clock.advance(seconds=61)
    drain("notify.attempts")
    with pytest.raises(work.LostLease):
        sending._send_and_tell(stale[0], sending.Job("sms", far_end.got[0][2], {"to": "late"}, Context()))
    assert tried(page_id) == [("ana", "sent")]
