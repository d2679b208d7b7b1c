"""A page that cannot be sent for a reason nobody foresaw stops no other, is parked, listed, and sent when somebody says so."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from held_time import HeldClock
from people_here import People
from sqlalchemy import select

from core import parked
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.types import Ref, Severity
from notify import contacts, delivery, reaching, registry
from notify.channels.inbox import channel as inbox_channel
from notify.contract import Channel, Context, Field, Outgoing, Sent
from notify.escalation import Target
from notify.models import AttemptState, PageAttempt
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy

pytestmark = pytest.mark.usefixtures("database", "clock")


def on_call(name: str) -> None:
    """Somebody who is reached by a policy of the same name."""
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=f"{name}@example.org", name=name, roles=["responder"])
        contacts.add(uow, SYSTEM, user_id=user.id, channel="sms", address={"to": name})
        target = (Target("user", str(user.id)),)
        create_policy(uow, SYSTEM, PolicyDraft(name, (StepDraft(target, 36_000),), target))
        delivery.page(
            uow, SYSTEM, policy=name, subject=Ref("incident", name), title=f"For {name}", message="",
            severity=Severity.high, path="/",
        )  # fmt: skip


def test_a_poisoned_page_is_parked_listed_and_sent_again(
    people: People, clock: HeldClock, drain: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sent = [True], []

    def send(outgoing: Outgoing, _address: Mapping[str, str], _context: Context) -> Sent:
        sent.append(outgoing.title)
        return Sent("1", "250 taken")

    real = reaching.address_of

    def address_of(*given: Any) -> dict[str, str] | None:
        address = real(*given)
        if broken and address == {"to": "poisoned"}:
            raise ZeroDivisionError("its secrets cannot be read")
        return address

    sms = Channel(name="sms", title="sms", send=send, address=(Field("to", "To"),))
    monkeypatch.setattr(registry, "all_channels", lambda: {"sms": sms, "inbox": inbox_channel})
    monkeypatch.setattr(reaching, "address_of", address_of)
    on_call("poisoned")
    on_call("well")
    drain("notify.attempts")
    assert sent == ["For well"], "one bad page stops no other"
    for _ in range(10):
        clock.advance(minutes=6)
        drain("notify.attempts")
    with reading() as session:
        (stuck,) = parked.parked(session)
    assert (stuck.kind, stuck.error) == ("notify.attempts", "ZeroDivisionError: its secrets cannot be read")
    broken.clear()
    with unit_of_work() as uow:
        parked.replay(uow, people.admin, stuck.kind, stuck.id)
    drain("notify.attempts")
    assert sent == ["For well", "For poisoned"]
    with reading() as session:
        assert (
            session.scalar(select(PageAttempt.state).where(PageAttempt.id == stuck.id)) == AttemptState.sent
        )
        assert parked.parked(session) == []
