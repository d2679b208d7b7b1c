"""Alerts taken in: counted, ended, recurring, late; grouped into incidents, once, whoever is first."""

import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from connectors.contract import Entity
from core import journal
from core.db import UnitOfWork, reading, unit_of_work
from core.types import Ref, Severity
from incident_bench import ANN, alert, draft, incident, low, take, verbs
from incidents import closing, keys, lifecycle, rules
from incidents.closing import Closing
from incidents.models import Alert, Incident, Observable, Sighting
from incidents.opening import SourceFacts


def close(of: UUID | None, disposition: str = "policy_violation") -> None:
    assert of is not None
    with unit_of_work() as uow:
        lifecycle.confirm(uow, ANN, of, "not_an_incident", because="seen to")
        closing.close(uow, ANN, of, Closing(disposition=disposition, summary="Done."))


def test_a_high_alert_opens_an_incident_and_says_why(database: object, clock: Any) -> None:
    (done,) = take(draft())
    assert done.outcome == "new"
    case = incident(done.incident_id)
    assert case.key == "INC-2026-000001"
    assert (case.severity, case.stage, case.confirmation, case.category) == (
        "high",
        "new",
        "unconfirmed",
        "login",
    )
    assert case.group_why == 'opened by rule "High and above": severity high'
    assert case.group_key == "host:web01"
    assert alert(done.alert_id).why == case.group_why
    assert verbs("incident", case.id) == ["incident.opened"]
    assert "alert.opened" in verbs("alert", done.alert_id)


def test_a_low_alert_stays_an_alert_and_says_why(database: object, clock: Any) -> None:
    (done,) = take(low())
    assert done.incident_id is None
    assert alert(done.alert_id).why == "kept as an alert: no rule asks for an incident"


def test_a_test_stays_an_alert(database: object, clock: Any) -> None:
    (done,) = take(draft(is_test=True))
    assert done.incident_id is None
    assert (
        alert(done.alert_id).why == 'kept as an alert by rule "Tests stay alerts": marked as a test by wazuh'
    )


def test_the_same_alert_again_counts_within_and_between_batches(database: object, clock: Any) -> None:
    first = take(low(), low(), low())
    clock.advance(minutes=5)
    second = take(low())
    assert len({done.alert_id for done in first + second}) == 1
    assert [done.outcome for done in first + second] == ["new", "counted", "counted", "counted"]
    row = alert(first[0].alert_id)
    assert (row.count, row.last_seen) == (4, clock.now)


def test_a_threshold_opens_within_its_window_only(database: object, clock: Any) -> None:
    medium = draft(severity=Severity.medium)
    for _ in range(9):
        (done,) = take(medium)
        clock.advance(minutes=10)
    assert done.incident_id is None  # nine in ninety minutes
    results = take(*[medium] * 9)
    assert results[-1].incident_id is not None
    case = incident(results[-1].incident_id)
    assert (
        case.group_why
        == 'opened by rule "Keeps coming": severity medium, seen 10 times or more within 1 hour'
    )


def test_alerts_of_one_host_join_its_incident_for_thirty_minutes(database: object, clock: Any) -> None:
    (first,) = take(draft())
    (second,) = take(draft(fingerprint=(("rule", "other"),)))
    assert second.incident_id == first.incident_id
    assert "same group as INC-2026-000001" in (alert(second.alert_id).why or "")
    assert incident(first.incident_id).alert_count == 2
    assert "incident.alert_attached" in verbs("incident", first.incident_id)
    clock.advance(minutes=31)
    (third,) = take(draft(fingerprint=(("rule", "third"),)))
    assert third.incident_id != first.incident_id


def test_an_outage_that_its_tool_groups_is_one_incident(database: object, clock: Any) -> None:
    hosts = [
        draft(
            category="availability", correlation="{team=shop}", fingerprint=(("alert", name),),
            entities=(Entity("host", name, "target"),),
        )
        for name in ("shop-01", "shop-02")
    ]  # fmt: skip
    one, other = take(*hosts)
    assert one.incident_id == other.incident_id
    assert one.incident_id is not None
    assert "one group of wazuh" in str(incident(one.incident_id).group_why)
    (apart,) = take(
        draft(category="availability", correlation="{team=mail}", fingerprint=(("alert", "mail"),))
    )
    assert apart.incident_id != one.incident_id


def test_a_medium_alert_joins_an_open_group_but_opens_none(database: object, clock: Any) -> None:
    (alone,) = take(draft(severity=Severity.medium, fingerprint=(("rule", "m1"),)))
    (opened,) = take(draft())
    (joined,) = take(draft(severity=Severity.medium, fingerprint=(("rule", "m2"),)))
    assert alone.incident_id is None
    assert joined.incident_id == opened.incident_id


# --- the four repeats of a source that never says "resolved"


def test_a_repeat_while_the_incident_is_open_counts(database: object, clock: Any) -> None:
    (first,) = take(draft())
    clock.advance(hours=1)
    (again,) = take(draft())
    assert (again.outcome, again.incident_id) == ("counted", first.incident_id)
    assert verbs("incident", first.incident_id) == ["incident.opened"]


