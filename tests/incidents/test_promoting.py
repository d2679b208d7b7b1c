"""Alerts the rules kept, taken up by people."""

from typing import Any

import pytest

from core.db import reading, unit_of_work
from core.errors import Conflict, NotFound
from core.types import Severity
from incident_bench import ANN, BOB, READER, alert, draft, incident, low, opened, take, verbs
from incidents import observables, promoting
from incidents.opening import SourceFacts
from uuid import UUID


def test_an_incident_is_opened_for_an_alert(database: object, clock: Any) -> None:
    (kept,) = take(low(techniques=("T1110",)), source=SourceFacts(UUID(int=3), "splunk", "splunk", "low"))
    with unit_of_work() as uow:
        case = promoting.open_for(uow, ANN, kept.alert_id)
    found = incident(case.id)
    assert (found.title, found.severity, found.trust, found.source) == (
        "Brute force against sshd",
        "low",
        "low",
        "splunk",
    )
    assert (found.alert_count, found.techniques) == (1, ["T1110"])
    assert alert(kept.alert_id).incident_id == case.id
    with reading() as session:
        assert [o.value for o in observables.of_incident(session, ANN, case.id)] == ["web01", "203.0.113.7"]
    assert set(verbs("incident", case.id)) == {"incident.opened", "incident.alert_attached"}
    with unit_of_work() as uow, pytest.raises(Conflict):
        promoting.open_for(uow, ANN, kept.alert_id)
    take(draft(), source=SourceFacts(UUID(int=3), "splunk", "splunk", "low"))
    assert incident(case.id).severity == "high"


def test_an_alert_is_put_into_an_incident_and_taken_out(database: object, clock: Any) -> None:
    (kept,) = take(low())
    case = opened(severity=Severity.unknown)
    with unit_of_work() as uow:
        promoting.attach(uow, ANN, case.id, kept.alert_id)
    assert (incident(case.id).severity, incident(case.id).alert_count) == ("low", 1)
    with unit_of_work() as uow:
        promoting.detach(uow, ANN, kept.alert_id, reason="another machine")
    assert (alert(kept.alert_id).incident_id, incident(case.id).alert_count) == (None, 0)
    assert verbs("incident", case.id)[0] == "incident.alert_detached"
    with unit_of_work() as uow, pytest.raises(Conflict):
        promoting.detach(uow, ANN, kept.alert_id, reason="again")


def test_only_what_one_may_see(database: object, clock: Any) -> None:
    (secret,) = take(low(), source=SourceFacts(UUID(int=2), "hr", "generic", restricted_to=(ANN.id,)))
    case = opened()
    with unit_of_work() as uow:
        with pytest.raises(NotFound):
            promoting.open_for(uow, BOB, secret.alert_id)
        with pytest.raises(NotFound):
            promoting.attach(uow, BOB, case.id, secret.alert_id)
        mine = promoting.open_for(uow, ANN, secret.alert_id)
    assert incident(mine.id).restricted_to == [ANN.id]
    assert READER.user_id is not None
