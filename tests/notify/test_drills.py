"""A test page goes the way of a real one, ends the one before it, and is only for those who manage who is on call."""

import pytest
from people_here import People

from cli import first_steps
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Forbidden, NotFound
from notify import delivery, drills, queries


def test_a_test_page_reaches_whoever_is_on_call_and_ends_the_one_before(database: object, people: People) -> None:
    with unit_of_work() as uow:
        with pytest.raises(NotFound):
            drills.begin(uow, people.ana)
        first_steps.on_call(uow, [users.get(uow, people.rita.user_id)])  # type: ignore[arg-type]  # a person has an id
        first = drills.begin(uow, people.ana).id
    with unit_of_work() as uow:
        second = drills.begin(uow, people.ana).id
        assert not drills.answered(uow)
    with reading() as session:
        assert queries.page_by_id(session, first).state == "closed"
        again = queries.page_by_id(session, second)
        assert (again.state, again.severity, again.title) == ("waiting", "high", "Test page from Ana")
        assert [one.user_id for one in queries.targets(session, second)] == [people.rita.user_id]
    with unit_of_work() as uow:
        delivery.acknowledge(uow, people.rita, second, "web")
        assert drills.answered(uow)
        assert queries.page_by_id(uow, second).due_at is None, "it does not ring again because nobody worked on it"
        with pytest.raises(Forbidden):
            drills.begin(uow, people.rita)
