"""One action on one value by hand goes through the door that playbooks use, on both databases; or becomes a task."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import respx
from people_here import People, unproved
from sqlalchemy import select

from cli import assemble
from connectors import instances, rails
from connectors.models import ActionCall, Countermeasure
from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NeedsSecondFactor, NotFound
from core.types import Ref
from incidents import closing, lifecycle
from incidents.lifecycle import IncidentDraft
from incidents.models import Incident, Task
from playbooks import by_hand
from playbooks.by_hand import Wanted

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]

assemble.load()


@pytest.fixture
def case(people: People) -> UUID:
    """An incident with a host, an account, an address and a file; Okta, VirusTotal and the block list are configured."""
    seen = [("host", "files-02"), ("user", "m.ortiz"), ("ipv4-addr", "203.0.113.9"), ("file-hash", "a" * 64)]
    with unit_of_work() as uow:
        for name, settings, secrets in (
            ("okta", {"base_url": "https://acme.okta.com"}, {"token": "t"}),
            ("virustotal", {"base_url": "https://www.virustotal.com"}, {"api_key": "k"}),
            ("blocklist", {}, {}),
        ):
            instances.create(uow, SYSTEM, name=name, connector=name, settings=settings, secrets=secrets)
        return lifecycle.open_by_hand(uow, SYSTEM, IncidentDraft(title="Trojan", observables=seen)).id


def ask(actor: Actor, case: UUID, name: str, kind: str, value: str, **more: Any) -> Any:
    with unit_of_work() as uow:
        return by_hand.ask(uow, actor, case, Wanted(name, kind, value, **{"key": "a-key-of-mine", **more}))


def test_what_fits_a_value_is_offered_products_first_people_after(case: UUID) -> None:
    with reading() as session:
        found = by_hand.offers(session, ["ipv4-addr", "file-hash", "user", "host", "mac"])
    said = {kind: [(one.name, one.bound) for one in listed] for kind, listed in found.items()}
    assert said["ipv4-addr"][:2] == [("intel.ip", True), ("blocklist.listed_ip", True)]
    assert ("network.block_ip", True) in said["ipv4-addr"]
    assert ("firewall.block_ip", False) in said["ipv4-addr"], "no firewall is configured: a person would do it"
    assert said["file-hash"][0] == ("intel.file", True)
    assert ("edr.isolate_host", False) in said["host"]
    assert ("identity.disable_user", True) in said["user"]
    assert not any(bound for _, bound in said["host"])
    assert said["mac"] == []
    people = [name for name, bound in said["user"] if not bound]
    assert "identity.remove_factor" not in people, "it needs to be told more than the account"


def test_a_look_up_is_a_call_like_a_playbooks(case: UUID, people: People, drain: Drain) -> None:
    answer = {"data": {"attributes": {"last_analysis_stats": {"malicious": 7}, "country": "NL"}}}
    with respx.mock:
        sent = respx.get("https://www.virustotal.com/api/v3/ip_addresses/203.0.113.9").respond(200, json=answer)
        row = ask(people.rita, case, "intel.ip", "ipv4-addr", "203.0.113.9")
        again = ask(people.rita, case, "intel.ip", "ipv4-addr", "203.0.113.9")
        assert row.id == again.id
        drain("connectors.calls")
        assert sent.call_count == 1
    with reading() as session:
        done = session.get_one(ActionCall, row.id)
        assert (done.state, done.output and done.output["malicious"]) == ("succeeded", 7)
        assert (done.subject, done.actor_name, done.run) == (Ref("incident", str(case)), "Rita", None)
        verbs = [entry.verb for entry in journal.entries(session, ref=Ref("incident", str(case)))]
    assert verbs[:3] == ["action.finished", "action.attempted", "action.intended"]


def test_what_disrupts_asks_for_a_factor_and_leaves_a_countermeasure(
    case: UUID, people: People, drain: Drain
) -> None:
    said = ("network.block_ip", "ipv4-addr", "203.0.113.9")
    token = Actor(ActorKind.token, people.rita.id, "a program", people.rita.permissions)
    with pytest.raises(NeedsSecondFactor):
        ask(unproved(people.rita), case, *said)
    with pytest.raises(Forbidden):
        ask(token, case, *said)
    with pytest.raises(Forbidden):
        ask(people.aldo, case, *said)
    ask(people.rita, case, *said, reason="it scans us", lasts=timedelta(hours=4))
    drain("connectors.calls")
    with reading() as session:
        (row,) = session.scalars(select(Countermeasure))
        assert row.expires_at is not None
        assert row.expires_at - row.created_at == timedelta(hours=4)
        assert (row.subject_id, row.entity_value) == (str(case), "203.0.113.9")
        (call,) = session.scalars(select(ActionCall))
        assert call.reason == "it scans us"
        look = by_hand.look(session, people.rita, session.get_one(Incident, case), Wanted(*said))
    assert look.foreseen is not None
    assert look.foreseen.standing == [], "it is listed, and in force when a firewall has fetched it"
    assert look.foreseen.lasts == timedelta(hours=24), "it comes back, so it is blocked for longer"


def test_an_account_is_reviewed_and_never_given_back_by_a_timer(case: UUID, people: People) -> None:
    said = ("identity.disable_user", "user", "m.ortiz")
    with pytest.raises(Invalid, match="not given back by a timer"):
        ask(people.rita, case, *said, lasts=timedelta(hours=1))
    row = ask(people.rita, case, *said, review=timedelta(hours=4))
    assert row.review_after_seconds == 4 * 3600


def test_what_is_protected_is_refused_and_told_beforehand(case: UUID, people: People) -> None:
    with unit_of_work() as uow:
        rails.protect(uow, people.mara, kind="user", value="m.*", reason="the board")
        rails.protect(uow, people.mara, kind="host", value="files-*", reason="everybody's files")
    with reading() as session:
        incident = session.get_one(Incident, case)
        look = by_hand.look(session, people.rita, incident, Wanted("identity.disable_user", "user", "m.ortiz"))
    assert "the board" in look.refused
    row = ask(people.rita, case, "identity.disable_user", "user", "m.ortiz")
    assert (row.state, "the board" in (row.note or "")) == ("refused", True)


def test_a_key_means_one_action_on_one_value_at_one_product(case: UUID, people: People) -> None:
    with unit_of_work() as uow:
        settings = {"base_url": "https://www.virustotal.com"}
        instances.create(uow, SYSTEM, name="vt-2", connector="virustotal", settings=settings, secrets={"api_key": "k"})
    said = ("intel.ip", "ipv4-addr", "203.0.113.9")
    first = ask(people.rita, case, *said, instance="virustotal")
    assert ask(people.rita, case, *said, instance="virustotal").id == first.id
    for other in (("intel.ip", "ipv4-addr", "203.0.113.10"), ("intel.file", "file-hash", "a" * 64)):
        with pytest.raises(Conflict, match="another action, value or product"):
            ask(people.rita, case, *other, instance="virustotal")
    for instance in ("vt-2", None):
        with pytest.raises(Conflict, match="another action, value or product"):
            ask(people.rita, case, *said, instance=instance)
    ask(people.rita, case, "edr.isolate_host", "host", "files-02", key="a-task-by-hand")
    for name, value in (("edr.isolate_host", "files-03"), ("edr.list_processes", "files-02")):
        with pytest.raises(Conflict, match="another action, value or product"):
            ask(people.rita, case, name, "host", value, key="a-task-by-hand")


def test_without_a_product_it_becomes_a_task_once(case: UUID, people: People) -> None:
    task = ask(people.rita, case, "edr.isolate_host", "host", "files-02", reason="it beacons")
    again = ask(people.rita, case, "edr.isolate_host", "host", "files-02", reason="it beacons")
    assert isinstance(task, Task)
    assert task.id == again.id
    assert task.title == "Isolate a host: files-02"
    assert "Take files-02 off the network" in task.instructions
    assert "it beacons" in task.instructions
    assert (task.urgent, task.assign) == (True, "owner")
    look = ask(people.rita, case, "edr.list_processes", "host", "files-02", key="another-key")
    assert look.form["properties"]["processes"]["type"] == "array", "it is asked for what a product would answer"


def test_nothing_is_done_for_a_closed_incident_nor_with_what_does_not_fit(case: UUID, people: People) -> None:
    with pytest.raises(NotFound):
        ask(people.rita, case, "intel.ip", "host", "files-02")
    with pytest.raises(NotFound):
        ask(people.rita, case, "http.request", "host", "files-02")
    with pytest.raises(Invalid):
        ask(people.rita, case, "intel.ip", "ipv4-addr", "203.0.113.9", key="#1")
    ask(people.rita, case, "intel.ip", "ipv4-addr", "203.0.113.9")
    with pytest.raises(Conflict):
        ask(people.rita, case, "intel.file", "file-hash", "a" * 64)
    with unit_of_work() as uow:
        closing.close(uow, people.mara, case, closing.Closing("false_positive"))
    with pytest.raises(Conflict):
        ask(people.rita, case, "intel.ip", "ipv4-addr", "203.0.113.9", key="a-new-key")


def test_somebody_who_may_not_see_the_incident_does_nothing_for_it(case: UUID, people: People) -> None:
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, case, [])
    with pytest.raises(NotFound):
        ask(replace(people.rita), case, "intel.ip", "ipv4-addr", "203.0.113.9")
