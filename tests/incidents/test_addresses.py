"""An alert that names an address alone joins the incident of the host that has it, as long as that is believed."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from connectors.contract import Entity
from core.db import reading, unit_of_work
from core.types import Severity
from incident_bench import SOURCE, alert, draft, incident, low, take
from incidents import addresses, schema
from incidents.episodes import Episode, Item
from incidents.grouping import Rule, RuleSet
from incidents.models import HostAddress
from incidents.opening import SourceFacts

SENSOR = SourceFacts(UUID(int=2), "sensor", "suricata")
WEB = (Entity("host", "web01", "target"), Entity("ipv4-addr", "192.0.2.80", "target"))
ATTACKER = Entity("ipv4-addr", "203.0.113.7", "source")


def seen(*entities: Entity, **values: Any) -> Any:
    """What a sensor says, which knows addresses alone; medium unless said otherwise."""
    given = {"severity": Severity.medium, "fingerprint": (("sid", "9"),), "entities": entities}
    return draft(**(given | values))


def aimed_at(address: str) -> tuple[Entity, Entity]:
    return (ATTACKER, Entity("ipv4-addr", address, "target"))


def test_an_address_joins_the_incident_of_its_host(database: object, clock: Any) -> None:
    (first,) = take(draft(entities=(*WEB, ATTACKER)))
    (second,) = take(seen(*aimed_at("192.0.2.80")), source=SENSOR)
    assert second.incident_id == first.incident_id
    why = alert(second.alert_id).why or ""
    assert "same host web01" in why
    assert why.endswith("192.0.2.80 is web01")
    assert all(one["type"] != "host" for one in alert(second.alert_id).entities), "what was sent stays as it was"


def test_what_leaves_a_host_is_about_that_host(database: object, clock: Any) -> None:
    take(low(entities=WEB))
    beacon = seen(Entity("ipv4-addr", "192.0.2.80", "source"), Entity("ipv4-addr", "198.51.100.9", "target"), severity=Severity.high)
    (done,) = take(beacon, source=SENSOR)
    assert incident(done.incident_id).group_key == "host:web01"


def test_users_and_unknown_addresses_are_judged_as_they_are(database: object, clock: Any) -> None:
    take(draft(entities=WEB))
    (stranger,) = take(seen(*aimed_at("192.0.2.81")), source=SENSOR)
    assert stranger.incident_id is None
    of_user = seen(*aimed_at("192.0.2.80"), Entity("user", "luis", "victim"), fingerprint=(("sid", "10"),), severity=Severity.high)
    (done,) = take(of_user, source=SENSOR)
    assert incident(done.incident_id).group_key == "user:luis"


def key_of(address: str, number: str) -> str:
    """The group of a high alert that names this address alone."""
    (done,) = take(seen(*aimed_at(address), fingerprint=(("sid", number),), severity=Severity.high), source=SENSOR)
    return incident(done.incident_id).group_key or ""


def claims() -> int:
    """How many claims are kept."""
    with reading() as session:
        return session.query(HostAddress).count()


WEB02 = (Entity("host", "web02", "target"), WEB[1])


def test_two_hosts_of_one_address_are_ambiguous_until_one_is_not_believed_any_more(database: object, clock: Any) -> None:
    take(low(entities=WEB))
    assert key_of("192.0.2.80", "20") == "host:web01"
    clock.advance(minutes=5)
    take(low(entities=WEB02, fingerprint=(("a", "2"),)))
    take(low(entities=WEB, fingerprint=(("a", "3"),), occurred_at=clock.now.replace(year=2020)))
    assert key_of("192.0.2.80", "21").startswith("alert:")
    clock.advance(hours=23, minutes=57)
    assert key_of("192.0.2.80", "22") == "host:web02", "what was said a day ago is not believed"
    clock.advance(minutes=5)
    assert key_of("192.0.2.80", "23").startswith("alert:")
    with unit_of_work() as uow:
        assert addresses.forget(uow) == 2
    assert claims() == 0


def test_what_is_better_proved_is_believed_whoever_says_otherwise(database: object, clock: Any) -> None:
    signed = SourceFacts(UUID(int=3), "edr", "edr", "high")
    take(low(entities=WEB), source=signed)
    for number in range(9):
        host = Entity("host", f"decoy{number}", "target")
        take(low(entities=(host, WEB[1]), fingerprint=(("a", str(number)),)))
    assert key_of("192.0.2.80", "30") == "host:web01"
    assert claims() == 5, "one sender does not fill the table"


def test_low_trust_tests_and_ignored_alerts_teach_nothing(database: object, clock: Any) -> None:
    take(low(entities=WEB), source=replace(SOURCE, id=UUID(int=4), trust="low"))
    take(low(entities=WEB, is_test=True, fingerprint=(("a", "2"),)))
    circle = ""
    hidden = Episode("f", acceptance_id=UUID(int=6), items=[Item(0, low(entities=WEB), None, clock.now)])
    with unit_of_work() as uow:
        addresses.learn(uow, circle, "normal", [hidden])
    assert claims() == 0
    hidden.acceptance_id = None
    with unit_of_work() as uow:
        addresses.learn(uow, circle, "normal", [hidden])
    assert claims() == 1


def test_a_source_in_its_first_day_teaches_as_others_do(database: object) -> None:
    take(low(entities=WEB), source=replace(SOURCE, id=UUID(int=5), learning=True))
    assert claims() == 1


def test_a_learnt_host_groups_and_never_keeps_an_alert_from_opening() -> None:
    rules = RuleSet([
        Rule("Decoys", 'alert.host == "web01"', "keep"),
        Rule("All others", 'alert.host != "web01"', "open", "host:{{ alert.host }}"),
    ])  # fmt: skip
    row = {**dict.fromkeys(schema._COPIED, ""), "severity": "high", "techniques": [], "tags": [], "labels": {}}
    sent = list(dict.fromkeys((one.type, one.value, one.role) for one in aimed_at("192.0.2.80")))
    told = schema.alert_facts(row, addresses.hosted(sent, addresses.Home("web01", "192.0.2.80")))
    verdict = rules.judge(schema.alert_facts(row, sent), lambda _window: 1, told)
    assert [(one.action, one.key) for one in verdict.candidates] == [("open", "host:web01")]


def test_two_hosts_in_one_alert_teach_nothing_and_circles_do_not_mix(database: object, clock: Any) -> None:
    take(low(entities=(*WEB, Entity("host", "web02", "target"))))
    with reading() as session:
        assert session.query(HostAddress).count() == 0
    theirs = SourceFacts(SOURCE.id, SOURCE.name, SOURCE.connector, constituency_id=UUID(int=77))
    take(low(entities=WEB, fingerprint=(("a", "2"),)), source=theirs)
    (ours,) = take(seen(*aimed_at("192.0.2.80"), severity=Severity.high), source=SENSOR)
    assert (incident(ours.incident_id).group_key or "").startswith("alert:")
