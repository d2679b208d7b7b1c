"""The owners of assets are found in the list that is kept here, written to, and asked for by a person where they are not known."""

from collections.abc import Callable
from uuid import UUID

import pytest
from people_here import People
from playbook_bench import plan_of, start
from sqlalchemy import select

from cli import assemble
from connectors import owners
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.settings import configure, settings
from core.types import Ref
from incidents import lifecycle
from incidents.lifecycle import IncidentDraft
from incidents.models import Task
from notify.models import Message
from playbooks import ports, publishing, runs


@pytest.mark.usefixtures("database")
def test_tell_owners_writes_to_whom_it_knows_and_gives_the_rest_to_a_person(people: People, drain: Callable[..., int]) -> None:
    assemble.load()
    ports.use(None)
    configure(settings().with_(smtp_url="smtp://127.0.0.1:1", smtp_from="soc@example.org"))
    publishing.load_at_start()
    with unit_of_work() as uow:
        owners.keep(uow, people.ana, owners.read("files-02 eva@example.net\nexample.org luis@example.net"))
        incident: UUID = lifecycle.open_by_hand(uow, SYSTEM, IncidentDraft(title="Trojan", category="other")).id
        told = {"people": ["FILES-02", "www.example.org", "pc-9"], "what": "Leave it on."}
        runs.start(uow, SYSTEM, playbook="tell_owners", subject=Ref("incident", str(incident)), inputs=told)
    drain("core.outbox", "playbooks.runs")
    with reading() as session:
        (task,) = session.scalars(select(Task).where(Task.incident_id == incident)).all()
        sent = session.scalars(select(Message).order_by(Message.id)).all()
    assert [line["text"] for line in task.checklist] == ["FILES-02 (eva@example.net)", "www.example.org (luis@example.net)", "pc-9"]
    assert "Tocsin has written to the owners of FILES-02, www.example.org." in task.instructions
    assert [("FILES-02" in one.text, "www.example.org" in one.text) for one in sent] == [(True, False), (False, True)]


def test_nobody_known_is_no_failure() -> None:
    done = start(plan_of('- {id: whose, owners: "{{ incident.host }}"}\n- {id: after, set: {unknown: "{{ steps.whose.output.unknown }}"}}'))
    assert done.state.state == "succeeded"
    assert done.state.attempts[("whose", "")].output["known"] == []