def test_a_repeat_after_the_incident_was_closed_opens_a_linked_recurrence(
    database: object, clock: Any
) -> None:
    (first,) = take(draft())
    close(first.incident_id)
    clock.advance(hours=1)
    (again,) = take(draft())
    assert again.outcome == "recurred"
    assert again.alert_id != first.alert_id
    assert again.incident_id not in (None, first.incident_id)
    assert incident(again.incident_id).recurrence_of == first.incident_id
    assert (alert(first.alert_id).ended_by, alert(again.alert_id).recurrence_of) == (
        "closed",
        first.incident_id,
    )
    assert "a recurrence of INC-2026-000001" in (incident(again.incident_id).group_why or "")
    assert "alert.recurred" in verbs("incident", first.incident_id)


def test_what_no_rule_would_open_still_recurs_unless_it_was_noise(database: object, clock: Any) -> None:
    for disposition, recurs in (("true_positive", True), ("false_positive", False)):
        name = (("rule", disposition),)
        entities = (Entity("host", disposition, "target"),)
        (first,) = take(draft(fingerprint=name, entities=entities))
        close(first.incident_id, disposition)
        (again,) = take(low(fingerprint=name, entities=entities))
        assert (again.incident_id is not None) is recurs


def test_a_worse_repeat_raises_the_incident(database: object, clock: Any) -> None:
    (first,) = take(draft())
    (worse,) = take(draft(severity=Severity.critical))
    assert worse.outcome == "counted"
    assert incident(first.incident_id).severity == "critical"
    found = verbs("incident", first.incident_id)
    assert "incident.severity_raised" in found
    assert "alert.escalated" in found


def test_a_new_host_or_user_is_told_and_runs_the_rules(database: object, clock: Any) -> None:
    (first,) = take(draft())
    take(draft(entities=(Entity("user", "alice", "target"),)))
    with reading() as session:
        entry = next(
            e
            for e in journal.entries(session, ref=Ref("incident", str(first.incident_id)))
            if e.verb == "alert.escalated"
        )
    assert entry.data == {"reasons": ["new user alice"]}


@pytest.mark.parametrize("mark", [10, 100])
def test_a_count_that_crosses_a_mark_is_told(database: object, clock: Any, mark: int) -> None:
    (first,) = take(draft())
    take(*[draft()] * (mark - 2))
    assert verbs("incident", first.incident_id).count("alert.escalated") == (1 if mark > 10 else 0)
    take(draft())
    assert verbs("incident", first.incident_id).count("alert.escalated") == (2 if mark > 10 else 1)


def test_a_kept_alert_that_gets_worse_opens(database: object, clock: Any) -> None:
    (kept,) = take(low())
    (worse,) = take(draft())
    assert (worse.alert_id, worse.outcome) == (kept.alert_id, "counted")
    assert worse.incident_id is not None


# --- endings


def test_an_alert_without_repeats_ends_by_itself_and_its_open_incident_keeps_it(
    database: object, clock: Any
) -> None:
    (first,) = take(draft())
    clock.advance(hours=25)
    (again,) = take(draft())
    assert (alert(first.alert_id).ended_by, again.outcome) == ("quiet", "new")
    assert again.alert_id != first.alert_id
    assert again.incident_id == first.incident_id
    assert "is still open" in (alert(again.alert_id).why or "")


def test_a_resolve_ends_the_alert_and_not_the_incident(database: object, clock: Any) -> None:
    (first,) = take(draft())
    clock.advance(minutes=2)
    (done,) = take(draft(status="resolved"))
    row = alert(first.alert_id)
    assert (done.outcome, done.alert_id) == ("resolved", first.alert_id)
    assert (row.status, row.ended_by, row.count) == ("resolved", "resolved", 1)
    assert incident(first.incident_id).closed_at is None
    assert "alert.ended" in verbs("incident", first.incident_id)


def test_firing_resolved_firing_in_one_batch_are_two_episodes(database: object, clock: Any) -> None:
    results = take(draft(), draft(status="resolved"), draft())
    assert [done.outcome for done in results] == ["new", "resolved", "new"]
    assert results[0].alert_id == results[1].alert_id != results[2].alert_id
    assert results[0].incident_id == results[2].incident_id


def test_a_resolve_that_overtakes_its_firing_still_ends_it_and_hides_nothing(
    database: object, clock: Any
) -> None:
    started, ended = clock.now - timedelta(minutes=10), clock.now - timedelta(minutes=5)
    (resolve,) = take(draft(status="resolved", occurred_at=ended))
    assert resolve.incident_id is None
    (firing,) = take(draft(occurred_at=started))
    assert firing.alert_id == resolve.alert_id
    assert firing.incident_id is not None
    row = alert(firing.alert_id)
    assert (row.count, row.ended_by) == (1, "resolved")
    (more,) = take(draft(occurred_at=started))
    assert (more.outcome, more.alert_id) == ("counted", firing.alert_id)


