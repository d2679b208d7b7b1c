"""A storm: what a flood of alerts of a few kinds on many hosts opens, and what passes it."""

from typing import Any

import pytest
from sqlalchemy import func, select

from connectors.contract import AlertDraft, Entity
from core import journal
from core.db import reading, unit_of_work
from core.types import Ref, Severity
from incident_bench import ANN, SOURCE, alert, draft, incident, take, verbs
from incidents import closing, lifecycle, storms
from incidents.models import Incident
from incidents.opening import SourceFacts

pytestmark = pytest.mark.usefixtures("database", "clock")


def of_kind(kind: str, host: str, severity: Severity = Severity.high, **values: Any) -> AlertDraft:
    """An alert of a rule on a host."""
    return draft(
        title=f"Detection {kind} on {host}", rule_id=kind, severity=severity,
        fingerprint=(("rule", kind), ("host", host), ("severity", severity.value)), entities=(Entity("host", host, "target"),), **values,
    )  # fmt: skip


def flood(kind: str, hosts: range, severity: Severity = Severity.high) -> list[AlertDraft]:
    return [of_kind(kind, f"h{number}", severity) for number in hosts]


def incidents_open() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Incident)) or 0


def test_a_few_hosts_are_no_storm() -> None:
    done = take(*flood("r1", range(storms.MOST)))
    assert len({one.incident_id for one in done}) == storms.MOST


def test_a_storm_in_one_go_is_one_incident_a_kind_and_says_why() -> None:
    done = take(*[one for kind in ("r1", "r2", "r3") for one in flood(kind, range(100))])
    assert incidents_open() == 3
    case = incident(done[0].incident_id)
    assert case.alert_count == 100
    assert case.tags == ["storm"]
    said = (
        "a storm: wazuh opened more than 10 incidents within 10 minutes, so alerts of this kind gather in one"
    )
    assert case.group_why == f'opened by rule "High and above": severity high; {said}'
    assert alert(done[99].alert_id).why == f'attached by rule "High and above": severity high; {said}'
    assert verbs("incident", case.id).count("incident.storm_gathered") == 1
    with reading() as session:
        told = journal.entries(session, ref=Ref("incident", str(case.id)), verbs=["incident.storm_gathered"])
    assert (told[0].data or {})["why"] == said


def test_a_storm_that_comes_bit_by_bit_gathers_once_it_is_one(clock: Any) -> None:
    for number in range(storms.MOST + 5):
        take(of_kind("r1", f"h{number}"))
        clock.advance(seconds=5)
    assert incidents_open() == storms.MOST + 1
    (last,) = take(of_kind("r1", "h99"))
    case = incident(last.incident_id)
    assert case.alert_count == 6
    assert verbs("incident", case.id).count("incident.storm_gathered") == 1


def test_the_first_of_a_kind_passes_with_an_incident_of_its_own() -> None:
    take(*flood("r1", range(200)))
    (first,) = take(of_kind("needle", "h7000"))
    case = incident(first.incident_id)
    assert (case.title, case.alert_count, case.tags) == ("Detection needle on h7000", 1, [])
    (same,) = take(of_kind("needle", "h7001"))
    assert same.incident_id == case.id


def test_a_critical_alert_of_a_kind_that_storms_passes_with_an_incident_of_its_own() -> None:
    done = take(*flood("r1", range(200)))
    criticals = take(*[of_kind("r1", f"c{number}", Severity.critical) for number in range(5)])
    assert len({one.incident_id for one in criticals}) == 5
    assert {incident(one.incident_id).severity for one in criticals} == {"critical"}
    assert incident(done[0].incident_id).severity == "high"


def test_even_critical_ones_gather_when_they_are_too_many_apart_from_the_others() -> None:
    done = take(*flood("r1", range(50)), *flood("r1", range(100, 200), Severity.critical))
    assert incidents_open() == 2
    ordinary, worst = incident(done[0].incident_id), incident(done[-1].incident_id)
    assert (ordinary.severity, ordinary.alert_count) == ("high", 50)
    assert (worst.severity, worst.alert_count) == ("critical", 100)


def test_what_has_an_incident_of_its_own_stays_there() -> None:
    (before,) = take(of_kind("r1", "h1"))
    take(*flood("r2", range(100, 200)))
    (after,) = take(of_kind("r3", "h1"))
    assert after.incident_id == before.incident_id
    assert (
        alert(after.alert_id).why
        == 'attached by rule "High and above": severity high; same group as INC-2026-000001'
    )


def test_another_source_has_weather_of_its_own() -> None:
    take(*flood("r1", range(100)))
    calm = SourceFacts(SOURCE.id.__class__(int=2), "falcon", "falcon", "normal", SOURCE.quiet_after)
    done = take(*flood("r1", range(3)), source=calm)
    assert len({one.incident_id for one in done}) == 3


def test_a_storm_passes(clock: Any) -> None:
    take(*flood("r1", range(100)))
    clock.advance(minutes=45)
    done = take(*flood("r1", range(200, 203)))
    assert len({one.incident_id for one in done}) == 3


def test_a_storm_goes_on_while_it_is_fed(clock: Any) -> None:
    (first, *_) = take(*flood("r1", range(100)))
    for minute in range(8):
        clock.advance(minutes=20)
        (more,) = take(of_kind("r1", f"m{minute}"))
        assert more.incident_id == first.incident_id


def test_what_comes_again_after_a_storm_was_closed_is_one_recurrence(clock: Any) -> None:
    (first, *_) = take(*flood("r1", range(100)))
    assert first.incident_id is not None
    with unit_of_work() as uow:
        lifecycle.confirm(uow, ANN, first.incident_id, "not_an_incident", because="seen to")
        closing.close(
            uow, ANN, first.incident_id, closing.Closing(disposition="policy_violation", summary="Done.")
        )
    clock.advance(hours=2)
    again = take(*flood("r1", range(100)))
    assert len({one.incident_id for one in again}) == 1
    assert incident(again[0].incident_id).recurrence_of == first.incident_id


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"rule_id": "5712"}, {"rule_id": "5712", "title": "Else"}, True),
        ({"rule_id": "5712"}, {"rule_id": "5713"}, False),
        ({"rule_id": None, "title": "Login to web01 failed 3 times"}, {"rule_id": None, "title": "Login to web01 failed 17 times"}, True),
        ({"rule_id": None, "title": "A"}, {"rule_id": None, "title": "B"}, False),
        ({"rule_id": None, "rule_name": "Rule", "title": "A"}, {"rule_id": None, "rule_name": "Rule", "title": "B"}, True),
    ],
)  # fmt: skip
def test_a_kind_is_a_rule_or_a_title_without_its_numbers(one: Any, other: Any, same: bool) -> None:
    keys = {storms.key_of("s", draft(**values), critical=False) for values in (one, other)}
    assert (len(keys) == 1) is same


def test_what_an_alert_names_is_no_part_of_its_kind() -> None:
    alerts = [
        draft(rule_id=None, title=f"Malware on {host}", entities=(Entity("host", host, "target"),))
        for host in ("alpha", "beta")
    ]
    assert len({storms.key_of("s", one, critical=False) for one in alerts}) == 1
