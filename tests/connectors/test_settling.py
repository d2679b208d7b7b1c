"""Calls that were held go on as they were asked for, or end; two people at once do not both decide."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
import respx

from connectors import calls, holds, instances, rails, settling
from connectors.calls import CallContext
from connectors.models import ActionCall
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Conflict
from core.types import Ref

INCIDENT = Ref("incident", str(uuid4()))
CTX = CallContext(Actor(ActorKind.playbook, "run-1", "Suspicious login"), INCIDENT)
USER = {"user": "jo@acme.example"}
Drain = Callable[..., int]


def two_oktas(mode: str = "all") -> None:
    with unit_of_work() as uow:
        for name in ("eu", "us"):
            instances.create(
                uow, SYSTEM, name=name, connector="okta", settings={"base_url": f"https://{name}.okta.example"},
                secrets={"token": "t0k3n"},
            )  # fmt: skip
        instances.bind(uow, SYSTEM, "identity.disable_user", ["eu", "us"], mode)


def ask(key: str, instance: str | None = None) -> ActionCall:
    with unit_of_work() as uow:
        return calls.request(uow, CTX, "identity.disable_user", USER, key=key, instance=instance)


def now(call: ActionCall) -> ActionCall:
    with reading() as session:
        return calls.get(session, call.id)


def stopped() -> None:
    with unit_of_work() as uow:
        holds.stop(uow, SYSTEM, INCIDENT, "wait")


@pytest.mark.parametrize("by", ["hand", "letting go"])
@pytest.mark.usefixtures("database")
def test_what_was_asked_of_one_product_goes_to_no_other(drain: Drain, by: str) -> None:
    two_oktas()
    if by == "hand":
        with unit_of_work() as uow:
            rails.hold_all(uow, SYSTEM, "wait")
    else:
        stopped()
    held = ask("one", "us")
    assert held.state == "held"
    with unit_of_work() as uow:
        if by == "hand":
            rails.release_all(uow, SYSTEM)
            settling.resume(uow, SYSTEM, held.id)
        else:
            holds.let_go(uow, SYSTEM, INCIDENT, "go on")
    with respx.mock(assert_all_called=False) as router:
        sent = router.post(url__regex=".*/suspend").respond(200, json={})
        drain("core.outbox", "connectors.calls")
    assert [call.request.url.host for call in sent.calls] == ["us.okta.example"]
    assert (now(held).state, now(held).instance) == ("succeeded", "us")


@pytest.mark.usefixtures("database")
def test_one_call_that_can_never_be_done_stops_no_other(drain: Drain) -> None:
    two_oktas("first")
    stopped()
    lost, other = ask("lost", "us"), ask("other", "eu")
    with unit_of_work() as uow:
        calls.get(uow, lost.id).asked = "identity.banish_user"
        holds.let_go(uow, SYSTEM, INCIDENT, "go on")
    drain("core.outbox")
    assert (now(lost).state, "identity.banish_user" in (now(lost).note or "")) == ("failed", True)
    assert now(lost).finished_at is not None
    assert now(other).state == "intended"


@pytest.mark.usefixtures("postgresql_database")
def test_a_call_that_is_given_up_is_not_let_go_on_at_the_same_moment() -> None:
    two_oktas()
    with unit_of_work() as uow:
        rails.hold_all(uow, SYSTEM, "wait")
    held = ask("one")
    with unit_of_work() as uow:
        rails.release_all(uow, SYSTEM)
    said: list[str] = []

    def resume() -> None:
        try:
            with unit_of_work() as uow:
                settling.resume(uow, SYSTEM, held.id)
        except Conflict as error:
            said.append(error.message)

    other = threading.Thread(target=resume)
    with unit_of_work() as uow:
        settling.drop(uow, SYSTEM, held.id, "no")
        uow.flush()
        other.start()
        other.join(0.5)
    other.join(10)
    assert said == ["This call is not held any more: it is refused."]
    assert now(held).state == "refused"
