"""Carries out what the engine decides, in memory; what only the database can do is asked of the caller."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from core import callbacks
from core.errors import TocsinError
from core.expressions import TemplateError, is_template
from playbooks.contract import (
    Blocked,
    Done,
    Enter,
    EnterLoop,
    Event,
    Failed,
    Outcome,
    Perform,
    Refused,
    Skipped,
    Undecided,
    WaitDraft,
)
from playbooks.engine import Due, End, Expire, Fold, Start, below, decide
from playbooks.plan import Input, Plan, Step
from playbooks.state import Attempt, NewWait, Note, RunState
from playbooks.view import StepView, scope_key

MAX_ITEMS = 1000
DECISIONS_AT_ONCE = 5000
TOLD = {"failed": "step.failed", "refused": "step.refused"}


@dataclass(frozen=True)
class Asked:
    """Something a port must do now: for which attempt, and in which view of the run."""

    view: StepView
    attempt: Attempt
    perform: Perform


Work = Generator[Asked, Mapping[str, Any], None]


class Run:
    """One run being driven: the plan, its state, the incident's facts and the time."""

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        facts: dict[str, Any],
        now: datetime,
        is_bound: Callable[[str], bool],
        *,
        still: bool = False,
    ) -> None:
        self.plan = plan
        self.state = state
        self.facts = facts
        self.now = now
        self.is_bound = is_bound
        self.still = still

    def advance(self) -> Work:
        """Go on until the run blocks or ends; sets `state.state`, `state.wake_at` and everything to be written."""
        made = 0
        while self.state.state in ("running", "waiting"):
            found = decide(self.plan, self.state, self.now, still=self.still)
            if not found.decisions:
                self.state.state, self.state.wake_at = "waiting", found.look_at
                return
            self.state.state = "running"
            for decision in found.decisions:
                yield from self._carry_out(decision)
            made += len(found.decisions)
            if made > DECISIONS_AT_ONCE:
                self.state.wake_at = self.now
                return

    def deliver(self, attempt: Attempt, event: Event) -> Work:
        """Hand an event to the step that waits for it; one that has ended ignores it."""
        if attempt.state != "waiting":
            return
        yield from self._guarded(attempt, lambda view: view.kind.on_event(view, event))

    def cancel(self, reason: str, state: str = "cancelled") -> None:
        """End the run here: everything that has not ended is cancelled and its waits are closed."""
        for attempt in self.state.attempts.values():
            if not attempt.ended:
                self._end(attempt, "cancelled", error=reason)
        self.state.state, self.state.error, self.state.wake_at = state, reason, None

    def _carry_out(self, decision: Start | Due | Fold | Expire | End) -> Work:
        match decision:
            case End(state, error):
                if state not in ("succeeded", "refused"):
                    self.cancel(error or "", "failed")
                else:
                    self.state.state, self.state.error, self.state.wake_at = state, error, None
            case Start(path, iteration, attempt, item):
                yield from self._start(path, iteration, attempt, item)
            case Due(path, iteration):
                row = self.state.attempts[(path, iteration)]
                yield from self._guarded(row, lambda view: view.kind.on_event(view, Event("due")))
            case Fold(path, iteration, state, error):
                yield from self._fold(self.state.attempts[(path, iteration)], state, error)
            case Expire(path, iteration):
                row = self.state.attempts[(path, iteration)]
                self._cancel_below(row, "the step around it took too long")
                self._finish(row, Failed("it took longer than its timeout allows", retry=False))

    def _start(self, path: str, iteration: str, number: int, item: int | None) -> Work:
        row = self.state.attempts.get((path, iteration))
        if row is None:
            row = self.state.put(Attempt(path, iteration, number, "running", self.now))
            if item is not None:
                row.detail["item"] = item
        row.state, row.due_at, row.started_at, row.changed = "running", None, self.now, True
        step = self.plan.steps[path]
        if "title" not in row.detail and is_template(step.name):
            row.detail["title"] = self._title(row, step)
        if step.looped and item is None:
            yield from self._guarded(row, lambda view: self._begin_loop(step, view))
        else:
            yield from self._guarded(row, lambda view: self._begin(step, view, item))

    def _title(self, row: Attempt, step: Step) -> str:
        """The step's name with its values, as people read it."""
        try:
            view = StepView(self.plan, self.state, self.facts, row, self.now, self.is_bound)
            return str(view.render(step.name))
        except TemplateError:
            return step.name

    def _begin(self, step: Step, view: StepView, item: int | None) -> Outcome:
        if step.when and step.when_each == (item is not None):
            skipped = self._unless(step.when, view)
            if skipped is not None:
                return skipped
        return view.kind.begin(view)

    def _begin_loop(self, step: Step, view: StepView) -> Outcome:
        if step.when and not step.when_each:
            skipped = self._unless(step.when, view)
            if skipped is not None:
                return skipped
        items = view.render(step.for_each)
        if items is None:
            items = []
        if not isinstance(items, list | tuple):
            return Failed(f"for_each needs a list, but this is {type(items).__name__}", retry=False)
        if len(items) > MAX_ITEMS:
            return Failed(f"for_each has {len(items)} items; {MAX_ITEMS} are the most", retry=False)
        view.items = tuple(items)
        view.row.detail["list"] = list(items)
        return view.kind.begin_loop(view) if view.kind.begin_loop else EnterLoop()

    def _unless(self, condition: str, view: StepView) -> Skipped | None:
        """The outcome when a step's condition does not hold, with the values it saw."""
        if view.holds(condition):
            return None
        view.row.detail["seen"] = [{**view.explain(condition), "holds": False}]
        return Skipped(f"not so: {condition}")

    def _fold(self, row: Attempt, state: str, error: str | None) -> Work:
        if "items" in row.detail or state != "succeeded":
            if state == "succeeded":
                self._finish(row, Done())
            elif state == "refused":
                self._finish(row, Refused(error or "refused"))
            else:
                self._finish(row, Failed(error or "a step inside failed", retry=False))
            return
        yield from self._guarded(row, lambda view: view.kind.on_event(view, Event("children")))

    def _guarded(self, row: Attempt, decide_outcome: Callable[[StepView], Outcome]) -> Work:
        """Ask the step's kind and do what it answers, until it waits, holds others or has ended."""
        view = StepView(self.plan, self.state, self.facts, row, self.now, self.is_bound)
        outcome = self._said(view, decide_outcome)
        while isinstance(outcome, Perform):
            row.detail.update(outcome.detail)
            row.changed = True
            if outcome.port == "call":
                self.state.actions += 1
                if self.state.actions > self.plan.max_actions:
                    outcome = Failed(f"this run has used up its {self.plan.max_actions} actions", retry=False)
                    break
            data = yield Asked(view, row, outcome)
            view = StepView(self.plan, self.state, self.facts, row, self.now, self.is_bound, view.items)
            if data.get("error"):
                outcome = Failed(str(data["error"]))
                break
            outcome = self._said(view, partial(_performed, data))
        self._apply(row, outcome)

    def _said(self, view: StepView, decide_outcome: Callable[[StepView], Outcome]) -> Outcome:
        try:
            return decide_outcome(view)
        except (TemplateError, Undecided) as error:
            if view.mode == "watch":
                return Skipped(f"watch mode: {error.message}")
            return Failed(error.message, retry=False)

    def _apply(self, row: Attempt, outcome: Outcome) -> None:
        match outcome:
            case Blocked(waits, detail):
                self._unwait(row)
                row.detail.update(detail)
                for draft in waits:
                    self.state.waits.append(NewWait(row, _placed(draft, row)))
                    if draft.kind == "approval":
                        self._note(
                            "step.asked",
                            row,
                            {"quorum": draft.detail.get("quorum")},
                            {"ask": draft.detail.get("ask")},
                        )
                dues = [draft.due_at for draft in waits if draft.due_at is not None]
                row.state, row.due_at, row.changed = "waiting", min(dues, default=None), True
            case Enter():
                self._enter(row, outcome)
            case EnterLoop(detail):
                self._unwait(row)
                row.detail.update(detail)
                row.detail["items"] = row.detail.pop("list")
                row.state, row.due_at, row.changed = "running", None, True
            case Perform():
                raise TocsinError("a step asked twice for the same thing")
            case _:
                self._finish(row, outcome)

    def _enter(self, row: Attempt, outcome: Enter) -> None:
        step = self.plan.steps[row.path]
        self._unwait(row)
        row.detail.update(outcome.detail)
        row.detail["entered"] = {
            "blocks": list(outcome.blocks),
            "side_by_side": outcome.side_by_side,
            "turn": outcome.turn,
        }
        if step.timeout and "expires_at" not in row.detail:
            row.detail["expires_at"] = (self.now + timedelta(seconds=step.timeout)).isoformat()
        row.state, row.due_at, row.changed = "running", None, True
        if step.kind == "choose":
            seen = row.detail.get("seen") or [{}]
            body = {
                "branch": row.detail.get("name") or row.detail.get("chosen"),
                "because": row.detail.get("why"),
            }
            self._note("step.decided", row, body, {"seen": seen})

    def _finish(self, row: Attempt, outcome: Outcome) -> None:
        step = self.plan.steps[row.path]
        match outcome:
            case Done(output, form, by, note, assign):
                if assign is not None:
                    self.state.variables.setdefault(scope_key(self.plan, step, row.iteration), {}).update(
                        assign
                    )
                if note:
                    row.detail["note"] = note
                row.output, row.form, row.by = output, dict(form), by
                self._end(row, "succeeded")
            case Skipped(why, would):
                row.detail["why"] = why
                if would is not None:
                    row.detail["would"] = dict(would)
                    self._note("step.would", row, {"kind": step.kind}, dict(would))
                self._end(row, "skipped")
            case Refused(reason, by, ends_block):
                row.by = by
                if ends_block:
                    row.detail["ends_block"] = True
                self._end(row, "refused", error=reason)
            case Failed(error, retry):
                self._end(row, "failed", error=error)
                if retry and step.retry and row.attempt < step.retry.attempts:
                    self._try_again(row, step.retry.pause_after(row.attempt))

    def _try_again(self, row: Attempt, pause: float) -> None:
        again = Attempt(
            row.path,
            row.iteration,
            row.attempt + 1,
            "retrying",
            self.now,
            due_at=self.now + timedelta(seconds=pause),
        )
        if "item" in row.detail:
            again.detail["item"] = row.detail["item"]
        self.state.put(again)
        self._note("step.retried", again, {"attempt": again.attempt, "pause": round(pause, 3)})

    def _end(self, row: Attempt, state: str, error: str | None = None) -> None:
        self._unwait(row)
        row.state, row.error, row.ended_at, row.due_at, row.changed = state, error, self.now, None, True
        if state in TOLD:
            self._note(TOLD[state], row, {"attempt": row.attempt}, {"reason": error})

    def _unwait(self, row: Attempt) -> None:
        """Close what the attempt waited for, and withdraw the task or the call behind it."""
        if row.stored and row.state == "waiting":
            self.state.unwait.append(row)
        self.state.waits = [wait for wait in self.state.waits if wait.attempt is not row]

    def _cancel_below(self, row: Attempt, reason: str) -> None:
        for inside in below(self.plan, self.state, row.path, row.iteration):
            self._end(inside, "cancelled", error=reason)

    def _note(
        self, verb: str, row: Attempt, body: dict[str, Any], data: dict[str, Any] | None = None
    ) -> None:
        step = self.plan.steps[row.path]
        told = {
            "step": step.id,
            "path": row.path,
            **({"iteration": row.iteration} if row.iteration else {}),
            **body,
        }
        self.state.notes.append(Note(verb, row, told, data))


def _placed(draft: WaitDraft, row: Attempt) -> WaitDraft:
    """A wait for somebody outside is found by its place in the run."""
    where = callbacks.place(row.path, row.iteration)
    return replace(draft, ref=callbacks.ref(where)) if draft.kind == "callback" else draft


def _performed(data: Mapping[str, Any], view: StepView) -> Outcome:
    return view.kind.on_event(view, Event("performed", data))


def fill_inputs(declared: Mapping[str, Input], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared input: as given, else its default; null when it has none."""
    return {name: given.get(name, wanted.default) for name, wanted in declared.items()}
