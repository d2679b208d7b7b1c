"""Chores: quiet alerts end by themselves, whether or not anybody repeats them."""

from typing import Any

from core.db import reading, unit_of_work
from incident_bench import alert, draft, low, take, verbs
from incidents import upkeep
from incidents.models import Upkeep


def test_quiet_alerts_end_and_chores_come_back(database: object, clock: Any, drain: Any) -> None:
    with unit_of_work() as uow:
        upkeep.seed(uow)
        upkeep.seed(uow)
    kept, opened = take(low(), draft(fingerprint=(("a", "1"),)))
    drain("incidents.upkeep")
    assert alert(kept.alert_id).ended_at is None
    assert alert(kept.alert_id).indexed_at == clock.now
    clock.advance(hours=24, minutes=2)
    drain("incidents.upkeep")
    for done in (kept, opened):
        row = alert(done.alert_id)
        assert (row.ended_by, row.ended_at) == ("quiet", row.quiet_until)
    assert "alert.ended" in verbs("incident", opened.incident_id)
    assert verbs("alert", kept.alert_id) == ["alert.opened"]
    with reading() as session:
        rows = session.query(Upkeep).all()
        assert sorted(row.name for row in rows) == [
            "end quiet alerts",
            "end what was ignored",
            "forget old addresses",
            "forget past storms",
            "forget what is old",
            "index alerts",
            "measure grown tables",
            "page for stuck work",
            "page for the unattended",
        ]
        assert all(row.due_at is not None and row.due_at > clock.now for row in rows)
