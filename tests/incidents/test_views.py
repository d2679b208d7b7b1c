"""Filters under a name: one's own, everybody's, and never somebody else's."""

import pytest
from people_here import People

from cli import assemble
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.journal import entries
from incident_bench import NOBODY
from incidents import views
from incidents.view_models import SavedView

assemble.load()
pytestmark = pytest.mark.usefixtures("sqlite_database")


def save(actor: object, **values: object) -> SavedView:
    given = {"list_name": "incidents", "name": "Night", "query": "severity=high&after=abc&owner=none"}
    with unit_of_work() as uow:
        return views.save(uow, actor, **(given | values))  # type: ignore[arg-type]  # a test's own values


def seen(actor: object, name: str = "incidents") -> list[str]:
    with reading() as session:
        return [view.name for view in views.of_list(session, actor, name)]  # type: ignore[arg-type]  # an actor


def test_ones_own_and_shared(people: People) -> None:
    mine = save(people.rita)
    assert mine.href == "/incidents?severity=high&owner=none", "the place in the list is not kept"
    save(people.rita, name="All", shared=True)
    save(people.raul, list_name="alerts", query="")
    assert seen(people.rita) == ["All", "Night"]
    assert seen(people.raul) == ["All"]
    assert seen(people.raul, "alerts") == ["Night"]
    with pytest.raises(NotFound), unit_of_work() as uow:
        views.remove(uow, people.raul, mine.id)
    with unit_of_work() as uow:
        views.remove(uow, people.rita, mine.id)
    assert seen(people.rita) == ["All"]
    with reading() as session:
        told = [entry.verb for entry in entries(session, ref=mine.ref)]
    assert told == ["view.removed", "view.saved"]


def test_who_may_share_and_what_is_refused(people: People) -> None:
    save(people.aldo)
    shared = save(people.mara, shared=True)
    with pytest.raises(Forbidden):
        save(people.aldo, shared=True)
    with pytest.raises(Forbidden), unit_of_work() as uow:
        views.remove(uow, people.aldo, shared.id)
    with pytest.raises(Forbidden):
        save(NOBODY)
    for wrong in ({"list_name": "users"}, {"name": " "}, {"name": "x" * 61}, {"query": "q=" + "x" * 3000}):
        with pytest.raises(Invalid):
            save(people.rita, **wrong)
    for number in range(views.MOST):
        save(people.raul, name=f"{number}")
    with pytest.raises(Conflict, match="remove one"):
        save(people.raul)
