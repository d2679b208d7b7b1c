"""What is put in place is checked until it holds, ends in time, and can be taken back."""

from datetime import timedelta
from uuid import uuid4

import pytest
import respx

from connectors import blocklist, calls, countermeasures, instances, rails
from connectors.calls import CallContext
from connectors.models import Countermeasure
from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Conflict
from core.types import Ref

INCIDENT = Ref("incident", str(uuid4()))
OTHER = Ref("incident", str(uuid4()))
PLAYBOOK = Actor(ActorKind.playbook, "run-1", "Web attack")
OKTA = "https://acme.okta.example"
USER = f"{OKTA}/api/v1/users/jo%40acme.example"
BAD = "203.0.113.9"


@pytest.fixture
def okta(database):
    with unit_of_work() as uow:
        instances.create(
            uow,
            SYSTEM,
            name="okta",
            connector="okta",
            settings={"base_url": OKTA},
            secrets={"token": "s3cret"},
        )
    with respx.mock(assert_all_called=False) as router:
        router.post(f"{USER}/lifecycle/suspend").respond(200)
        yield router


@pytest.fixture
def feed(database) -> str:
    """The token of a feed of addresses."""
    with unit_of_work() as uow:
        _, url = blocklist.create_feed(uow, SYSTEM, name="edge firewall", kind="ip")
    return url.rpartition("/")[2].removesuffix(".txt")


def ask(action, inputs, subject=INCIDENT, **kwargs):
    with unit_of_work() as uow:
        return calls.request(
            uow, CallContext(PLAYBOOK, subject, run="run-1"), action, inputs, key=uuid4().hex, **kwargs
        )


def only(subject=INCIDENT) -> Countermeasure:
    with reading() as session:
        (row,) = countermeasures.of_subject(session, subject)
    return row


def verbs(row) -> list[str]:
    with reading() as session:
        return [e.verb for e in reversed(journal.entries(session, ref=Ref("countermeasure", str(row.id))))]


def suspend(drain) -> Countermeasure:
    ask("identity.disable_user", {"user": "jo@acme.example"})
    drain("connectors.calls")
    return only()


def test_accepted_is_not_yet_done_the_probe_says_when(okta, drain, clock):
    asked = okta.get(USER).respond(200, json={"status": "ACTIVE"})
    row = suspend(drain)
    assert (row.state, row.entity_type, row.entity_value) == ("active", "user", "jo@acme.example")
    clock.advance(seconds=6)
    drain("connectors.countermeasures")
    assert (only().state, only().probes) == ("active", 1)
    assert "does not hold" in only().note
    asked.respond(200, json={"status": "SUSPENDED"})
    clock.advance(minutes=1)
    drain("connectors.countermeasures")
    assert (only().state, only().note) == ("verified", None)
    assert verbs(row) == ["countermeasure.applied", "countermeasure.verified"]
    with reading() as session:
        assert [
            c.id for c in countermeasures.active_for(session, [("user", "jo@acme.example"), ("user", "x")])
        ] == [row.id]


def test_what_never_holds_has_failed(okta, drain, clock):
    okta.get(USER).respond(200, json={"status": "ACTIVE"})
    suspend(drain)
    for _ in range(countermeasures.MOST_PROBES + 1):
        clock.advance(minutes=30)
        drain("connectors.countermeasures")
    assert only().state == "failed"
    with reading() as session:
        assert not countermeasures.active_for(session, [("user", "jo@acme.example")])


def test_an_account_is_reviewed_and_never_given_back_by_a_timer(okta, drain, clock):
    okta.get(USER).respond(200, json={"status": "SUSPENDED"})
    undo = okta.post(f"{USER}/lifecycle/unsuspend").respond(200)
    row = suspend(drain)
    clock.advance(hours=25)
    drain()
    assert (only().state, undo.called) == ("verified", False)
    assert verbs(row)[-1] == "countermeasure.review_due"
    with unit_of_work() as uow:
        countermeasures.review(uow, SYSTEM, row.id, timedelta(days=2))
    clock.advance(days=3)
    drain()
    assert verbs(row)[-1] == "countermeasure.review_due"


