"""Which step of a policy comes next."""

from datetime import timedelta

import pytest

from notify.escalation import Target, next_move

ANA, BOSS = Target("user", "a"), Target("user", "b")


def plan(steps: int, repeat: int = 0) -> dict[str, object]:
    step = {"delay": 60, "targets": [ANA._asdict()]}
    return {
        "steps": [step] * steps,
        "repeat": repeat,
        "catch_all": {"delay": 90, "targets": [BOSS._asdict()]},
    }


def walk(steps: int, repeat: int, *, heard: bool) -> list[tuple[int, int]]:
    at, taken = (0, -1), []
    while (move := next_move(plan(steps, repeat), *at, heard=heard)) is not None:
        at = (move.round, move.step)
        taken.append(at)
        assert len(taken) < 100
    return taken


@pytest.mark.parametrize(
    ("steps", "repeat", "heard", "taken"),
    [
        (1, 0, True, [(0, 0), (0, 1)]),
        (2, 1, True, [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]),
        (2, 9, False, [(0, 0), (0, 1), (0, 2)]),
    ],
)
def test_steps_repeats_then_the_catch_all(
    steps: int, repeat: int, heard: bool, taken: list[tuple[int, int]]
) -> None:
    assert walk(steps, repeat, heard=heard) == taken


def test_a_move_says_whom_and_how_long() -> None:
    first = next_move(plan(1), 0, -1, heard=False)
    last = next_move(plan(1), 0, 0, heard=True)
    assert first is not None
    assert (first.targets, first.delay, first.last_resort) == ((ANA,), timedelta(seconds=60), False)
    assert last is not None
    assert (last.targets, last.delay, last.last_resort) == ((BOSS,), timedelta(seconds=90), True)
