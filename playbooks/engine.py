"""Decides what a run does next: from a plan, the attempts so far and the time; nothing else."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from playbooks.plan import Plan, Step
from playbooks.scope import inner
from playbooks.state import ENDED, Attempt, RunState


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a step (or an item of its loop, or its next try)."""

    path: str
    iteration: str
    attempt: int = 1
    item: int | None = None


STILL = timedelta(minutes=1)
"""While all automation is held, a question whose time is over is looked at again after this."""


@dataclass(frozen=True, slots=True)
class Due:
    """What the step waits for is over by time."""

    path: str
    iteration: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Everything inside the step is finished: `state` is what its blocks came to."""

    path: str
    iteration: str
    state: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """The step holds others and has taken longer than its timeout."""

    path: str
    iteration: str


@dataclass(frozen=True, slots=True)
class End:
    """The run is over."""

    state: str
    error: str | None = None


Decision = Start | Due | Fold | Expire | End


@dataclass(slots=True)
class Next:
    """What to do now, and when to look again if nothing happens before."""

    decisions: list[Decision] = field(default_factory=list)
    look_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Status:
    """What a step or a block has come to; `live` when it is not finished."""

    state: str = "live"
    error: str | None = None

    @property
    def live(self) -> bool:
        return self.state == "live"


_STILL = _Status()
_WELL = _Status("succeeded")


def decide(plan: Plan, run: RunState, now: datetime, *, still: bool = False) -> Next:
    """The decisions that are open now. `still`: all automation is held, so no question's time runs out.

    Empty decisions mean that the run is blocked until something happens, or until `look_at`. Every decision is about
    an address that no other decision of the same answer touches.
    """
    found = Next()
    limit = run.started_at + timedelta(seconds=plan.max_duration)
    if now >= limit:
        found.decisions.append(End("failed", "the run took longer than its limit"))
        return found
    walker = _Walker(plan, run, now, found, still)
    status = walker.block(plan.root, "")
    if not status.live:
        found.decisions = [End(status.state, status.error)]
    walker.look(limit)
    return found


def below(_plan: Plan, run: RunState, path: str, iteration: str) -> list[Attempt]:
    """The attempts inside a step that have not ended, to be cancelled with it."""
    prefix = f"{path}/"
    found = []
    for attempt in run.attempts.values():
        inside = attempt.path.startswith(prefix) or (attempt.path == path and attempt.iteration != iteration)
        nested = (
            not iteration or attempt.iteration == iteration or attempt.iteration.startswith(f"{iteration}/")
        )
        if inside and nested and not attempt.ended:
            found.append(attempt)
    return found


def stops(step: Step, state: str) -> bool:
    """Whether the rest of the block stays undone when a step comes to this."""
    if state == "failed":
        return step.on_error not in ("continue", "steps")
    if state == "refused":
        return step.on_error == "fail"
    return state == "cancelled"


class _Walker:
    def __init__(self, plan: Plan, run: RunState, now: datetime, found: Next, still: bool) -> None:
        self.plan = plan
        self.run = run
        self.now = now
        self.found = found
        self.still = still

    def look(self, at: datetime | None) -> None:
        if at is not None and (self.found.look_at is None or at < self.found.look_at):
            self.found.look_at = at

    def block(self, paths: tuple[str, ...], iteration: str) -> _Status:
        """Steps in order."""
        for path in paths:
            step = self.plan.steps[path]
            status = self.step(step, iteration)
            if status.live:
                return status
            ended = self.run.attempts[(path, iteration)]
            if status.state == "refused" and ended.detail.get("ends_block") and step.on_error != "continue":
                state = "failed" if step.on_error == "fail" else "refused"
                return _Status(state, status.error)
            if stops(step, status.state):
                return _Status("failed" if status.state == "refused" else status.state, status.error)
        return _WELL

    def step(self, step: Step, iteration: str) -> _Status:
        row = self.run.attempts.get((step.path, iteration))
        if row is None:
            self.found.decisions.append(Start(step.path, iteration))
            return _STILL
        if row.state in ENDED:
            return self._ended(step, row, iteration)
        if "items" in row.detail:
            return self._loop(step, row)
        return self._one(step, row)

    def _ended(self, step: Step, row: Attempt, iteration: str) -> _Status:
        if row.state == "failed" and step.on_error == "steps":
            handled = self.block(step.blocks["on_error"], iteration)
            return _Status("handled") if handled.state == "succeeded" else handled
        return _Status(row.state, _said(step, row))

    def _one(self, step: Step, row: Attempt) -> _Status:
        """An attempt that has not ended: a leaf that waits, or a step that holds others."""
        if row.state == "retrying":
            if row.due_at is None or self.now >= row.due_at:
                self.found.decisions.append(
                    Start(row.path, row.iteration, row.attempt, row.detail.get("item"))
                )
            else:
                self.look(row.due_at)
            return _STILL
        entered = row.detail.get("entered")
        if row.state == "waiting" or entered is None:
            if row.due_at is not None and self.now >= row.due_at:
                if self.still and "asking" in row.detail:
                    self.look(self.now + STILL)  # its time goes on when automation does: see stopped_clocks
                else:
                    self.found.decisions.append(Due(row.path, row.iteration))
            else:
                self.look(row.due_at)
            return _STILL
        expires = row.detail.get("expires_at")
        if expires is not None:
            at = datetime.fromisoformat(expires)
            if self.now >= at:
                self.found.decisions.append(Expire(row.path, row.iteration))
                return _STILL
            self.look(at)
        self._blocks(step, row, entered)
        return _STILL

    def _blocks(self, step: Step, row: Attempt, entered: dict[str, object]) -> None:
        """A step that holds others: fold it when all its blocks are finished."""
        turn = entered.get("turn")
        iteration = row.iteration if turn is None else inner(row.iteration, int(str(turn)))
        names = entered["blocks"]
        assert isinstance(names, list | tuple)
        worst = _WELL
        for name in names:
            status = self.block(step.blocks[name], iteration)
            if status.live:
                worst = _STILL
                if not entered.get("side_by_side"):
                    return
            elif not worst.live and _RANK[status.state] > _RANK[worst.state]:
                worst = status
        if not worst.live:
            self.found.decisions.append(Fold(row.path, row.iteration, worst.state, worst.error))

    def _loop(self, step: Step, row: Attempt) -> _Status:
        """A step that runs once for each item of a list."""
        items = row.detail["items"]
        live, failed, refused, error = 0, 0, 0, None
        waiting: list[int] = []
        for number in range(len(items)):
            iteration = inner(row.iteration, number)
            item = self.run.attempts.get((step.path, iteration))
            if item is None:
                waiting.append(number)
            elif item.state in ENDED:
                failed += item.state in ("failed", "cancelled")
                refused += item.state == "refused"
                error = error or (item.error if item.state == "failed" else None)
            else:
                live += 1
                self._one(step, item)
        halted = failed > 0 and step.on_error not in ("continue", "steps")
        if not halted:
            for number in waiting[: max(0, step.concurrency - live)]:
                self.found.decisions.append(Start(step.path, inner(row.iteration, number), 1, number))
                live += 1
        if live == 0:
            self.found.decisions.append(self._loop_ends(row, failed, refused, error))
        return _STILL

    def _loop_ends(self, row: Attempt, failed: int, refused: int, error: str | None) -> Fold:
        total = len(row.detail["items"])
        if failed:
            return Fold(row.path, row.iteration, "failed", f"{failed} of {total} failed: {error}")
        if refused and refused == total:
            return Fold(row.path, row.iteration, "refused", "all of them were refused")
        return Fold(row.path, row.iteration, "succeeded")


_RANK = {"succeeded": 0, "skipped": 0, "handled": 0, "refused": 1, "cancelled": 2, "failed": 3}


def _said(step: Step, row: Attempt) -> str | None:
    return f"{step.id}: {row.error}" if row.error and row.state == "failed" else row.error
