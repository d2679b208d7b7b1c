"""Lanes: who has waited longest is next, what is full is passed by, and a batch is of one far end."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from held_time import HeldClock

from core import lanes, work
from core.db import unit_of_work
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
    return [lane.name for lane in lanes.waiting(MESSAGES)]


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
    def place(*names: str) -> lanes.Place | None:
        return held.enter_context(lanes.entered(MESSAGES, [Lane(name) for name in names]))

    with ExitStack() as held:
        taken = [place("slow", "quick"), place("slow", "quick"), place("slow"), place("slow")]
        assert [one.lane.name for one in taken if one is not None] == ["slow", "quick", "slow", "slow"]
        assert place("slow") is None, "three batches of a far end are in hand"
        other = place("slow", "quick")
        assert other is not None
        assert other.lane == Lane("quick")
    with ExitStack() as held:
        again = place("slow", "quick")
        assert again is not None
        assert again.lane == Lane("slow")


def test_a_lane_has_room_for_so_many_rows_and_gets_it_back_row_by_row() -> None:
    kind = replace(MESSAGES, batch=4, lane_batches=9, lane_rows=6)
    one = [Lane("one")]
    with lanes.entered(kind, one) as first:
        assert first is not None
        assert first.room == 4
        with lanes.entered(kind, one) as second:
            assert second is not None
            assert second.room == 2, "six rows of a far end are in hand"
            with lanes.entered(kind, one) as none:
                assert none is None
            lanes.claimed(1)
            with lanes.entered(kind, one) as third:
                assert third is not None
                assert third.room == 1, "what was not claimed is for others"
        lanes.ended(3)
        with lanes.entered(kind, one) as fourth:
            assert fourth is not None
            assert fourth.room == 4, "one row of the first batch is left"


def test_all_lanes_are_drained_in_turn(monkeypatch: pytest.MonkeyPatch, drain: Callable[..., int]) -> None:
    for n in range(3):
        waits("b", n - 10)
        waits("a", n - 10)
    assert drain("notify.messages") == 6
    assert waiting() == []
