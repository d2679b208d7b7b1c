"""A parked call is not called again by the press of a button when it may have happened."""

from uuid import UUID, uuid4

import pytest
from people_here import People
from sqlalchemy import update

from connectors import calls, instances
from connectors.calls import CallContext
from connectors.models import ActionCall
from core import parked
from core.actors import SYSTEM, Actor, ActorKind
from core.db import unit_of_work
from core.errors import Conflict
from core.types import Ref

CTX = CallContext(Actor(ActorKind.playbook, "run-1", "Contain"), Ref("incident", str(uuid4())), run="run-1")


@pytest.fixture
def call(people: People) -> UUID:
    with unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, name="edge", connector="http", settings={"base_url": "https://edge.example"}
        )
    with unit_of_work() as uow:
        return calls.request(uow, CTX, "http.get", {"path": "/"}, key="one").id


def set_aside(state: str) -> None:
    with unit_of_work() as uow:
        uow.execute(update(ActionCall).values(state=state, parked_at=uow.now, due_at=None, error="boom"))


@pytest.mark.parametrize(("state", "told"), [("unknown", "Nobody knows"), ("failed", "has ended")])
def test_what_has_an_outcome_stays(
    database: object, people: People, call: UUID, state: str, told: str
) -> None:
    set_aside(state)
    with pytest.raises(Conflict, match=told), unit_of_work() as uow:
        parked.replay(uow, people.admin, "connectors.calls", call)
    with unit_of_work() as uow:
        assert uow.get_one(ActionCall, call).due_at is None


def test_what_has_not_begun_is_tried_again(database: object, people: People, call: UUID) -> None:
    set_aside("intended")
    with unit_of_work() as uow:
        parked.replay(uow, people.admin, "connectors.calls", call)
    with unit_of_work() as uow:
        assert uow.get_one(ActionCall, call).due_at is not None
