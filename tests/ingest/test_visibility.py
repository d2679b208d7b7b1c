"""Raw deliveries follow what they brought: whoever may not see an alert reads nothing of what it came in."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from incident_bench import ANN, BOB, READER
from sqlalchemy import delete, select, update

from core.actors import SYSTEM, Actor
from core.db import reading, unit_of_work
from core.errors import NotFound
from incidents import lifecycle, rules
from incidents.models import Alert, AlertDelivery
from ingest import process, queries, sources, storing
from ingest.models import Delivery, Source
from ingest.permissions import REPLAY_DELIVERIES
from ingest.storing import Arrival, body_key

RAUL = replace(BOB, permissions=BOB.permissions | {REPLAY_DELIVERIES.name})


def deliver(source: Source, *titles: str) -> UUID:
    """Store one delivery of high alerts as the door does; its id."""
    body = "\n".join(json.dumps({"title": title, "severity": "high"}) for title in titles).encode()
    arrival = Arrival(
        source_id=source.id, body=body, content_type="application/json", headers={}, key=body_key(body)
    )
    storing.store([arrival])
    return arrival.id


def restrict(title: str) -> None:
    """Let only Ann see the incident of this alert."""
    with unit_of_work() as uow:
        case = uow.scalars(select(Alert.incident_id).where(Alert.title == title)).one()
        assert case is not None
        lifecycle.restrict(uow, ANN, case, [])


def seen(actor: Actor) -> set[UUID]:
    """The deliveries that are listed for somebody; each can also be read, and no other."""
    with reading() as session:
        listed = {row.id for row, _ in queries.deliveries(session, actor).items}
        for one in session.scalars(select(Delivery.id)):
            if one in listed:
                assert queries.delivery(session, actor, one)
            else:
                with pytest.raises(NotFound):
                    queries.delivery(session, actor, one)
    return listed


@pytest.fixture
def ready(sender: Any) -> Sequence[Source]:
    """Two sources, and rules by which high alerts become incidents."""
    with unit_of_work() as uow:
        rules.seed(uow)
    return sender().source, sender("other").source


def test_what_a_restricted_case_came_in_is_its_readers_only(ready: Sequence[Source], drain: Any) -> None:
    tool, other = ready
    alone, together = deliver(tool, "secret"), deliver(tool, "plain", "secret")
    plain, elsewhere = deliver(tool, "plain"), deliver(other, "plain")
    drain("ingest.deliveries")
    unread = deliver(tool, "not read yet")
    everything = {alone, together, plain, elsewhere, unread}
    assert seen(RAUL) == everything
    restrict("secret")
    assert seen(RAUL) == seen(READER) == {plain, elsewhere, unread}
    assert seen(ANN) == seen(SYSTEM) == everything
    with pytest.raises(NotFound), unit_of_work() as uow:
        process.replay(uow, RAUL, [alone, together])
    with unit_of_work() as uow:
        assert process.replay(uow, RAUL, [alone, plain]) == 1


def test_a_restricted_source_keeps_all_it_sends(ready: Sequence[Source], drain: Any) -> None:
    tool, other = ready
    with unit_of_work() as uow:
        sources.change(uow, SYSTEM, tool.id, restricted_to=[str(ANN.user_id)])
    deliver(tool, "secret")
    drain("ingest.deliveries")
    deliver(tool, "not read yet")
    plain = deliver(other, "plain")
    assert seen(RAUL) == {plain}
    assert len(seen(ANN)) == 3
    with unit_of_work() as uow:
        uow.execute(update(Delivery).values(state="quarantined"))
    with reading() as session:
        assert (queries.quarantined(session, RAUL), queries.quarantined(session, ANN)) == (1, 3)
        assert queries.aside_by_source(session, RAUL) == {other.id: 1}
        since = queries.quarantined_since(session, RAUL)
        assert since == session.get_one(Delivery, plain).received_at
    with unit_of_work() as uow:
        sources.change(uow, SYSTEM, tool.id, restricted_to=None)
    assert len(seen(RAUL)) == 2, "its alert of then stays with its readers of then"


def test_what_a_loud_alert_no_longer_remembers_is_not_shown(ready: Sequence[Source], drain: Any) -> None:
    tool, other = ready
    deliver(tool, "secret")
    forgotten, elsewhere = deliver(tool, "secret", "more"), deliver(other, "plain")
    drain("ingest.deliveries")
    restrict("secret")
    with unit_of_work() as uow:
        uow.execute(delete(AlertDelivery).where(AlertDelivery.delivery_id.in_([forgotten, elsewhere])))
        uow.execute(update(Alert).where(Alert.title == "secret").values(count=41))
    assert seen(RAUL) == {elsewhere}
    assert forgotten in seen(ANN)
