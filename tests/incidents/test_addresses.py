"""An alert that names an address alone joins the incident of the host that has it, as long as that is believed."""

from typing import Any
from uuid import UUID

from connectors.contract import Entity
from core.db import reading, unit_of_work
from core.types import Severity
from incident_bench import SOURCE, alert, draft, incident, low, take
from incidents import addresses
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


def test_the_latest_host_has_the_address_and_yesterdays_is_not_believed(database: object, clock: Any) -> None:
    take(low(entities=WEB))
    clock.advance(minutes=5)
    take(low(entities=(Entity("host", "web02", "target"), WEB[1]), fingerprint=(("a", "2"),)))
    late = low(entities=WEB, fingerprint=(("a", "3"),), occurred_at=clock.now.replace(year=2020))
    take(late)
    high = {"severity": Severity.high}
    (now,) = take(seen(*aimed_at("192.0.2.80"), **high), source=SENSOR)
    assert incident(now.incident_id).group_key == "host:web02"
    clock.advance(hours=24, minutes=1)
    (later,) = take(seen(*aimed_at("192.0.2.80"), fingerprint=(("sid", "11"),), **high), source=SENSOR)
    assert (incident(later.incident_id).group_key or "").startswith("alert:")
    with unit_of_work() as uow:
        assert addresses.forget(uow) == 1
    with reading() as session:
        assert session.query(HostAddress).count() == 0


def test_two_hosts_in_one_alert_teach_nothing_and_circles_do_not_mix(database: object, clock: Any) -> None:
    take(low(entities=(*WEB, Entity("host", "web02", "target"))))
    with reading() as session:
        assert session.query(HostAddress).count() == 0
    theirs = SourceFacts(SOURCE.id, SOURCE.name, SOURCE.connector, constituency_id=UUID(int=77))
    take(low(entities=WEB, fingerprint=(("a", "2"),)), source=theirs)
    (ours,) = take(seen(*aimed_at("192.0.2.80"), severity=Severity.high), source=SENSOR)
    assert (incident(ours.incident_id).group_key or "").startswith("alert:")
