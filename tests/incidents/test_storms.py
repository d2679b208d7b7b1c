"""A storm: what a flood of alerts of a few kinds on many hosts opens, and what passes it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from connectors.contract import AlertDraft, Entity
from core import journal
from core.db import reading, unit_of_work
from core.types import Ref, Severity
from incident_bench import ANN, SOURCE, SOURCE_ACTOR, alert, draft, incident, take, verbs
from incidents import closing, lifecycle, rules, storms
from incidents.models import Incident
from incidents.opening import SourceFacts, accept

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


AT_ONCE, IN_ALL = (limit.most for limit in storms.ORDINARY)


def test_a_few_hosts_are_no_storm() -> None:
    done = take(*flood("r1", range(AT_ONCE)))
    assert len({one.incident_id for one in done}) == AT_ONCE


def test_a_storm_in_one_go_is_one_incident_a_kind_and_says_why() -> None:
    done = take(*[one for kind in ("r1", "r2", "r3") for one in flood(kind, range(100))])
    assert incidents_open() == 3
    case = incident(done[0].incident_id)
    assert case.alert_count == 100
    assert case.tags == ["storm"]
    said = (
        "a storm: wazuh asked for more than 5 incidents within 1 minute, so alerts of this kind gather in one"
    )
    assert case.group_why == f'opened by rule "High and above": severity high; {said}'
    assert alert(done[99].alert_id).why == f'attached by rule "High and above": severity high; {said}'
    assert verbs("incident", case.id).count("incident.storm_gathered") == 1
    with reading() as session:
        told = journal.entries(session, ref=Ref("incident", str(case.id)), verbs=["incident.storm_gathered"])
    assert (told[0].data or {})["why"] == said


@pytest.mark.parametrize(
    ("seconds", "most", "said"),
    [(5, AT_ONCE, "more than 5 incidents within 1 minute"), (50, IN_ALL, "more than 10 incidents within 10 minutes")],
)  # fmt: skip
def test_a_storm_that_comes_bit_by_bit_gathers_in_the_first_of_its_kind(
    clock: Any, seconds: int, most: int, said: str
) -> None:
    (first,) = take(of_kind("r1", "h0"))
    for number in range(1, most + 3):
        clock.advance(seconds=seconds)
        take(of_kind("r1", f"h{number}"))
    assert incidents_open() == most
    case = incident(first.incident_id)
    assert (case.alert_count, case.tags) == (4, ["storm"])
    assert case.group_why is not None
    assert said in case.group_why
    assert verbs("incident", case.id).count("incident.storm_gathered") == 1


@pytest.mark.parametrize("batch", [1, 7, 50, 1000])
def test_a_storm_opens_no_more_however_slowly_it_is_worked_off(clock: Any, batch: int) -> None:
    """What arrived within seconds is read over half an hour, in batches of any size: with needles among it."""
    storm = [of_kind(f"r{number % 7}", f"h{number}") for number in range(140)]
    needles = [of_kind(f"r{number}", f"c{number}", Severity.critical) for number in range(5)]
    everything = [*storm[:70], *needles, *storm[70:]]
    arrived = clock.now
    for start in range(0, len(everything), batch):
        take(*everything[start : start + batch], at=arrived + timedelta(milliseconds=start * 20))
        clock.advance(seconds=batch * 12)
    with reading() as session:
        cases = session.scalars(select(Incident)).all()
    assert sum(case.alert_count for case in cases) == len(everything)
    worst = [case for case in cases if case.severity == "critical"]
    assert len(worst) == len(needles)
    assert all(case.alert_count == 1 for case in worst)
    kinds = {case.title.split(" on ")[0] for case in cases if case.severity == "high"}
    assert kinds == {f"Detection r{number}" for number in range(7)}, "the first of each kind has an incident"
    assert len(cases) - len(worst) <= AT_ONCE + 7 - 1


def test_what_somebody_works_on_does_not_become_the_storm_s(clock: Any) -> None:
    (mine,) = take(of_kind("r1", "h0"))
    with unit_of_work() as uow:
        assert mine.incident_id is not None
        lifecycle.assign(uow, ANN, mine.incident_id, UUID(ANN.id))
    (second,) = take(of_kind("r1", "h1"))
    take(*flood("r1", range(100, 150)))
    assert incident(mine.incident_id).alert_count == 1
    assert incident(second.incident_id).alert_count == 51
    (again,) = take(of_kind("r9", "h0"))
    assert again.incident_id == mine.incident_id, "what has an incident of its own stays there"


def test_an_alert_of_an_adopted_host_that_is_critical_still_passes() -> None:
    (first,) = take(of_kind("r1", "h0"))
    take(*flood("r1", range(100, 150)))
    assert incident(first.incident_id).alert_count == 51
    (worse,) = take(of_kind("r2", "h0", Severity.critical))
    assert worse.incident_id != first.incident_id
    assert incident(worse.incident_id).severity == "critical"
    assert incident(first.incident_id).severity == "high"


def test_a_trickle_over_hours_is_no_storm(clock: Any) -> None:
    """Read in one go after a standstill, alerts that arrived ten minutes apart are what they were."""
    arrived = clock.now
    clock.advance(hours=5)
    with unit_of_work() as uow:
        rules.seed(uow)
        items = [(one, uuid4(), arrived + timedelta(minutes=10 * number)) for number, one in enumerate(flood("r1", range(24)))]  # fmt: skip
        done = accept(uow, SOURCE_ACTOR, SOURCE, items)
    assert len({one.incident_id for one in done}) == 24


def test_gusts_are_forgotten_when_they_are_over(clock: Any) -> None:
    take(*flood("r1", range(100)))
    with unit_of_work() as uow:
        assert storms.forget(uow) == 0
    clock.advance(hours=2)
    with unit_of_work() as uow:
        assert storms.forget(uow) == 1
    done = take(*flood("r1", range(200, 203)))
    assert len({one.incident_id for one in done}) == 3


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
