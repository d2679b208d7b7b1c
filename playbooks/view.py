"""What a step can see of its run: the one implementation of `View`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from core import callbacks
from core.expressions import Context, TemplateError, compile_condition, is_template, render
from playbooks.asking import DISRUPTIVE
from playbooks.contract import StepKind, Undecided
from playbooks.plan import Plan, Step
from playbooks.registry import kinds
from playbooks.scope import OPEN_SCHEMA, cover_of, cut, depth_of, explain, inner
from playbooks.state import Attempt, RunState


def scope_key(plan: Plan, step: Step, iteration: str) -> str:
    """Which set of `vars` a step shares: that of its playbook, in this round."""
    if not step.scope:
        return ""
    caller = plan.steps[step.scope]
    return f"{step.scope}@{cut(iteration, caller.loops + int(caller.looped))}"


class StepView:
    """A step's view of its run at this moment."""

    def __init__(
        self,
        plan: Plan,
        run: RunState,
        facts: Mapping[str, Any],
        row: Attempt,
        now: datetime,
        is_bound: Callable[[str], bool],
        items: tuple[Any, ...] = (),
    ) -> None:
        self.plan = plan
        self.run = run
        self.facts = facts
        self.row = row
        self.now = now
        self.step = plan.steps[row.path]
        self.kind: StepKind = kinds()[self.step.kind]
        self.items = items
        self._is_bound = is_bound
        self._variables: dict[str, Any] | None = None
        self._context: Context | None = None

    @property
    def mode(self) -> str:
        return self.run.mode

    @property
    def attempt(self) -> int:
        return self.row.attempt

    @property
    def iteration(self) -> str:
        return self.row.iteration

    @property
    def detail(self) -> Mapping[str, Any]:
        return self.row.detail

    @property
    def late(self) -> bool:
        return bool(self.facts.get("late"))

    @property
    def learning(self) -> bool:
        return bool(self.facts.get("learning"))

    @property
    def hushed(self) -> str | None:
        if self.late:
            return "the alerts behind this incident are old"
        if self.learning and self.facts.get("severity") != "critical":
            return "the source of these alerts is still being learned"
        return None

    @property
    def led(self) -> bool:
        return self.facts.get("owner") is not None

    @property
    def trust(self) -> str:
        return str(self.facts.get("trust") or "normal")

    @property
    def approved_by(self) -> tuple[str, ...]:
        own = self._own_approval()
        if own:
            return own
        address = cover_of(self.plan, self.step, self.row.iteration)
        row = self.run.attempts.get(address) if address else None
        if row is None:
            return ()
        if row.state == "succeeded":
            return row.by
        return tuple(row.detail.get("approved_by", ())) if not row.ended else ()

    def _own_approval(self) -> tuple[str, ...]:
        """The agreement given for the whole list of a loop, when this is one of its items."""
        if depth_of(self.row.iteration) <= self.step.loops:
            return ()
        loop = self.run.attempts.get((self.row.path, cut(self.row.iteration, self.step.loops)))
        return tuple(loop.detail.get("approved_by", ())) if loop else ()

    def is_bound(self, action: str) -> bool:
        return self._is_bound(action)

    def render(self, value: Any) -> Any:
        return render(value, self.variables) if _has_template(value) else value

    def render_each(self, value: Any) -> list[Any]:
        return [
            render(value, {**self.variables, "item": item, "index": number})
            for number, item in enumerate(self.items)
        ]

    def holds(self, condition: str) -> bool:
        if self._context is None:
            self._context = Context(self.variables)
        result = compile_condition(condition, OPEN_SCHEMA).holds(self._context)
        if result.error:
            raise Undecided(result.error)
        return result.matched

    def explain(self, condition: str) -> dict[str, Any]:
        return explain(condition, self.variables)

    def covered(self) -> list[dict[str, Any]]:
        return [
            {"action": step.spec["action"], "effect": step.spec["effect"], "name": self._titled(step)}
            for step in self.plan.steps.values()
            if step.cover == self.step.path and step.kind == "action" and step.spec["effect"] in DISRUPTIVE
        ]

    def _titled(self, step: Step) -> str:
        """A later step's name as far as it can be told now."""
        try:
            return str(self.render(step.name))
        except TemplateError:
            return step.name

    def variables_of(self) -> Mapping[str, Any]:
        """What the steps of the playbook behind this step have set."""
        return self.run.variables.get(f"{self.step.path}@{self.row.iteration}", {})

    @property
    def variables(self) -> dict[str, Any]:
        """Everything an expression of this step may speak of, as declared when it was saved."""
        if self._variables is None:
            self._variables = self._collect()
        return self._variables

    def _collect(self) -> dict[str, Any]:
        run, step = self.run, self.step
        iteration = self.row.iteration
        if self.kind.turns and "turn" in self.row.detail:
            iteration = inner(iteration, int(self.row.detail["turn"]))
        found: dict[str, Any] = {
            "incident": self.facts,
            "inputs": self._inputs(),
            "steps": {name: self._result(path, iteration) for name, path in step.sees.items()},
            "vars": run.variables.get(scope_key(self.plan, step, self.row.iteration), {}),
            "run": {
                "id": str(run.id),
                "playbook": run.playbook,
                "name": run.name,
                "mode": run.mode,
                "started_at": run.started_at.isoformat(),
            },
            "trigger": run.trigger,
        }
        if step.callbacks:
            found["callbacks"] = {
                name: self._address(path, iteration) for name, path in step.callbacks.items()
            }
        self._add_item(found)
        self._add_error(found)
        return found

    def _address(self, path: str, iteration: str) -> str:
        """Where to call back for a wait of this round."""
        around = cut(iteration, self.plan.steps[path].loops)
        return callbacks.address(self.run.id, callbacks.place(path, around))

    def _inputs(self) -> dict[str, Any]:
        if not self.step.scope:
            return self.run.inputs
        caller = self.plan.steps[self.step.scope]
        row = self.run.attempts[(caller.path, cut(self.row.iteration, caller.loops + int(caller.looped)))]
        given = row.detail.get("inputs")
        return given if isinstance(given, dict) else {}

    def _result(self, path: str, iteration: str) -> dict[str, Any]:
        step = self.plan.steps[path]
        row = self.run.attempts.get((path, cut(iteration, step.loops)))
        blank = kinds()[step.kind].defaults_of_form(step.spec)
        if row is None:
            empty: dict[str, Any] = {"ok": False, "state": "skipped", "output": None, "error": None}
            return {**empty, "form": blank, "results": [], "by": []}
        return {
            "ok": row.state == "succeeded",
            "state": row.state,
            "output": row.output,
            "error": row.error,
            "form": {**blank, **row.form},
            "results": loop_results(self.run, row),
            "by": list(row.by),
        }

    def _add_item(self, found: dict[str, Any]) -> None:
        step: Step | None = self.step
        depth = depth_of(self.row.iteration)
        while step is not None and step.path != self.step.scope:
            if step.looped and depth > step.loops:
                loop = self.run.attempts.get((step.path, cut(self.row.iteration, step.loops)))
                number = int(self.row.iteration.split("/")[step.loops])
                if loop is not None and "items" in loop.detail:
                    found["item"], found["index"] = loop.detail["items"][number], number
                return
            step = self.plan.steps[step.parent] if step.parent else None

    def _add_error(self, found: dict[str, Any]) -> None:
        step: Step | None = self.step
        while step is not None and step.parent:
            parent = self.plan.steps[step.parent]
            if step.path in parent.blocks.get("on_error", ()):
                row = self.run.attempts.get((parent.path, cut(self.row.iteration, parent.loops)))
                found["error"] = {"step": parent.id, "message": row.error if row else None}
                return
            step = parent


def loop_results(run: RunState, row: Attempt) -> list[dict[str, Any]]:
    """The results of a loop's items so far: `{ok, output, error, item}` each, in the order of the list."""
    items = row.detail.get("items") or []
    results = []
    for number, item in enumerate(items):
        made = run.attempts.get((row.path, inner(row.iteration, number)))
        ok = made is not None and made.state == "succeeded"
        output, error = (made.output, made.error) if made is not None else (None, None)
        results.append({"ok": ok, "output": output, "error": error, "item": item})
    return results


def _has_template(value: Any) -> bool:
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, Mapping):
        return any(_has_template(inner_value) for inner_value in value.values())
    if isinstance(value, list | tuple):
        return any(_has_template(inner_value) for inner_value in value)
    return False
