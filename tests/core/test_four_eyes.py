"""Four eyes: proposed by one, agreed by another who is settled here, alone only after a delay, and never by oneself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from held_time import HeldClock
from people_here import People, unproved

from core import four_eyes
from core.actors import SYSTEM, Actor, ActorKind
from core.auth import users
from core.auth.models import SecondFactor
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Conflict, Forbidden, NeedsSecondFactor
from core.four_eyes import Change
from core.journal import entries

LATER = timedelta(days=4)


@dataclass
class Rail:
    """A guard rail of this test: what has been done to it, and by whom."""

    done: list[tuple[str, Any]] = field(default_factory=list)
    broken: bool = False

    def apply(self, _uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
        """Loosen it."""
        if self.broken:
            raise Conflict("It is not there any more.")
        self.done.append((actor.name, payload["n"]))


rail = Rail()
KIND = four_eyes.declare_kind(
    "test.rail", permission="guard.change", apply=rail.apply, path="/settings"
)


@pytest.fixture(autouse=True)
def fresh_rail() -> None:
    rail.done.clear()
    rail.broken = False


def settle(people: People, *names: str) -> None:
    """These have an app and a password, as after some days here."""
    with unit_of_work() as uow:
        for name in names:
            actor = getattr(people, name)
            uow.get_one(users.User, actor.user_id).password = "x"
            uow.add(
                SecondFactor(
                    user_id=actor.user_id, kind="totp", name="App", confirmed_at=uow.now, created_at=uow.now
                )
            )


def now(actor: Actor) -> Actor:
    """The person, who has just shown their second factor."""
    with unit_of_work() as uow:
        assert actor.user_id is not None
        return users.actor_of(users.get(uow, actor.user_id), uow.now)


def propose(actor: Actor, n: int = 1) -> Change | None:
    with unit_of_work() as uow:
        return four_eyes.loosen(uow, actor, KIND, {"n": n}, f"Loosen it by {n}.")


def verbs() -> list[str]:
    with reading() as session:
        return [one.verb for one in entries(session, limit=30) if one.verb.startswith("change.")]


def test_another_agrees_and_only_then_is_it_done(database: object, clock: HeldClock, people: People) -> None:
    settle(people, "ana", "mara")
    clock.advance(LATER)
    change = propose(now(people.mara))
    assert change is not None
    assert not change.alone
    assert not rail.done
    mara, ana, rita = now(people.mara), now(people.ana), now(people.rita)
    for actor, why in ((mara, "somebody else must agree"), (rita, "permission")):
        with unit_of_work() as uow, pytest.raises(Forbidden, match=why):
            four_eyes.agree(uow, actor, change.id)
    with unit_of_work() as uow, pytest.raises(NeedsSecondFactor):
        four_eyes.agree(uow, unproved(ana), change.id)
    with unit_of_work() as uow:
        four_eyes.agree(uow, ana, change.id)
    assert rail.done == [("Mara", 1)]
    with unit_of_work() as uow, pytest.raises(Conflict, match="decided already"):
        four_eyes.agree(uow, ana, change.id)
    assert sorted(verbs()) == ["change.agreed", "change.proposed"]


def test_whoever_was_added_or_promoted_today_does_not_count_as_somebody_else(
    sqlite_database: object, clock: HeldClock, people: People
) -> None:
    """An attacker with one administrator's session makes a second account: it cannot agree for a day."""
    settle(people, "ana")
    clock.advance(LATER)
    settle(people, "mara")  # a factor of today
    with unit_of_work() as uow:
        users.change(uow, SYSTEM, people.rita.user_id, roles=["responder", "manager"])  # type: ignore[arg-type]  # a person
    settle(people, "rita")
    change = propose(now(people.ana))
    assert change is not None
    assert change.alone  # so its delay is a day, in which everybody has been told
    for name in ("mara", "rita"):
        actor = now(getattr(people, name))
        with unit_of_work() as uow, pytest.raises(Forbidden, match="at least a day"):
            four_eyes.agree(uow, actor, change.id)
    clock.advance(timedelta(hours=25))
    actor = now(people.rita)
    with unit_of_work() as uow:
        four_eyes.refuse(uow, actor, change.id, "I was not asked")
    assert not rail.done


