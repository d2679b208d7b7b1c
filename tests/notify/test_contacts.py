"""Contact methods: checked when entered, sealed when secret, used in order."""

from uuid import UUID

import pytest

from core.actors import SYSTEM, Actor
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Forbidden, Invalid, NotFound
from core.journal import entries
from core.types import Ref
from notify import contacts, queries, reaching
from notify.models import ContactMethod
from notify.reaching import Wanted

pytestmark = pytest.mark.usefixtures("database")


def person(name: str = "ana") -> Actor:
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=f"{name}@example.org", name=name.title(), roles=["responder"])
        return users.actor_of(user)


def add(actor: Actor, channel: str, address: dict[str, str], **more: object) -> UUID:
    with unit_of_work() as uow:
        return contacts.add(uow, actor, user_id=actor.user_id, channel=channel, address=address, **more).id  # type: ignore[arg-type]  # by name


def test_secrets_are_sealed_and_come_back_whole() -> None:
    ana = person()
    method_id = add(ana, "ntfy", {"topic": "very-secret-topic", "server": "https://push.example.org"})
    with reading() as session:
        row = session.get_one(ContactMethod, method_id)
        assert row.address == {"server": "https://push.example.org"}
        assert row.shown == "ntfy topic ve…"
        assert row.secrets is not None
        assert "very-secret" not in row.secrets
        address = reaching.address_of(session, "ntfy", method_id, ana.user_id)
        assert address == {"topic": "very-secret-topic", "server": "https://push.example.org"}
        told = entries(session, ref=Ref("user", ana.id), verbs=["contact.changed"])
        assert "very-secret" not in str(told)


def test_every_problem_is_told_at_once() -> None:
    ana = person()
    with pytest.raises(Invalid) as refused:
        add(ana, "webhook", {"url": "file:///etc/passwd", "colour": "red"}, urgency="loud", delay=9999)
    assert {problem.path for problem in refused.value.problems} == {
        "address.url",
        "address",
        "urgency",
        "delay",
    }
    with pytest.raises(Invalid) as refused:
        add(ana, "email", {"to": "a@b.example, c@d.example"})
    assert refused.value.problems[0].message == "is not one mail address"


def test_one_may_change_ones_own_only() -> None:
    ana, eve = person(), person("eve")
    method_id = add(ana, "email", {"to": "ana@example.org"})
    with unit_of_work() as uow, pytest.raises(Forbidden):
        contacts.remove(uow, eve, method_id)
    with unit_of_work() as uow, pytest.raises(Forbidden):
        contacts.add(uow, ana, user_id=None, channel="email", address={"to": "x@example.org"}, name="x")
    with unit_of_work() as uow:
        contacts.remove(uow, ana, method_id)
    with unit_of_work() as uow, pytest.raises(NotFound):
        contacts.verified(uow, ana, method_id)


def ways(user: Actor, urgency: str = "high") -> list[str]:
    with reading() as session:
        found = reaching.methods(session, Wanted(user.user_id, None, ""), urgency)
        return [method.shown for method in found]


def test_order_and_urgency_decide() -> None:
    ana = person()
    one = add(ana, "email", {"to": "one@example.org"})
    two = add(ana, "email", {"to": "two@example.org"}, urgency="high")
    low = add(ana, "email", {"to": "low@example.org"}, urgency="low")
    assert ways(ana) == ["one@example.org", "two@example.org", "inbox"]
    assert ways(ana, "low") == ["one@example.org", "low@example.org", "inbox"]
    with unit_of_work() as uow:
        contacts.reorder(uow, ana, ana.user_id, [two, one])  # type: ignore[arg-type]  # a person has an id
    assert ways(ana) == ["two@example.org", "one@example.org", "inbox"]
    with unit_of_work() as uow:
        contacts.verified(uow, ana, one)
        contacts.change(uow, ana, low, urgency="any", delay=60)
    assert ways(ana) == ["two@example.org", "one@example.org", "low@example.org", "inbox"], "unproven ones are tried too"
    with reading() as session:
        assert len(queries.contact_methods(session, ana.user_id)) == 3


def test_the_accounts_own_address_is_used_at_once_and_to_be_confirmed_as_any_other() -> None:
    ana = person()
    method_id = add(ana, "email", {"to": "Ana@example.org"})
    assert ways(ana) == ["Ana@example.org", "inbox"]
    with reading() as session:
        assert session.get_one(ContactMethod, method_id).verified_at is None


def test_channel_settings_keep_a_secret_that_is_left_empty() -> None:
    with unit_of_work() as uow:
        contacts.configure_channel(uow, SYSTEM, "slack", {"bot_token": "xoxb-1"})
    with unit_of_work() as uow:
        contacts.configure_channel(
            uow, SYSTEM, "slack", {"bot_token": "", "api_url": "https://proxy.example.org"}
        )
    with reading() as session:
        config = reaching.config_of(session, "slack")
        assert config == {"bot_token": "xoxb-1", "api_url": "https://proxy.example.org"}
    with unit_of_work() as uow, pytest.raises(Invalid):
        contacts.configure_channel(uow, SYSTEM, "slack", {"api_url": "nonsense"})
