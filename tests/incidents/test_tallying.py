"""What the alerts of a source came to: real counts of what one may see, and which rules are loud."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from connectors.contract import Entity
from core.db import reading
from core.types import Severity
from incident_bench import ANN, SOURCE, draft, take
from incidents import tallying
from incidents.opening import SourceFacts
from incidents.tallying import Tally


def tally(since: Any, source: UUID = SOURCE.id) -> Tally:
    with reading() as session:
        return tallying.of_source(session, ANN, source, since)


def seen(rule: str, host: str, **more: Any) -> Any:
    return draft(
        rule_id=rule, rule_name=f"Rule {rule}", fingerprint=(("rule", rule), ("host", host)),
        entities=(Entity("host", host, "target"),), **more,
    )  # fmt: skip


def test_alerts_incidents_and_the_loudest_rules(database: object, clock: Any) -> None:
    start = clock.now
    assert tally(start) == Tally(start, 0, 0, 0, (), capped=False)
    assert tally(start).share == 0
    noise = [seen("5710", host, severity=Severity.low) for host in ("a", "b", "c") for _ in range(20)]
    others = [seen(str(n), "a", severity=Severity.low) for n in range(5)]
    take(*noise, *others)
    take(seen("5712", "web-1"), seen("5713", "web-1"), seen("5714", "db-1", severity=Severity.critical))
    take(seen("9", "exercise", is_test=True))
    found = tally(start)
    assert (found.alerts, found.incidents, found.serious, found.capped) == (69, 2, 2, False)
    assert [(rule.rule_id, rule.count) for rule in found.loudest] == [("5710", 60), ("0", 1), ("1", 1)]
    assert found.loudest[0].name == "Rule 5710"
    assert found.share == 90
    clock.advance(days=1)
    assert tally(clock.now - timedelta(hours=1)).alerts == 0, "what began earlier is another day's"


def test_what_is_hidden_and_what_others_sent_is_not_counted(database: object, clock: Any) -> None:
    start = clock.now
    secret = SourceFacts(UUID(int=2), "hr", "generic", restricted_to=(str(UUID(int=9)),))
    take(seen("1", "a"), source=secret)
    take(seen("1", "a"))
    assert tally(start, secret.id).alerts == 0
    assert tally(start).alerts == 1


def test_only_the_newest_are_looked_at(database: object, clock: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tallying, "LOOKED_AT", 3)
    start = clock.now
    for number in range(5):
        clock.advance(seconds=1)
        take(seen(str(number), "a", severity=Severity.low))
    found = tally(start)
    assert (found.alerts, found.capped) == (3, True)
    assert [rule.rule_id for rule in found.loudest] == ["2", "3", "4"]
