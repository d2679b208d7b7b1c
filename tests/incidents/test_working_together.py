"""Taking the next, watching, and being mentioned: who gets what, who is told, and who never hears of it."""

from typing import Any

import pytest
from people_here import People
from sqlalchemy import select

from cli import assemble
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Forbidden, NotFound
from core.types import Severity
from incident_bench import NOBODY, READER, SOURCE_ACTOR, opened, verbs
from incidents import comments, following, lifecycle, queueing
from incidents.models import Incident
from notify import contacts
from notify.models import InboxItem, Message

assemble.load()
pytestmark = pytest.mark.usefixtures("database")


def titles(people: People, name: str) -> list[str]:
    """What stands in somebody's inbox, oldest first."""
    of = getattr(people, name).user_id
    with reading() as session:
        query = select(InboxItem.title).where(InboxItem.user_id == of).order_by(InboxItem.id)
        return list(session.scalars(query))


def test_the_next_is_the_oldest_of_the_worst_that_nobody_owns(people: People) -> None:
    words = ("low", "high", "high", "unknown", "critical")
    made = [opened(title=f"{place} {word}", severity=Severity(word)) for place, word in enumerate(words)]
    hidden = opened(title="hidden", severity=Severity.critical)
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, hidden.id, [])
        lifecycle.assign(uow, people.raul, made[1].id, people.raul.user_id)
    taken = []
    for actor in (people.rita, people.raul, people.rita, people.rita):
        with unit_of_work() as uow:
            one = queueing.take_next(uow, actor)
            taken.append((one.title, one.owner_id == actor.user_id, one.stage))
    assert taken == [
        ("4 critical", True, "triage"), ("2 high", True, "triage"), ("3 unknown", True, "triage"), ("0 low", True, "triage"),
    ]  # fmt: skip
    with pytest.raises(NotFound, match="has an owner"), unit_of_work() as uow:
        queueing.take_next(uow, people.rita)
    with pytest.raises(Forbidden), unit_of_work() as uow:
        queueing.take_next(uow, READER)


def test_watchers_hear_what_others_do_and_nobody_else_does(people: People, drain: Any) -> None:
    case = opened()
    with unit_of_work() as uow:
        assert following.watch(uow, people.rita, case.id)
        assert not following.watch(uow, people.rita, case.id)
        following.watch(uow, people.aldo, case.id)
    with unit_of_work() as uow:
        lifecycle.move(uow, people.raul, case.id, "contain")
        lifecycle.move(uow, people.rita, case.id, "recover")
        comments.add(uow, people.raul, case.id, "Called them.")
    drain("core.outbox", "notify.messages")
    assert titles(people, "rita") == [f"{case.key}: Raul moved it to contain", f"{case.key}: Raul wrote a note"]
    assert len(titles(people, "aldo")) == 3
    assert titles(people, "raul") == []
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, case.id, [str(people.rita.user_id)])
        following.watch(uow, people.rita, case.id, on=False)
        lifecycle.move(uow, people.mara, case.id, "review")
    drain("core.outbox", "notify.messages")
    assert len(titles(people, "aldo")) == 3, "it is restricted now"
    assert len(titles(people, "rita")) == 2, "she watches no longer"
    assert verbs("incident", case.id).count("incident.watched") == 2
    with pytest.raises(NotFound), unit_of_work() as uow:
        following.watch(uow, people.aldo, case.id)
    for actor in (NOBODY, SOURCE_ACTOR):
        with pytest.raises(Forbidden), unit_of_work() as uow:
            following.watch(uow, actor, case.id)


def test_who_is_mentioned_is_told_here_and_outside_without_the_words(people: People, drain: Any) -> None:
    case = opened()
    with unit_of_work() as uow:
        users.create(uow, SYSTEM, email="raul@other.example", name="Another", roles=["responder"])
        contacts.add(
            uow, people.rita, user_id=people.rita.user_id, channel="webhook",
            address={"url": "https://hooks.example.org/rita"}, name="mine",
        )  # fmt: skip
        comments.add(uow, people.ana, case.id, "@rita please look at the secret; @raul @mara@example.org @nobody @ana too")
    drain("notify.messages")
    assert titles(people, "rita") == [f"Ana mentions you in {case.key}"]
    assert titles(people, "mara") == [f"Ana mentions you in {case.key}"]
    assert titles(people, "raul") == [], "two people are called raul"
    assert titles(people, "ana") == [], "she wrote it herself"
    with reading() as session:
        outside = session.scalars(select(Message).where(Message.channel == "webhook")).one()
        inside = session.scalars(select(InboxItem).where(InboxItem.user_id == people.rita.user_id)).one()
    assert "secret" not in outside.title + outside.text
    assert "secret" in inside.text


def test_a_mention_does_not_open_a_restricted_incident(people: People, drain: Any) -> None:
    case = opened(restricted_to=[str(people.mara.user_id)])
    with unit_of_work() as uow:
        comments.add(uow, people.mara, case.id, "@rita @mara")
    drain("notify.messages")
    assert titles(people, "rita") == []
    with reading() as session:
        assert session.scalars(select(Message)).all() == []
        assert session.scalars(select(Incident.restricted_to)).one() is not None