def test_a_resolve_older_than_the_firing_is_stale(database: object, clock: Any) -> None:
    (first,) = take(draft(occurred_at=clock.now - timedelta(minutes=5)))
    (old,) = take(draft(status="resolved", occurred_at=clock.now - timedelta(minutes=20)))
    assert (old.outcome, old.alert_id) == ("stale", first.alert_id)
    assert alert(first.alert_id).ended_at is None


# --- late


def test_what_arrives_more_than_an_hour_after_it_occurred_is_late(database: object, clock: Any) -> None:
    (done,) = take(draft(occurred_at=clock.now - timedelta(hours=1, seconds=1)))
    assert (alert(done.alert_id).late, incident(done.incident_id).late) == (True, True)
    (intime,) = take(
        draft(occurred_at=clock.now - timedelta(minutes=59), fingerprint=(("rule", "x"),), entities=())
    )
    assert (alert(intime.alert_id).late, incident(intime.incident_id).late) == (False, False)


def test_a_late_incident_becomes_live_with_a_fresh_alert(database: object, clock: Any) -> None:
    (done,) = take(draft(occurred_at=clock.now - timedelta(days=1)))
    take(draft(occurred_at=clock.now))
    assert (alert(done.alert_id).late, incident(done.incident_id).late) == (False, False)
    assert "incident.became_live" in verbs("incident", done.incident_id)


# --- who belongs together, and who must not


def test_alerts_for_different_readers_never_share_an_incident(database: object, clock: Any) -> None:
    (everybody,) = take(draft())
    secret = SourceFacts(UUID(int=2), "hr", "generic", restricted_to=(str(UUID(int=9)),))
    (some,) = take(draft(), source=secret)
    assert some.incident_id != everybody.incident_id
    assert incident(some.incident_id).restricted_to == [str(UUID(int=9))]


def test_an_incident_is_trusted_as_little_as_its_least_trusted_alert(database: object, clock: Any) -> None:
    (done,) = take(draft())
    take(draft(), source=SourceFacts(UUID(int=3), "splunk", "splunk", "low"))
    assert incident(done.incident_id).trust == "low"


def test_observables_are_stored_once_and_seen_in_alert_and_incident(database: object, clock: Any) -> None:
    (done,) = take(draft())
    take(draft(fingerprint=(("rule", "other"),)))
    with reading() as session:
        values = session.scalars(select(Observable.value)).all()
        seen = session.scalars(select(Sighting).where(Sighting.incident_id == done.incident_id)).all()
    assert sorted(values) == ["203.0.113.7", "web01"]
    assert len([one for one in seen if one.alert_id is None]) == 2
    assert len([one for one in seen if one.alert_id is not None]) == 4


def test_a_broken_rule_does_not_match_and_is_counted(database: object, clock: Any) -> None:
    with unit_of_work() as uow:
        rules.seed(uow)
        first = rules.listed(uow)[0]
        first.when = 'alert.host.startsWith("x")'
    (done,) = take(draft(entities=()))
    assert done.incident_id is not None
    with reading() as session:
        (failing,) = rules.failing(session)
    assert (failing.name, failing.failures) == ("Tests stay alerts", 1)
    assert verbs("rule", failing.id)[0] == "grouping_rule.failed"


def test_long_and_hostile_values_are_stored(database: object, clock: Any) -> None:
    entities = tuple(Entity("url", f"https://x.example/{n}" + "é" * 3000, "artifact") for n in range(3))
    (done,) = take(draft(title="x" * 9000, rule_id="\x00" + "y" * 9000, entities=entities))
    assert len(alert(done.alert_id).title) == 500


def test_two_workers_open_one_incident_and_one_row_per_alert(database: object) -> None:
    with unit_of_work() as uow:
        rules.seed(uow)
    gate, failures = threading.Barrier(4), []

    def work(number: int) -> None:
        gate.wait()
        for turn in range(5):
            try:
                batch = [
                    draft(
                        fingerprint=(("rule", str(turn)),), entities=(Entity("host", f"h{turn}", "target"),)
                    ),
                    draft(
                        fingerprint=(("rule", f"{turn}-{number}"),),
                        entities=(Entity("host", f"h{turn}", "target"),),
                    ),
                ]
                take(*batch)
            except Exception as error:  # a thread's failure is the test's failure: it is told below
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with reading() as session:
        incidents = session.scalars(select(Incident)).all()
        alerts = session.scalars(select(Alert)).all()
    assert len(incidents) == 5
    assert len({one.key for one in incidents}) == 5
    assert len(alerts) == 5 + 20
    assert sum(one.count for one in alerts) == 40
    assert sum(one.alert_count for one in incidents) == 25
    assert all(one.incident_id for one in alerts)


def test_the_counter_gives_each_year_its_own_numbers(database: object, clock: Any) -> None:
    def taken(uow: UnitOfWork) -> list[str]:
        return keys.take(uow, 2)

    with unit_of_work() as uow:
        assert taken(uow) == ["INC-2026-000001", "INC-2026-000002"]
    clock.hold(datetime.fromisoformat("2027-01-01T00:00:00+00:00"))
    with unit_of_work() as uow:
        assert taken(uow) == ["INC-2027-000001", "INC-2027-000002"]
