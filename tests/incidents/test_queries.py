"""Lists, pages of them, filters, one thing by any of its names, the facts for expressions."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from connectors.contract import Entity
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound
from core.expressions import Context, compile_condition
from core.types import Severity
from incident_bench import ANN, draft, incident, low, opened, take
from incidents import closing, lifecycle, queries
from incidents.closing import Closing
from incidents.filters import AlertFilter, IncidentFilter
from incidents.schema import INCIDENT


def titles(**wanted: Any) -> list[str]:
    with reading() as session:
        return [found.title for found in queries.incidents(session, ANN, IncidentFilter(**wanted)).items]


def test_pages_cover_everything_once_also_while_new_ones_come(database: object, clock: Any) -> None:
    for number in range(25):
        opened(title=str(number))
        clock.advance(seconds=number % 3)  # some at the very same instant
    found, cursor = [], None
    while True:
        with reading() as session:
            page = queries.incidents(session, ANN, IncidentFilter(), before=cursor, limit=7)
        found += [one.title for one in page.items]
        opened(title="newer")
        cursor = page.next
        if cursor is None:
            break
    assert found == [str(number) for number in reversed(range(25))]


def test_a_foreign_cursor_is_refused(sqlite_database: object) -> None:
    for cursor in ("x", "AAAA", "é", "A" * 32 + "!"):
        with reading() as session, pytest.raises(Invalid, match="not one of ours"):
            queries.incidents(session, ANN, IncidentFilter(), before=cursor)


def test_incident_filters(database: object, clock: Any) -> None:
    opened(title="Red apple", severity=Severity.high, tags=["fruit", 'quo"te'], category="policy")
    first = clock.now
    clock.advance(hours=1)
    opened(title="Green pear 100%", severity=Severity.low, techniques=["T1059.001"], tags=["früh"])
    done = opened(
        title="Closed one", kind="request", observables=[("host", "WEB01"), ("auto", "203.0.113.9")]
    )
    with unit_of_work() as uow:
        closing.close(uow, ANN, done.id, Closing("benign_expected"))
        lifecycle.assign(
            uow,
            ANN,
            next(iter(queries.incidents(uow, ANN, IncidentFilter(words="apple")).items)).id,
            ANN.user_id,
        )
    assert titles() == ["Green pear 100%", "Red apple"]
    assert titles(state="closed") == ["Closed one"]
    assert titles(state="all", kind="request") == ["Closed one"]
    assert titles(severities=["high", "critical"]) == ["Red apple"]
    assert titles(owner="me") == titles(owner=ANN.id) == ["Red apple"]
    assert titles(owner="none") == ["Green pear 100%"]
    assert titles(tag="fruit") == titles(tag='quo"te') == titles(category="policy") == ["Red apple"]
    assert titles(tag="früh") == titles(technique="T1059.001") == ["Green pear 100%"]
    assert titles(tag="fru") == titles(tag="%") == []
    assert titles(words="100%") == titles(words="pear GREEN") == ["Green pear 100%"]
    assert (
        titles(state="all", observable="web01")
        == titles(state="all", observable="203.0.113.9")
        == ["Closed one"]
    )
    assert titles(opened_to=first + timedelta(minutes=1)) == ["Red apple"]
    assert titles(opened_from=first + timedelta(minutes=1)) == ["Green pear 100%"]
    assert titles(late=True) == titles(exercise=True) == titles(waiting_on="vendor") == []


def test_alert_filters(database: object, clock: Any) -> None:
    take(
        draft(),
        low(title="quiet", fingerprint=(("a", "1"),)),
        low(title="over", fingerprint=(("a", "2"),), status="resolved"),
    )

    def listed(**wanted: Any) -> list[str]:
        with reading() as session:
            return sorted(found.title for found in queries.alerts(session, ANN, AlertFilter(**wanted)).items)

    assert listed() == ["Brute force against sshd", "over", "quiet"]
    assert listed(state="open") == ["Brute force against sshd", "quiet"]
    assert listed(state="ended") == ["over"]
    assert (
        listed(attached=True)
        == listed(severities=["high"])
        == listed(words="brute")
        == ["Brute force against sshd"]
    )
    assert listed(attached=False, state="open") == ["quiet"]
    assert listed(observable="203.0.113.7", state="open") == ["Brute force against sshd", "quiet"]
    assert listed(late=True) == listed(is_test=True) == listed(connector="okta") == []


def test_one_incident_by_any_of_its_names(database: object, clock: Any) -> None:
    case = opened()
    with reading() as session:
        for name in (case.key, "inc-2026-1", "2026-000001", str(case.id), case.id):
            assert queries.incident(session, ANN, name).id == case.id
        for name in ("INC-2026-000002", "nonsense", str(uuid4())):
            with pytest.raises(NotFound):
                queries.incident(session, ANN, name)


def test_facts_fill_the_declared_schema_exactly(database: object, clock: Any) -> None:
    (done,) = take(
        draft(
            entities=(
                Entity("host", "web01", "target"), Entity("user", "alice", "target"), Entity("ipv4-addr", "203.0.113.7", "source"),
                Entity("file-hash", "a" * 64, "artifact"),
            ),
            techniques=("T1110",), url="https://siem.example/alerts/1",
        )
    )  # fmt: skip
    assert done.incident_id is not None
    with reading() as session:
        facts = queries.facts(session, done.incident_id)
    assert facts["link"] == "https://siem.example/alerts/1"
    declared = INCIDENT.roots["incident"].fields
    assert set(facts) == set(declared)
    assert set(facts["observables"]) == set(declared["observables"].fields)
    assert (facts["host"], facts["user"], facts["ip"], facts["hash"], facts["domain"]) == (
        "web01",
        "alice",
        "203.0.113.7",
        "a" * 64,
        None,
    )
    assert (facts["key"], facts["techniques"], facts["trust"]) == (
        incident(done.incident_id).key,
        ["T1110"],
        "normal",
    )
    condition = compile_condition(
        'incident.category == "login" && incident.severity_rank >= 4 && incident.user != null', INCIDENT
    )
    result = condition.holds(Context({"incident": facts}))
    assert (result.matched, result.error) == (True, None)


def test_counts(database: object, clock: Any) -> None:
    take(draft(), low(fingerprint=(("a", "1"),)))
    case = opened(severity=Severity.critical)
    with unit_of_work() as uow:
        lifecycle.assign(uow, ANN, case.id, ANN.user_id)
    with reading() as session:
        found = queries.counts(session, ANN, clock.now - timedelta(hours=1))
    assert {name: count for name, count in found.open_by_severity.items() if count} == {
        "critical": 1,
        "high": 1,
    }
    assert list(found.open_by_severity) == ["critical", "high", "medium", "low", "info", "unknown"]
    assert (found.unowned, found.mine, found.alerts_last_hour, found.open_alerts) == (1, 1, 2, 2)


def test_deliveries_of_an_alert_are_the_first_and_the_last(database: object, clock: Any) -> None:
    results = []
    for _ in range(60):
        clock.advance(seconds=1)
        results += take(low())
    with reading() as session:
        found = queries.deliveries_of(session, ANN, results[0].alert_id)
        assert queries.alerts_of_delivery(session, ANN, found[0])[0].id == results[0].alert_id
    assert len(found) == 40