def test_alone_it_takes_a_day_in_which_it_can_be_withdrawn(
    database: object, clock: HeldClock, people: People, drain: Callable[..., int]
) -> None:
    settle(people, "ana")
    clock.advance(LATER)
    ana = now(people.ana)
    first, second = propose(ana, 1), propose(ana, 2)
    assert first is not None
    assert second is not None
    with pytest.raises(Conflict, match="proposed this already"):
        propose(ana, 1)
    with unit_of_work() as uow:
        four_eyes.refuse(uow, unproved(ana), second.id)
    clock.advance(timedelta(hours=23))
    drain("core.four_eyes")
    assert not rail.done
    clock.advance(timedelta(hours=2))
    drain("core.four_eyes")
    assert rail.done == [("Ana", 1)]
    assert verbs().count("change.taken_effect_alone") == 1
    with reading() as session:
        assert {row.state for row in session.query(Change)} == {"alone", "withdrawn"}


def test_what_nobody_agrees_to_expires(
    sqlite_database: object, clock: HeldClock, people: People, drain: Callable[..., int]
) -> None:
    settle(people, "ana", "mara")
    clock.advance(LATER)
    change = propose(now(people.mara))
    assert change is not None
    clock.advance(timedelta(days=8))
    drain("core.four_eyes")
    ana = now(people.ana)
    with unit_of_work() as uow, pytest.raises(Conflict, match="expired"):
        four_eyes.agree(uow, ana, change.id)
    assert not rail.done
    assert "change.expired" in verbs()


def test_a_proposal_does_not_outlive_its_proposer_s_account(
    sqlite_database: object, clock: HeldClock, people: People, drain: Callable[..., int]
) -> None:
    settle(people, "ana", "mara")
    clock.advance(LATER)
    change = propose(now(people.mara))
    assert change is not None
    ana = now(people.ana)
    with unit_of_work() as uow:
        users.disable(uow, SYSTEM, people.mara.user_id)  # type: ignore[arg-type]  # a person
    with unit_of_work() as uow, pytest.raises(Conflict, match="may not change this any more"):
        four_eyes.agree(uow, ana, change.id)
    assert not rail.done


def test_what_cannot_be_done_any_more_says_so(
    sqlite_database: object, clock: HeldClock, people: People, drain: Callable[..., int]
) -> None:
    settle(people, "ana")
    clock.advance(LATER)
    assert propose(now(people.ana)) is not None
    rail.broken = True
    clock.advance(timedelta(hours=25))
    drain("core.four_eyes")
    with reading() as session:
        (row,) = session.query(Change)
        assert (row.state, row.note) == ("failed", "It is not there any more.")


def test_a_new_installation_is_set_up_at_once_and_the_machine_itself_may(
    database: object, clock: HeldClock, people: People
) -> None:
    assert propose(now(people.mara)) is None
    assert rail.done == [("Mara", 1)]
    assert verbs() == ["change.taken_effect_alone"]
    with unit_of_work() as uow:
        assert four_eyes.loosen(uow, SYSTEM, KIND, {"n": 2}, "From the shell.") is None
    assert rail.done[-1] == ("Tocsin", 2)
    clock.advance(LATER)
    settle(people, "ana", "mara")
    change = propose(now(people.mara), 3)
    assert change is not None
    with unit_of_work() as uow:
        four_eyes.agree(uow, SYSTEM, change.id)
    assert rail.done[-1] == ("Mara", 3)


def test_a_program_may_propose_and_never_agree(
    sqlite_database: object, clock: HeldClock, people: People
) -> None:
    settle(people, "ana", "mara")
    clock.advance(LATER)
    token = Actor(ActorKind.token, "t", "export", frozenset({"guard.change", "change.agree"}))
    change = propose(token)
    assert change is not None
    other = Actor(ActorKind.token, "u", "other", frozenset({"change.agree"}))
    with unit_of_work() as uow, pytest.raises(Forbidden, match="Only a person"):
        four_eyes.agree(uow, other, change.id)
    with pytest.raises(Forbidden):
        propose(now(people.rita))
