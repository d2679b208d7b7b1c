"""What a value is said to be, what look-ups propose, and what people outside are told."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import incident_bench as bench
import pytest

from connectors.models import SUCCEEDED, ActionCall
from core import journal
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.ids import new_id
from incidents import disclosing, observables, verdicts
from incidents.disclosing import DisclosureDraft
from incidents.models import Incident


@pytest.mark.parametrize(
    ("output", "verdict"),
    [
        (None, None),
        ({}, None),
        ({"owner": "Example"}, None),
        ({"malicious": "7"}, None),
        ({"found": False}, "unknown"),
        ({"malicious": True}, "malicious"),
        ({"verdict": " Malicious "}, "malicious"),
        ({"classification": "benign"}, "harmless"),
        ({"malicious": 7, "suspicious": 1, "harmless": 60}, "malicious"),
        ({"malicious": 1, "suspicious": 0, "harmless": 80}, "suspicious"),
        ({"malicious": 0, "suspicious": 2, "harmless": 60}, "suspicious"),
        ({"malicious": 0, "suspicious": 0, "harmless": 60, "reputation": 0}, "harmless"),
        ({"malicious": 0, "harmless": 0}, "unknown"),
    ],
)
def test_what_an_answer_proposes(output: dict[str, Any] | None, verdict: str | None) -> None:
    told = verdicts.answered(output)
    assert (told and told[0]) == verdict


def looked_up(of: Incident, value: str, output: dict[str, Any]) -> UUID:
    """A look-up of a value for an incident, and what came back."""
    with unit_of_work() as uow:
        call = ActionCall(
            id=new_id(), created_at=uow.now, key=str(new_id()), asked="intel.ip", action="virustotal.ip_report", effect="read",
            state=SUCCEEDED, subject_kind="incident", subject_id=str(of.id), actor_kind="system", actor_id="tocsin",
            actor_name="Tocsin", trust="normal", tlp="amber", inputs={"ip": value}, entities=[["ipv4-addr", value]],
            output=output, finished_at=uow.now,
        )  # fmt: skip
        uow.add(call)
        return call.id


def standing(of: Incident, actor: Actor = bench.ANN) -> dict[UUID, verdicts.Standing]:
    """What holds of its values."""
    with reading() as session:
        return verdicts.of_incident(session, actor, of.id)


@pytest.mark.usefixtures("database")
def test_a_look_up_proposes_a_person_decides_and_the_newest_word_holds() -> None:
    of = bench.opened()
    with unit_of_work() as uow:
        value = observables.attach(uow, bench.ANN, of.id, "auto", "203.0.113.9").id
    assert standing(of) == {}
    call = looked_up(of, "203.0.113.9", {"malicious": 7, "harmless": 60})
    looked_up(of, "198.51.100.1", {"malicious": 7})  # of a value that it does not hold
    told = standing(of)[value]
    assert (told.verdict, told.by, told.proposed) == ("malicious", "virustotal.ip_report", True)
    with unit_of_work() as uow:
        verdicts.judge(uow, bench.ANN, of.id, value, "malicious", because=told.says, call_id=call)
    told = standing(of)[value]
    assert (told.by, told.look_up, told.proposed) == (bench.ANN.name, "virustotal.ip_report", False)
    with unit_of_work() as uow:
        verdicts.judge(uow, bench.ANN, of.id, value, "harmless", because="our own scanner")
    looked_up(of, "203.0.113.9", {"malicious": 90})
    assert standing(of)[value].verdict == "harmless", "a look-up never overrules a person"
    with reading() as session:
        entries = [
            entry for entry in journal.entries(session, ref=of.ref) if entry.verb == "observable.judged"
        ]
    assert [entry.body["verdict"] for entry in entries] == ["harmless", "malicious"]
    other = bench.opened()
    with unit_of_work() as uow, pytest.raises(NotFound):
        verdicts.judge(uow, bench.ANN, other.id, value, "malicious")
    with unit_of_work() as uow, pytest.raises(NotFound, match="looked up"):
        verdicts.judge(uow, bench.ANN, of.id, value, "malicious", call_id=new_id())
    with unit_of_work() as uow, pytest.raises(Invalid, match="malicious, suspicious"):
        verdicts.judge(uow, bench.ANN, of.id, value, "evil")


@pytest.mark.usefixtures("database")
def test_a_notice_goes_from_due_to_received_and_says_why_when_it_does_not_apply() -> None:
    of = bench.opened()
    with unit_of_work() as uow:
        now = uow.now
        draft = DisclosureDraft("Authority", "first notice", due_at=now + timedelta(hours=1))
        row = disclosing.add(uow, bench.ANN, of.id, draft)
        assert row.tlp == of.tlp
        assert disclosing.state(row, now) == "due"
        assert disclosing.state(row, now + timedelta(hours=2)) == "overdue"
    with unit_of_work() as uow:
        sent = DisclosureDraft(
            "Authority", "first notice", due_at=now + timedelta(hours=1), sent_at=now, reference="A-1"
        )
        version = disclosing.one(uow, bench.ANN, row.id).version
        changed = disclosing.change(uow, bench.ANN, row.id, sent, version=version)
        assert (disclosing.state(changed, now), changed.reference) == ("sent", "A-1")
    with unit_of_work() as uow, pytest.raises(Conflict):
        disclosing.change(uow, bench.ANN, row.id, draft, version=version)
    for wrong, says in (
        (DisclosureDraft(" "), "Say to whom"),
        (DisclosureDraft("A", applies=False), "why it does not apply"),
        (DisclosureDraft("A", tlp="purple"), "clear, green"),
        (DisclosureDraft("A", kind="gossip"), "notice, indicators"),
        (DisclosureDraft("A", sent_at=now + timedelta(days=1)), "still to come"),
        (DisclosureDraft("A", receipt_at=now), "A receipt comes after"),
        (DisclosureDraft("A", applies=False, because="no", sent_at=now), "was not sent"),
        (DisclosureDraft("A", kind="indicators", observable_id=new_id()), "no such observable"),
    ):
        with unit_of_work() as uow, pytest.raises(Invalid, match=says):
            disclosing.add(uow, bench.ANN, of.id, wrong)
    with unit_of_work() as uow, pytest.raises(Invalid, match="why"):
        disclosing.withdraw(uow, bench.ANN, row.id, " ")
    with unit_of_work() as uow:
        disclosing.withdraw(uow, bench.ANN, row.id, "it was another incident")
    with reading() as session:
        assert disclosing.of_incident(session, bench.ANN, of.id) == []
        said = [
            entry.verb
            for entry in journal.entries(session, ref=of.ref)
            if entry.verb.startswith("disclosure.")
        ]
    assert said == ["disclosure.withdrawn", "disclosure.changed", "disclosure.noted"]
    with unit_of_work() as uow, pytest.raises(Conflict, match="taken it back"):
        disclosing.change(uow, bench.ANN, row.id, draft)


@pytest.mark.usefixtures("sqlite_database")
def test_who_may_only_read_writes_nothing_and_what_is_hidden_stays_hidden() -> None:
    of = bench.opened()
    with unit_of_work() as uow:
        value = observables.attach(uow, bench.ANN, of.id, "auto", "203.0.113.9").id
        verdicts.judge(uow, bench.ANN, of.id, value, "malicious")
        row = disclosing.add(uow, bench.ANN, of.id, DisclosureDraft("Authority"))
    assert standing(of, bench.NOBODY) == {}
    with unit_of_work() as uow, pytest.raises(Forbidden):
        verdicts.judge(uow, bench.READER, of.id, value, "harmless")
    with unit_of_work() as uow, pytest.raises(Forbidden):
        disclosing.add(uow, bench.READER, of.id, DisclosureDraft("Authority"))
    with unit_of_work() as uow, pytest.raises(Forbidden):
        disclosing.withdraw(uow, bench.READER, row.id, "x")
    with reading() as session, pytest.raises(NotFound):
        disclosing.one(session, bench.NOBODY, row.id)
