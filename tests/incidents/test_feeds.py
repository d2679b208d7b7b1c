"""A block list that is no longer fetched opens an incident when something stands on it, and its alert ends by itself."""

from datetime import timedelta
from uuid import uuid4

import pytest
from held_time import HeldClock
from sqlalchemy import select

from connectors import blocklist, calls
from connectors.calls import CallContext
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.types import Ref
from incidents import rules
from incidents.alert_models import Alert
from incidents.models import Incident

FIVE = timedelta(minutes=5)


def alerts() -> list[Alert]:
    with reading() as session:
        return list(session.scalars(select(Alert).order_by(Alert.created_at)))


@pytest.mark.parametrize("listed", [True, False])
def test_a_list_that_is_no_longer_fetched(database, clock: HeldClock, drain, listed: bool):
    with unit_of_work() as uow:
        rules.seed(uow)
        _, url = blocklist.create_feed(uow, SYSTEM, name="edge", kind="ip")
    token = url.rpartition("/")[2].removesuffix(".txt")
    if listed:
        asked = CallContext(Actor(ActorKind.playbook, "run-1", "Web attack"), Ref("incident", str(uuid4())))
        with unit_of_work() as uow:
            calls.request(uow, asked, "network.block_ip", {"ip": "203.0.113.9"}, key=uuid4().hex)
    drain("connectors.calls")
    for _ in range(3):
        clock.advance(FIVE)
        blocklist.serve(token, "192.0.2.1")
    clock.advance(3 * FIVE)
    clock.advance(seconds=1)
    drain("connectors.fetching", "core.outbox")
    (alert,) = alerts()
    assert alert.title == "The block list edge is no longer fetched"
    assert "192.0.2.1" in (alert.description or "")
    assert "every 5 min" in (alert.description or "")
    assert (alert.severity, alert.incident_id is not None) == (
        ("high", True) if listed else ("medium", False)
    )
    assert alert.ended_at is None
    with reading() as session:
        assert len(session.scalars(select(Incident)).all()) == listed
    clock.advance(FIVE)
    blocklist.serve(token, "192.0.2.1")
    drain("connectors.fetching", "core.outbox")
    assert [one.ended_at is not None for one in alerts()] == [True]