def test_a_person_takes_it_back_even_while_everything_is_held(okta, drain, clock):
    okta.get(USER).respond(200, json={"status": "SUSPENDED"})
    undo = okta.post(f"{USER}/lifecycle/unsuspend").respond(200)
    row = suspend(drain)
    with unit_of_work() as uow:
        rails.hold_all(uow, SYSTEM, "stop")
        countermeasures.remove(uow, SYSTEM, row.id, "It was a false alarm.")
    drain("connectors.calls")
    assert undo.called
    assert only().state == "removed"
    assert verbs(row)[-2:] == ["countermeasure.removing", "countermeasure.removed"]
    with pytest.raises(Conflict), unit_of_work() as uow:
        countermeasures.remove(uow, SYSTEM, row.id)


def test_what_cannot_be_taken_back_is_told(okta, drain):
    okta.post(f"{USER}/lifecycle/unsuspend").respond(403)
    row = suspend(drain)
    with unit_of_work() as uow:
        countermeasures.remove(uow, SYSTEM, row.id)
    drain("connectors.calls")
    assert only().state == "failed"
    assert "could not be taken back" in only().note


def test_enabling_an_account_by_hand_ends_the_countermeasure(okta, drain):
    okta.post(f"{USER}/lifecycle/unsuspend").respond(200)
    suspend(drain)
    ask("okta.unsuspend_user", {"user": "jo@acme.example"}, OTHER)
    drain("connectors.calls")
    assert only().state == "removed"
    with reading() as session:
        assert countermeasures.of_subject(session, OTHER) == []


# ------------------------------------------------------------------------------------------------ the block list


def block(drain, subject=INCIDENT, value=BAD, **kwargs):
    call = ask("network.block_ip", {"ip": value}, subject, **kwargs)
    drain("connectors.calls")
    return call


def test_a_block_is_in_force_once_it_was_fetched_and_ends_in_time(feed, drain, clock):
    block(drain, undo_after=timedelta(days=7))
    assert only().state == "proposed"
    with reading() as session:
        assert not countermeasures.active_for(session, [("ipv4-addr", BAD)])
    clock.advance(minutes=1)
    assert blocklist.serve(feed, "10.0.0.1").text == f"{BAD}\n"
    assert only().state == "active"
    with reading() as session:
        assert countermeasures.active_for(session, [("ipv4-addr", BAD)])
    clock.advance(days=8)
    drain()
    assert only().state == "removed"
    assert blocklist.serve(feed, "10.0.0.1").text == ""


def test_a_block_lasts_longer_each_time_it_comes_back(feed, drain, clock):
    for hours in (1, 24, 168):
        call = block(drain, OTHER if hours > 1 else INCIDENT)
        assert call.undo_after_seconds == hours * 3600
        clock.advance(hours=hours, minutes=5)
        drain()


def test_a_block_does_not_end_while_its_address_is_still_at_work(feed, drain, clock):
    block(drain, undo_after=timedelta(hours=2))
    row = only()
    clock.advance(hours=1, minutes=30)
    with unit_of_work() as uow:
        countermeasures.seen_active(uow, [row.id])
    clock.advance(minutes=40)
    drain()
    assert only().removed_at is None
    assert blocklist.serve(feed, "fw").text == f"{BAD}\n"
    clock.advance(hours=3)
    drain()
    assert only().state == "removed"
    assert blocklist.serve(feed, "fw").text == ""


def test_a_block_that_another_incident_wants_stays(feed, drain, clock):
    block(drain, undo_after=timedelta(hours=1))
    block(drain, OTHER, undo_after=timedelta(days=1))
    clock.advance(minutes=1)
    blocklist.serve(feed, "fw")
    assert (only().state, only(OTHER).state) == ("active", "active")
    clock.advance(hours=2)
    drain()
    assert (only().state, only(OTHER).state) == ("removed", "active")
    assert blocklist.serve(feed, "fw").text == f"{BAD}\n"
