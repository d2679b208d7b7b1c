"""Lead, scribe and communications: given, handed over and cleared, by those who may, to those who may see it."""

from typing import Any
from uuid import UUID

import pytest
from people_here import People
from sqlalchemy import select

from core import journal
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.types import Ref
from incident_bench import incident, opened
from incidents import lifecycle, parts, tasks
from incidents.models import Task
from incidents.tasks import TaskDraft
from notify.models import InboxItem

pytestmark = pytest.mark.usefixtures("database")


def give(people: People, case: UUID, part: str, to: UUID | None, by: str = "rita") -> None:
    with unit_of_work() as uow:
        parts.give(uow, getattr(people, by), case, part, to)


def told(user: UUID | None) -> list[str]:
    with reading() as session:
        query = select(InboxItem.title).where(InboxItem.user_id == user).order_by(InboxItem.id)
        return list(session.scalars(query))


def test_parts_are_given_handed_over_and_cleared(people: People, drain: Any) -> None:
    case = opened()
    for part, who in (("lead", people.raul), ("scribe", people.raul), ("communications", people.mara)):
        give(people, case.id, part, who.user_id)
    give(people, case.id, "scribe", people.rita.user_id)
    give(people, case.id, "scribe", people.rita.user_id)
    give(people, case.id, "communications", None)
    held = {part.value: who for part, who in parts.held_by(incident(case.id)).items()}
    assert held == {"lead": people.raul.user_id, "scribe": people.rita.user_id, "communications": None}
    with reading() as session:
        entries = journal.entries(session, ref=Ref("incident", str(case.id)))
    said = [(entry.verb, entry.body["from"], entry.body["to"]) for entry in entries if entry.verb != "incident.opened"]
    raul, rita, mara = people.raul.id, people.rita.id, people.mara.id
    assert said[::-1] == [
        ("incident.owner_changed", None, raul), ("incident.scribe_changed", None, raul),
        ("incident.speaker_changed", None, mara), ("incident.scribe_changed", raul, rita),
        ("incident.speaker_changed", mara, None),
    ]  # fmt: skip
    drain()
    assert [title.partition(": ")[2] for title in told(people.raul.user_id)] == [
        "you lead it now", "you are its scribe: write down what happens and what is decided",
    ]  # fmt: skip
    assert told(people.mara.user_id)
    assert not told(people.rita.user_id), "she gave it to herself"


def test_the_work_of_who_speaks_goes_over_with_the_part(people: People) -> None:
    case = opened()
    with unit_of_work() as uow:
        update = tasks.create(uow, people.rita, case.id, TaskDraft("Send an update", assign="communications")).id

    def whose() -> tuple[UUID | None, str | None]:
        with reading() as session:
            row = session.get_one(Task, update)
            return row.assignee_id, row.assignee_role

    assert whose() == (None, "responder"), "nobody speaks and nobody leads: whoever works on it"
    give(people, case.id, "communications", people.mara.user_id)
    assert whose() == (people.mara.user_id, None)
    give(people, case.id, "lead", people.raul.user_id)
    give(people, case.id, "communications", None)
    assert whose() == (people.raul.user_id, None), "its lead where nobody speaks"


def test_nobody_gets_a_part_who_may_not_have_it(people: People, drain: Any) -> None:
    case = opened()
    with pytest.raises(Invalid):
        give(people, case.id, "hero", people.raul.user_id)
    with pytest.raises(NotFound):
        give(people, case.id, "scribe", UUID(int=77))
    with pytest.raises(Forbidden):
        give(people, case.id, "scribe", people.raul.user_id, by="aldo")
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, case.id, [str(people.rita.user_id)])
    for part in parts.Part:
        with pytest.raises(Conflict):
            give(people, case.id, part, people.raul.user_id)
    with pytest.raises(NotFound):
        give(people, case.id, "scribe", people.rita.user_id, by="raul")
    drain()
    assert not told(people.raul.user_id)
