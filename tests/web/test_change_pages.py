"""Guarded changes at the pages: proposed where the thing is edited, shown on Now, agreed to by somebody else, told by mail."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from at_the_pages import Reader
from held_time import HeldClock
from mail_server import MailServer
from people_here import People, unproved
from sqlalchemy import select

from connectors import rails
from connectors.models import ActionBudget, ProtectedEntity
from core import four_eyes
from core.actors import SYSTEM, Actor
from core.auth import users
from core.auth.models import SecondFactor
from core.db import reading, unit_of_work
from core.journal import entries
from core.settings import configure, settings
from ingest import sources
from notify.escalation import Target
from notify.models import InboxItem, Policy
from notify.oncall import policy_editing, saving
from notify.oncall.policy_editing import PolicyDraft, StepDraft
from playbooks import promoting, publishing
from playbooks.models import Playbook

pytestmark = pytest.mark.usefixtures("sqlite_database")


@pytest.fixture
def team(clock: HeldClock, people: People) -> People:
    """Ana and Mara have been here for days, with a second factor each."""
    with unit_of_work() as uow:
        for actor in (people.ana, people.mara):
            uow.get_one(users.User, actor.user_id).password = "x"
            uow.add(
                SecondFactor(
                    user_id=actor.user_id,
                    kind="totp",
                    name="App",
                    confirmed_at=uow.now,
                    used_at=uow.now,
                    created_at=uow.now,
                )
            )
    clock.advance(timedelta(days=4))
    return people


def here(actor: Actor) -> Reader:
    """The person at a session that has just shown the second factor."""
    with unit_of_work() as uow:
        assert actor.user_id is not None
        fresh = users.actor_of(users.get(uow, actor.user_id), uow.now)
    return Reader(fresh)


def the_change() -> str:
    with reading() as session:
        (change,) = four_eyes.waiting(session)
        return f"/settings/changes/{change.id}"


def test_protecting_less_is_proposed_shown_and_agreed_to(
    team: People, smtp_server: MailServer, drain: Callable[..., int]
) -> None:
    configure(settings().with_(smtp_url=smtp_server.url, egress_allow=("127.0.0.0/8", "::1/128")))
    mara, ana, rita = here(team.mara), here(team.ana), here(team.rita)
    mara.post("/settings/guardrails/protected", kind="host", value="dc-1", reason="domain controller")
    page = mara.get("/settings/guardrails")
    remove = re.search(r'action="(/settings/guardrails/protected/[^"]+/remove)"', page)
    assert remove
    assert "Show your second factor" in Reader(unproved(team.mara)).post(remove[1], status=403).text
    mara.post(remove[1])
    with reading() as session:
        assert session.query(ProtectedEntity).count() == 1
    change = the_change()
    assert "Waits for a second person" in mara.get("/settings/guardrails")
    assert change in ana.get("/")
    assert change not in mara.get("/")
    assert change not in rita.get("/")
    assert f"{change}/agree" not in mara.get(change)
    assert "for managers and administrators" in rita.get(change)
    mara.post(f"{change}/agree", status=403)
    rita.post(f"{change}/agree", status=403)
    assert "Show your second factor" in Reader(unproved(team.ana)).post(f"{change}/agree", status=403).text
    drain()
    told = smtp_server.wait_for(1)
    assert [mail["X-Envelope-To"] for mail in told] == ["ana@example.org"]
    assert "proposes to loosen" in str(told[0]["Subject"])
    ana.post(f"{change}/agree")
    with reading() as session:
        assert session.query(ProtectedEntity).count() == 0
        assert [one.actor_name for one in entries(session, verbs=["change.agreed"], limit=3)] == ["Ana"]
        assert [one.actor_name for one in entries(session, verbs=["guard.changed"], limit=1)] == ["Mara"]
    assert "in effect" not in ana.get("/settings/changes").lower().split("decided")[0]
    assert "agreed" in ana.get(change)
    drain()
    with reading() as session:
        titles = session.scalars(select(InboxItem.title).where(InboxItem.user_id == team.mara.user_id)).all()
    assert "A guard rail was loosened: Ana agreed" in titles


def test_a_smaller_budget_counts_at_once_a_larger_one_waits(team: People) -> None:
    mara, ana = here(team.mara), here(team.ana)
    Reader(unproved(team.mara)).post("/settings/guardrails/budgets", name="disruptive", per_hour="5")
    with reading() as session:
        assert session.get_one(ActionBudget, "disruptive").per_hour == 5
    mara.post("/settings/guardrails/budgets", name="disruptive", per_hour="50")
    with reading() as session:
        assert session.get_one(ActionBudget, "disruptive").per_hour == 5
    ana.post(f"{the_change()}/refuse", reason="five is plenty")
    with reading() as session:
        assert session.get_one(ActionBudget, "disruptive").per_hour == 5
        assert not four_eyes.waiting(session)
    mara.post("/settings/guardrails/budgets", name="disruptive", per_hour="")  # the default, thirty, is more
    mara.post(f"{the_change()}/refuse")
    assert "withdrawn" in mara.get("/settings/changes")


@pytest.mark.parametrize(("name", "number", "waits"), [
    ("firewall.block", 31, True), ("firewall.block", 30, False), ("write", 500, False), ("write", 501, True),
    ("destructive", None, False),
])  # fmt: skip
def test_what_loosens_a_budget(team: People, name: str, number: int | None, waits: bool) -> None:
    from connectors import registry

    verb = next(
        verb for verb, able in registry.verbs().items() if all(a.effect.value == "disruptive" for a in able)
    )
    with unit_of_work() as uow:
        mara = users.actor_of(users.get(uow, team.mara.user_id), uow.now)  # type: ignore[arg-type]  # a person
        change = rails.set_budget(uow, mara, verb if name == "firewall.block" else name, number)
    assert (change is not None) == waits


def test_more_trust_in_a_source_waits_less_does_not(team: People) -> None:
    with unit_of_work() as uow:
        sources.create(uow, SYSTEM, name="edge", connector="suricata", proof="bearer")
    ana, mara = here(team.ana), here(team.mara)
    assert "How far is it believed?" in ana.get("/settings/sources/edge")
    ana.post("/settings/sources/edge/trust", trust="low")
    with reading() as session:
        assert sources.get(session, "edge").trust == "low"
    ana.post("/settings/sources/edge/trust", trust="normal")
    with reading() as session:
        assert sources.get(session, "edge").trust == "low"
    assert "Waits for a second person" in ana.get("/settings/sources/edge")
    mara.post(f"{the_change()}/agree")
    with reading() as session:
        assert sources.get(session, "edge").trust == "normal"


def test_a_playbook_acts_by_itself_only_when_two_want_it(team: People) -> None:
    publishing.load_at_start()
    with reading() as session:
        key = session.scalars(
            select(Playbook.key).where(Playbook.mode == "ask").order_by(Playbook.key)
        ).first()
        assert key
    mara, ana = here(team.mara), here(team.ana)
    assert "Let it act by itself" in mara.get(f"/playbooks/{key}")
    mara.post(f"/playbooks/{key}/promote")
    assert "Waits for a second person" in mara.get(f"/playbooks/{key}")

    def mode() -> str:
        with reading() as session:
            return session.scalars(select(Playbook.mode).where(Playbook.key == key)).one()

    assert mode() == "ask"
    ana.post(f"{the_change()}/agree")
    assert mode() == "act"
    publishing.load_at_start()
    assert mode() == "act"  # the same version: what was agreed holds
    Reader(unproved(team.mara)).post(f"/playbooks/{key}/demote")
    assert mode() == "ask"
    Reader(unproved(team.mara)).post(f"/playbooks/{key}/demote")
    assert mode() == "watch"
    assert "Have it only watch" not in mara.get(f"/playbooks/{key}")
    mara.post(f"/playbooks/{key}/demote", status=409)
    mara.post(f"/playbooks/{key}/promote")
    assert mode() == "watch"  # up again takes two, also for the lowest step
    ana.post(f"{the_change()}/agree")
    assert mode() == "ask"
    with reading() as session:
        told = entries(session, verbs=["playbook.promoted", "playbook.demoted"], limit=5)
        assert [(one.verb, one.body["mode"]) for one in told] == [
            ("playbook.promoted", "ask"), ("playbook.demoted", "watch"), ("playbook.demoted", "ask"), ("playbook.promoted", "act"),
        ]  # fmt: skip
        assert promoting.answers(session, key).asked == 0


def policy(people: People, *delays: int, **more: object) -> PolicyDraft:
    targets = (people.rita, people.raul, people.mara)
    return PolicyDraft(
        name="default",
        steps=tuple(StepDraft((Target("user", targets[n].id),), delay) for n, delay in enumerate(delays)),
        catch_all=(Target("user", people.ana.id),),
        **{"repeat": 1, "is_default": True, **more},  # type: ignore[arg-type]  # as named
    )


def test_the_default_escalation_is_not_weakened_by_one(team: People) -> None:
    with unit_of_work() as uow:
        number = policy_editing.create_policy(uow, SYSTEM, policy(team, 300, 300)).id
    with unit_of_work() as uow:
        mara = users.actor_of(users.get(uow, team.mara.user_id), uow.now)  # type: ignore[arg-type]  # a person
        assert saving.save(uow, mara, number, policy(team, 300, 300, 300)) is None  # one step more, at once
    with unit_of_work() as uow:
        change = saving.save(uow, mara, number, policy(team, 3600))
        assert change is not None
        assert len(change.payload["steps"]) == 1
    with reading() as session:
        assert session.get_one(Policy, number).version == 2
    assert "Waits for a second person" in here(team.ana).get("/oncall/policies")
    here(team.ana).post(f"{the_change()}/agree")
    with reading() as session:
        assert session.get_one(Policy, number).version == 3
        assert session.get_one(Policy, number).is_default


@pytest.mark.parametrize(("before", "after", "weaker"), [
    ({"steps": [("a", 300)], "last": "z"}, {"steps": [("a", 300), ("b", 60)], "last": "z"}, False),
    ({"steps": [("a", 300), ("b", 60)], "last": "z"}, {"steps": [("a", 300)], "last": "z"}, True),
    ({"steps": [("a", 300), ("b", 60)], "last": "z"}, {"steps": [("a", 900), ("b", 60)], "last": "z"}, True),
    ({"steps": [("a", 300), ("b", 60)], "last": "z"}, {"steps": [("a", 60), ("b", 60)], "last": "z"}, False),
    ({"steps": [("a", 300)], "last": "z"}, {"steps": [("a", 300)], "last": "y"}, True),
    ({"steps": [("a", 300)], "last": "a"}, {"steps": [("a", 300)], "last": "b"}, True),
    ({"steps": [("a", 300)], "last": "z"}, {"steps": [("a", 300)], "last": "z", "again": 3600}, True),
    ({"steps": [("a", 300)], "last": "z"}, {"steps": [("a", 300)], "last": "z", "again": 0}, True),
    ({"steps": [("a", 300)], "last": "z", "again": 0}, {"steps": [("a", 300)], "last": "z"}, False),
    ({"steps": [("a", 300)], "last": "z", "repeat": 2}, {"steps": [("a", 300)], "last": "z", "repeat": 1}, True),
])  # fmt: skip
def test_what_weakens_an_escalation(before: dict, after: dict, weaker: bool) -> None:  # type: ignore[type-arg]  # a table
    def plan(given: dict) -> saving.Plan:  # type: ignore[type-arg]  # a table
        target = [{"kind": "user", "id": given["last"]}]
        return {
            "repeat": given.get("repeat", 0),
            "ack_timeout": given.get("again", 1800),
            "steps": [
                {"delay": delay, "targets": [{"kind": "user", "id": who}]} for who, delay in given["steps"]
            ],
            "catch_all": {"delay": 300, "targets": target},
        }

    assert saving.loosens(plan(before), plan(after)) is weaker
