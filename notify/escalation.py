"""Decides which step of an escalation policy comes next (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple


class Target(NamedTuple):
    """Whom a step reaches: kind is user, schedule, contact (a shared place) or lead (the user who is called first); id is the row's."""

    kind: str
    id: str


@dataclass(frozen=True)
class Move:
    """Do this step of this round now, and wait `delay` for an acknowledgement."""

    round: int
    step: int
    targets: tuple[Target, ...]
    delay: timedelta
    last_resort: bool = False


def next_move(plan: Mapping[str, Any], round_: int, step: int, *, heard: bool) -> Move | None:
    """What follows step `step` (-1: nothing yet) of round `round_`; None when the policy has been used up.

    `plan` is {steps: [{delay, targets}], repeat, catch_all: {delay, targets}}, delays in seconds. The catch-all
    counts as the step after the last. `heard`: somebody was reached in this round; if nobody was, repeating the
    steps would only lose time.
    """
    steps = plan["steps"]
    if step >= len(steps):
        return None
    following = step + 1
    if following == len(steps) and round_ < plan["repeat"] and heard:
        round_, following = round_ + 1, 0
    if following < len(steps):
        return _move(round_, following, steps[following], last_resort=False)
    return _move(round_, following, plan["catch_all"], last_resort=True)


def _move(round_: int, step: int, said: Mapping[str, Any], *, last_resort: bool) -> Move:
    targets = tuple(Target(target["kind"], target["id"]) for target in said["targets"])
    return Move(round_, step, targets, timedelta(seconds=said["delay"]), last_resort)
