"""Lanes: who has waited longest is next, what is full is passed by, and a batch is of one far end."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from held_time import HeldClock

from core import lanes, work
from core.db import reading, unit_of_work
from core.ids import new_id
from core.lanes import Lane
from core.types import Severity
from notify.models import AttemptState, Message
from notify.messages import MESSAGES

pytestmark = pytest.mark.usefixtures("database", "clock")


def waits(lane: str, due_in: float) -> UUID:
    """A message that waits for a far end, due in so many seconds."""
    with unit_of_work() as uow:
        row = Message(
            id=new_id(), created_at=uow.now, channel="email", lane=lane, shown="x", title="x", text="x", path="",
            severity=Severity.low, subject_kind="user", subject_id="1", state=AttemptState.pending, actor_kind="system",
            actor_id="system", actor_name="Tocsin", due_at=uow.now + timedelta(seconds=due_in),
        )  # fmt: skip
        uow.add(row)
        uow.flush()
        return row.id


def waiting() -> list[str | None]:
    with reading() as session:
        return [lane.name for lane in lanes.waiting(session, MESSAGES, work.database_now(session))]


def test_the_lane_that_has_waited_longest_comes_first(clock: HeldClock) -> None:
    for lane, due_in in (("b", -5.0), ("a", -3.0), ("c", -9.0), ("c", -1.0), ("later", 60.0)):
        waits(lane, due_in)
    assert waiting() == ["c", "b", "a"]
    claims = work.claim(MESSAGES, 10, Lane("c"))
    assert len(claims) == 2, "a batch is of one lane"
    assert waiting() == ["b", "a"], "what is leased does not wait"
    clock.advance(minutes=2)
    assert waiting() == ["c", "b", "a", "later"]


def test_a_full_lane_is_passed_by() -> None:
    both = [Lane("slow"), Lane("quick")]
    with lanes.entered(MESSAGES, both) as first, lanes.entered(MESSAGES, both) as second:
        assert (first, second) == (Lane("slow"), Lane("quick")), "the emptiest first"
        slow = [Lane("slow")]
        with lanes.entered(MESSAGES, slow) as one, lanes.entered(MESSAGES, slow) as two:
            assert (one, two) == (Lane("slow"), Lane("slow"))
            with lanes.entered(MESSAGES, slow) as none:
                assert none is None, "three batches of a far end are in hand"
            with lanes.entered(MESSAGES, both) as other:
                assert other == Lane("quick")
    with lanes.entered(MESSAGES, both) as again:
        assert again == Lane("slow")


def test_all_lanes_are_drained_in_turn(monkeypatch: pytest.MonkeyPatch, drain: Callable[..., int]) -> None:
    for n in range(3):
        waits("b", n - 10)
        waits("a", n - 10)
    assert drain("notify.messages") == 6
    assert waiting() == []
