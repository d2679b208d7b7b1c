"""People answer pages by message and by key; what a far end tells afterwards counts; each is heard once."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import httpx
import pytest
import respx
from held_time import HeldClock
from sqlalchemy import select

from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Forbidden, Invalid, NotFound
from core.settings import configure, settings
from core.types import Ref, Severity
from fake_twilio import FakeTwilio, signed
from incidents import outside  # what may be said is decided there
from notify import callbacks, codes, contacts, delivery, queries
from notify.escalation import Target
from notify.ledger import of_page
from notify.models import Page, PageAttempt, PageState
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy

pytestmark = pytest.mark.usefixtures("database", "clock")
ANA, BEA = "+34600111222", "+34600333444"
SMS = "https://tocsin.example.com/callbacks/twilio_sms"
Drain = Callable[..., int]


@pytest.fixture
def far(database: object) -> Iterator[FakeTwilio]:
    assert outside.HIDDEN
    configure(settings().with_(base_url="https://tocsin.example.com"))
    with respx.mock(assert_all_called=False) as router:
        fake = FakeTwilio(router)
        fake.set_up()
        yield fake


def person(name: str, *ways: tuple[str, str]) -> Target:
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=f"{name}@example.org", name=name.title(), roles=("responder",))
        for channel, number in ways:
            contacts.add(uow, SYSTEM, user_id=user.id, channel=channel, address={"to": number})
        return Target("user", str(user.id))


def ring(*steps: Target, title: str = "Beacon from 203.0.113.9") -> UUID:
    with unit_of_work() as uow:
        drafts = tuple(StepDraft((target,), 300) for target in steps)
        create_policy(uow, SYSTEM, PolicyDraft("critical", drafts, (steps[-1],), 0, catch_all_delay=300))
        return delivery.page(
            uow, SYSTEM, policy="critical", subject=Ref("incident", str(uuid4())), title=title,
            message="two lines", severity=Severity.high, path="/incidents/1",
        ).id  # fmt: skip


def look(page_id: UUID) -> Page:
    with reading() as session:
        return queries.page_by_id(session, page_id)


def told(page_id: UUID) -> list[tuple[str, str]]:
    with reading() as session:
        return [(a.channel, a.state) for a in queries.attempts(session, page_id) if a.channel != "inbox"]


def ledger(page_id: UUID) -> list[str]:
    with reading() as session:
        found = of_page(session, queries.page_by_id(session, page_id))
        return [line.what for line in found if line.channel != "inbox"]


def write(sender: str, text: str, number: str = "SM9") -> str:
    call = signed(SMS, MessageSid=number, From=sender, Body=text)
    return callbacks.heard("twilio_sms", None, call, "192.0.2.1").body.decode()


def hear(kind: str, url: str, **fields: str) -> str:
    token = url.rpartition("/")[2]
    return callbacks.heard(kind, token, signed(url, **fields), "192.0.2.1").body.decode()


def test_a_message_is_answered_with_its_code(far: FakeTwilio, drain: Drain) -> None:
    page_id = ring(person("ana", ("twilio_sms", ANA)), person("bea", ("twilio_sms", BEA)))
    drain()
    [message] = far.messages
    code = look(page_id).reply_code or ""
    assert message["To"] == ANA
    assert message["Body"].startswith(f"HIGH: Beacon from *** Reply {code} to acknowledge")
    hear("twilio_sms", message["StatusCallback"], MessageSid=message["sid"], MessageStatus="delivered")
    assert "You have it" in write(ANA, f"{code.lower()} I am on it")
    page = look(page_id)
    assert (page.state, page.acknowledged_name, page.acknowledged_via) == ("acknowledged", "Ana", "sms")
    assert ledger(page_id) == ["decided", "sent", "receipt", "arrived", "answered", "acknowledged"]


def test_only_those_who_were_paged_can_answer_and_nobody_guesses(far: FakeTwilio, drain: Drain) -> None:
    page_id = ring(person("ana", ("twilio_sms", ANA)), person("bea", ("twilio_sms", BEA)))
    drain()
    code = look(page_id).reply_code or ""
    assert "Message" not in write("+15550001111", code), "a stranger's number is not answered"
    assert callbacks.NOT_KNOWN in write(BEA, code), "Bea has not been paged yet"
    other = next(c for c in ("A22", "A23") if c != code)
    answered = [callbacks.NOT_KNOWN in write(ANA, other, f"SM{n}") for n in range(7)]
    assert answered == [True] * 5 + [False] * 2, "then it is silent"
    assert look(page_id).state == PageState.waiting


def test_the_same_message_again_changes_nothing(far: FakeTwilio, drain: Drain) -> None:
    page_id = ring(person("ana", ("twilio_sms", ANA)), person("bea", ("twilio_sms", BEA)))
    drain()
    code = look(page_id).reply_code or ""
    first = write(ANA, f"{code} pass")
    assert callbacks.PASSED in first
    assert look(page_id).step == 1
    assert write(ANA, f"{code} pass") == first
    assert look(page_id).step == 1
    assert "You have it" in write(ANA, code, "SM10")
    with unit_of_work() as uow:
        delivery.escalate(uow, SYSTEM, page_id, "somebody else must")
    assert "You have it" in write(ANA, code, "SM10")
    assert look(page_id).state == PageState.waiting, "an old answer that comes again acknowledges nothing"


def test_a_key_acknowledges_and_another_passes_it_on(far: FakeTwilio, drain: Drain) -> None:
    page_id = ring(person("ana", ("twilio_voice", ANA)), person("bea", ("twilio_voice", BEA)))
    drain()
    url, number = far.calls[0]["StatusCallback"], far.calls[0]["sid"]
    assert "means nothing" in hear("twilio_voice", url, CallSid=number, CallStatus="in-progress", Digits="7")
    assert callbacks.PASSED in hear("twilio_voice", url, CallSid=number, CallStatus="in-progress", Digits="2")
    drain()
    hear("twilio_voice", url, CallSid=number, CallStatus="completed")
    assert told(page_id) == [("twilio_voice", "sent"), ("twilio_voice", "sent")], (
        "who answered has not failed"
    )
    url, number = far.calls[1]["StatusCallback"], far.calls[1]["sid"]
    assert "You have it" in hear("twilio_voice", url, CallSid=number, CallStatus="in-progress", Digits="1")
    assert (look(page_id).acknowledged_name, look(page_id).acknowledged_via) == ("Bea", "call")


def test_an_unanswered_call_makes_the_next_way_go_out(
    far: FakeTwilio, drain: Drain, clock: HeldClock
) -> None:
    page_id = ring(
        person("ana", ("twilio_voice", ANA), ("twilio_sms", ANA)), person("bea", ("twilio_sms", BEA))
    )
    drain()
    assert not far.messages, "the second way waits for its delay"
    clock.advance(seconds=40)
    call = {"CallSid": far.calls[0]["sid"], "CallStatus": "completed"}
    hear("twilio_voice", far.calls[0]["StatusCallback"], **call)
    hear("twilio_voice", far.calls[0]["StatusCallback"], **call)
    drain()
    assert [message["To"] for message in far.messages] == [ANA]
    assert told(page_id) == [("twilio_voice", "failed"), ("twilio_sms", "sent")]
    message = far.messages[0]
    failed = {"MessageSid": message["sid"], "MessageStatus": "undelivered", "ErrorCode": "30003"}
    hear("twilio_sms", message["StatusCallback"], **failed)
    drain()
    assert [message["To"] for message in far.messages] == [ANA, BEA], (
        "with no way left the next step is taken"
    )
    assert ledger(page_id).count("failed") == 2
    with reading() as session:
        assert "30003" in (" ".join(session.scalars(select(PageAttempt.failure).where(PageAttempt.failure.is_not(None)))))


def test_a_receipt_that_overtakes_the_answer_still_counts(far: FakeTwilio, drain: Drain) -> None:
    page_id = ring(person("ana", ("twilio_sms", ANA)), person("bea", ("twilio_sms", BEA)))
    taken = far._message

    def tell_at_once(request: httpx.Request) -> httpx.Response:
        answer = taken(request)
        message = far.messages[-1]
        if message["To"] == ANA:
            hear("twilio_sms", message["StatusCallback"], MessageSid=message["sid"], MessageStatus="failed")
        return answer

    far.router.routes[0].mock(side_effect=tell_at_once)
    drain()
    assert [message["To"] for message in far.messages] == [ANA, BEA]
    assert told(page_id)[0] == ("twilio_sms", "failed")


def test_what_proves_nothing_is_refused(far: FakeTwilio, drain: Drain) -> None:
    ring(person("ana", ("twilio_sms", ANA)))
    drain()
    url = far.messages[0]["StatusCallback"]
    with pytest.raises(Forbidden):
        callbacks.heard(
            "twilio_sms", url.rpartition("/")[2], signed(url, "wrong", MessageSid="x"), "192.0.2.1"
        )
    with pytest.raises(Invalid):
        hear("twilio_sms", f"{SMS}/made-up", MessageSid="x", MessageStatus="delivered")
    with pytest.raises(NotFound):
        callbacks.heard("email", None, signed(SMS), "192.0.2.1")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A47", "A47"),
        ("a 47 ok", "A47"),
        ("ok: a-47!", "A47"),
        ("A4", None),
        ("HA477", None),
        ("call me", None),
    ],
)
def test_codes_are_read_as_people_write_them(text: str, code: str | None) -> None:
    assert codes.read(text) == code
