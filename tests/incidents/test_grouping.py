"""Grouping rules: order, thresholds, keys, reasons, and rules that fail."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.types import Severity
from incidents.grouping import DEFAULT_RULES, Rule, RuleSet, check, chosen, spoken
from incidents.schema import alert_facts

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def facts(entities: tuple = (("host", "web01", "target"),), **values: Any) -> dict[str, Any]:
    row = dict.fromkeys(
        ("description", "external_id", "rule_id", "rule_name", "category", "url", "correlation", "occurred_at")
    ) | {
        "title": "t", "status": "firing", "fingerprint": "1:abc", "is_test": False, "source": "wazuh",
        "connector": "wazuh", "trust": "normal", "first_seen": NOW, "last_seen": NOW, "count": 1, "late": False, "learning": False,
        "severity": "high", "techniques": [], "tags": [], "labels": {},
    }  # fmt: skip
    return alert_facts(row | values, entities)


def once(_window: timedelta) -> int:
    return 1


def nothing_live(_key: str) -> bool:
    return False


def test_every_default_rule_can_be_used() -> None:
    for rule in DEFAULT_RULES:
        check(rule)


@given(
    st.sampled_from(list(Severity)), st.booleans(), st.integers(1, 2000),
    st.sampled_from([(), (("host", "h", "target"),), (("user", "u", "actor"),), (("host", "h", "target"), ("user", "u", "actor"))]),
)  # fmt: skip
def test_the_default_policy(severity: Severity, is_test: bool, count: int, entities: tuple) -> None:
    verdict = RuleSet(DEFAULT_RULES).judge(
        facts(entities, severity=severity, is_test=is_test), lambda _: count
    )
    assert verdict.failures == ()
    taken = chosen(verdict.candidates, nothing_live)
    opens = taken is not None and taken.action == "open"
    enough = {"medium": 10, "unknown": 10, "low": 1000, "info": 1000, "high": 1, "critical": 1}
    assert opens is (not is_test and count >= enough[severity.value])
    if opens:
        assert taken is not None
        wanted = {"host": "host:h", "user": "user:u"}.get(entities[0][0] if entities else "", "alert:1:abc")
        assert taken.key == wanted
        assert taken.why.startswith("opened by rule ")


def test_the_first_rule_that_can_be_followed_decides() -> None:
    rules = RuleSet(
        [
            Rule("join", "true", "attach", "host:{{ alert.host }}"),
            Rule("leave", "true", "keep", why="because {{ alert.title }}"),
            Rule("never", "true", "open", "x"),
        ]
    )
    verdict = rules.judge(facts(), once)
    assert [c.rule for c in verdict.candidates] == ["join", "leave"]
    left = chosen(verdict.candidates, nothing_live)
    joined = chosen(verdict.candidates, lambda key: key == "host:web01")
    assert left is not None
    assert left.why == 'kept as an alert by rule "leave": because t'
    assert joined is not None
    assert (joined.rule, joined.why) == ("join", 'attached by rule "join"')


def test_a_rule_that_fails_does_not_match_and_is_reported() -> None:
    rules = RuleSet(
        [
            Rule("null", 'alert.user.startsWith("a")', "open", "x"),
            Rule("no key", "true", "open", "{{ '' }}"),
            Rule("bad template", "true", "open", "{{ alert.labels.nope }}"),
            Rule("does not compile", "alert.nosuch == 1", "open", "x"),
            Rule("good", "true", "open", "y"),
        ]
    )
    verdict = rules.judge(facts(), once)
    assert [c.rule for c in verdict.candidates] == ["good"]
    assert sorted(name for name, _ in verdict.failures) == [
        "bad template",
        "does not compile",
        "no key",
        "null",
    ]


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (Rule("r", "alert.severty == 'high'", "open", "x"), "when"),
        (Rule("r", "alert.title", "open", "x"), "when"),
        (Rule("r", "true", "open", ""), "key"),
        (Rule("r", "true", "open", "{{ incident.key }}"), "key"),
        (Rule("r", "true", "explode", "x"), "action"),  # type: ignore[arg-type]  # what a form may send
        (Rule("r", "true", "open", "x", threshold=0), "threshold"),
        (Rule("r", "true", "open", "x", window=timedelta(seconds=1)), "window"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_its_place(rule: Rule, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(rule)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_hostile_values_are_never_templates() -> None:
    rules = RuleSet([Rule("r", "true", "open", "host:{{ alert.host }}", "title {{ alert.title }}")])
    verdict = rules.judge(facts((("host", "{{ 7*7 }}", "target"),), title="{{ 7*7 }}"), once)
    assert verdict.candidates[0].key == "host:{{ 7*7 }}"
    assert verdict.candidates[0].why.endswith("title {{ 7*7 }}")


def test_the_victim_is_the_host_and_the_attacker_the_address() -> None:
    told = facts(
        (
            ("host", "proxy", "observer"), ("host", "web01", "target"), ("ipv4-addr", "10.0.0.1", "target"),
            ("ipv6-addr", "2001:db8::1", "source"),
        )
    )  # fmt: skip
    assert (told["host"], told["ip"], told["user"]) == ("web01", "2001:db8::1", None)
    assert told["observables"]["ip"] == ["2001:db8::1", "10.0.0.1"]
    assert told["observables"]["domain"] == []


def test_windows_in_words() -> None:
    spans = [timedelta(minutes=30), timedelta(hours=1), timedelta(days=2), timedelta(seconds=90)]
    assert [spoken(span) for span in spans] == ["30 minutes", "1 hour", "2 days", "90 seconds"]
