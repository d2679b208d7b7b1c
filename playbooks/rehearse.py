"""Drives a run in memory, with somebody else answering for products and people: nothing is stored or sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.ids import new_id
from playbooks.advance import Asked, Run, Work, fill_inputs
from playbooks.contract import Event
from playbooks.plan import Plan
from playbooks.state import RUN_ENDED, NewWait, RunState

Answer = Callable[[Asked], Mapping[str, Any]]
Reply = Callable[[NewWait], Event | None]


@dataclass
class Rehearsal:
    """One run in memory: `asked` lists what it wanted of the ports, in order."""

    run: Run
    answer: Answer
    asked: list[Asked] = field(default_factory=list)

    @property
    def state(self) -> RunState:
        return self.run.state

    def work(self, work: Work) -> None:
        """Drive until it blocks or ends, answering what it asks of the ports."""
        try:
            wanted = next(work)
            while True:
                self.asked.append(wanted)
                wanted = work.send(self.answer(wanted))
        except StopIteration:
            return

    def advance(self) -> None:
        """Go on from here."""
        self.work(self.run.advance())

    def deliver(self, step: str, event: Event, iteration: str = "") -> None:
        """Hand an event to a step by its path, and go on."""
        attempt = self.run.state.attempts[(step, iteration)]
        attempt.stored = True
        self.work(self.run.deliver(attempt, event))
        self.advance()

    def pass_time(self, seconds: float) -> None:
        """Let time go by, and go on."""
        self.run.now += timedelta(seconds=seconds)
        self.advance()

    def to_the_end(self, reply: Reply, most: int = 10_000) -> RunState:
        """Answer every wait with `reply`, letting time pass where it gives None, until the run has ended."""
        self.advance()
        for _ in range(most):
            if self.state.state in RUN_ENDED:
                return self.state
            event, chosen = None, None
            for wait in list(self.state.waits):
                event, chosen = reply(wait), wait
                if event is not None:
                    break
            if event is not None and chosen is not None:
                self.work(self.run.deliver(chosen.attempt, event))
                self.advance()
            elif self.state.wake_at is not None:
                self.pass_time(max(0.0, (self.state.wake_at - self.run.now).total_seconds()))
            else:
                return self.state
        return self.state


def rehearse(
    plan: Plan,
    facts: Mapping[str, Any],
    *,
    now: datetime,
    answer: Answer | None = None,
    inputs: Mapping[str, Any] | None = None,
    mode: str | None = None,
    is_bound: Callable[[str], bool] = lambda _action: True,
) -> Rehearsal:
    """A run of `plan` that is about to start; `answer` stands for the ports (calls are taken up, tasks are made)."""
    state = RunState(
        id=new_id(),
        mode=mode or plan.mode,
        inputs=fill_inputs(plan.inputs, inputs or {}),
        started_at=now,
        name=plan.name,
        playbook=plan.key,
    )
    return Rehearsal(Run(plan, state, dict(facts), now, is_bound), answer or take_up)


def take_up(asked: Asked) -> Mapping[str, Any]:
    """The ports' plainest answer: everything is taken up."""
    if asked.perform.port == "call":
        return {"state": "intended", "ref": f"call:{new_id()}"}
    return {"ref": f"{asked.perform.port}:{new_id()}"}
