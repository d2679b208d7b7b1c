"""Playbooks start in the transaction of the fact that triggers them, or by the outbox where that would hold somebody up."""

from collections.abc import Callable
from uuid import UUID

import pytest
from run_bench import publish
from sqlalchemy import select

from cli import assemble
from core import db, logs, outbox
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.types import Severity
from incidents import lifecycle
from incidents.lifecycle import IncidentDraft
from playbooks import ports
from playbooks.models import PlaybookRun


@pytest.fixture(autouse=True)
def assembled() -> None:
    assemble.load()
    ports.use(None)


def open_some(number: int) -> list[UUID]:
    with unit_of_work() as uow:
        draft = IncidentDraft(title="Trojan on files-02", severity=Severity.low)
        return [lifecycle.open_by_hand(uow, SYSTEM, draft).id for _ in range(number)]


def states() -> list[str]:
    with reading() as session:
        return list(
            session.scalars(select(PlaybookRun.state).order_by(PlaybookRun.created_at, PlaybookRun.id))
        )


@pytest.mark.usefixtures("database")
def test_few_are_started_at_once_and_many_later(drain: Callable[..., int]) -> None:
    publish("- {id: note, set: {x: 1}}", head="triggers: [{on: incident.opened}]\n")
    with logs.tied("the receipt"):
        open_some(outbox.FEW)
    assert states() == ["running"] * outbox.FEW
    with reading() as session:
        assert set(session.scalars(select(PlaybookRun.correlation))) == {"the receipt"}
    open_some(outbox.FEW + 1)
    assert len(states()) == outbox.FEW
    drain("core.outbox", "playbooks.runs")
    assert states() == ["succeeded"] * (2 * outbox.FEW + 1)


@pytest.mark.usefixtures("postgresql_database")
def test_a_run_that_is_being_driven_holds_nobody_up(drain: Callable[..., int]) -> None:
    publish(
        "- {id: pause, wait: 5m}",
        head="""\
        triggers: [{on: incident.opened}, {on: incident.severity_raised}]
        concurrency: {key: "{{ incident.key }}", policy: replace}
        """,
    )
    (incident,) = open_some(1)
    drain("core.outbox", "playbooks.runs")
    with db.engine().connect() as worker:
        worker.execute(select(PlaybookRun.id).with_for_update())
        with unit_of_work() as uow:
            lifecycle.change(uow, SYSTEM, incident, {"severity": Severity.high.value}, reason="it spreads")
        assert states() == ["waiting"]
    drain("core.outbox", "playbooks.runs")
    assert states() == ["cancelled", "waiting"]
