"""Plays test cases through the real engine, in memory: people and products answer as written, and what follows is compared."""

import heapq
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from core.errors import Invalid
from core.expressions import Context, ExpressionError, compile_condition
from core.types import Severity
from incidents.tasks import problems_of
from playbooks import branches
from playbooks.advance import Asked
from playbooks.branches import Branch
from playbooks.cases import ENDS, Case, is_named
from playbooks.checks import TRIGGER_SCHEMA
from playbooks.contract import Event
from playbooks.durations import parse_duration, say_duration
from playbooks.plan import Plan
from playbooks.rehearse import Rehearsal, rehearse
from playbooks.simulate import incident
from playbooks.state import RUN_ENDED, Attempt, NewWait

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
_MOST = 10_000


@dataclass
class Outcome:
    """What a case came to: `problems` holds a sentence for each thing that was not as expected."""

    name: str
    playbook: str
    line: int
    problems: list[str] = field(default_factory=list)
    branches: set[Branch] = field(default_factory=set)
    milliseconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.problems

    def told(self) -> dict[str, Any]:
        """The outcome as plain data."""
        kept = {name: value for name, value in asdict(self).items() if name != "branches"}
        return {**kept, "passed": self.passed, "milliseconds": round(self.milliseconds, 1)}


@dataclass(frozen=True)
class Coverage:
    """How many of a playbook's branches the cases went, and where those stand that they did not."""

    playbook: str
    reached: int
    of: int
    missing: list[str]

    def __str__(self) -> str:
        return f"{self.playbook}: {self.reached} of {self.of} branches"


def prove(plans: Mapping[str, Plan], cases: Iterable[Case]) -> tuple[list[Outcome], list[Coverage]]:
    """Play every case; give what each came to, and the coverage of every playbook. Nothing is stored or sent."""
    outcomes = [_play(plans[case.playbook], case) for case in cases]
    gone = {branch for outcome in outcomes for branch in outcome.branches}
    every = branches.of(plans)
    coverage = []
    for key, plan in plans.items():
        mine = {branch: line for branch, line in every.items() if branch.playbook == key}
        missing = [
            f'line {line}: step "{plan.steps[branch.path].id}": {branch.way}'
            for branch, line in mine.items()
            if branch not in gone
        ]
        coverage.append(Coverage(key, len(mine) - len(missing), len(mine), missing))
    return outcomes, coverage


def _play(plan: Plan, case: Case) -> Outcome:
    started = time.perf_counter()
    outcome = Outcome(case.name, case.playbook, case.line)
    try:
        played = _Played(plan, case)
        played.to_the_end()
    except Invalid as error:
        outcome.problems += error.message.splitlines()
    else:
        outcome.problems = [*played.problems, *_started(plan, case, played.facts), *_compare(case, played)]
        outcome.branches = set(branches.reached(plan, played.rows))
    outcome.milliseconds = (time.perf_counter() - started) * 1000
    return outcome


class _Played:
    """One case being played: what was asked of people and products, in order, and when they answer."""

    def __init__(self, plan: Plan, case: Case) -> None:
        self.plan, self.case = plan, case
        self.problems: list[str] = []
        self.tasks: list[str] = []
        self.asks: list[str] = []
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.pages: list[tuple[str, str]] = []
        self.messages: list[str] = []
        self.told: list[str] = []
        self.opened: list[str] = []
        self.changes: dict[str, Any] = {}
        self.facts = incident({"category": "other", **_given(case.incident)}, START)
        self._told: set[UUID] = set()
        self._turns: dict[str, int] = {}
        self._due: list[tuple[datetime, int, NewWait, Event]] = []
        self.run: Rehearsal = rehearse(
            plan, self.facts, now=START, answer=self._perform, inputs=case.inputs, mode=case.mode, is_bound=self._bound
        )

    @property
    def rows(self) -> list[Attempt]:
        """Every attempt, in the order they were begun."""
        state = self.run.state
        return sorted([*state.older, *state.attempts.values()], key=lambda row: row.id)

    def to_the_end(self) -> None:
        """Let everybody answer at their time, until the run has ended or waits for somebody who never answers."""
        self.run.advance()
        for _ in range(_MOST):
            state = self.run.state
            if state.state in RUN_ENDED:
                return
            for wait in state.waits:
                if wait.id not in self._told:
                    self._hear(wait)
            live = {wait.id for wait in state.waits}
            while self._due and self._due[0][2].id not in live:
                heapq.heappop(self._due)
            wakes = [at for at in (state.wake_at, self._due[0][0] if self._due else None) if at is not None]
            if self._due and self._due[0][0] <= min(wakes):
                at, _number, wait, event = heapq.heappop(self._due)
                self.run.run.now = max(self.run.run.now, at)
                self.run.work(self.run.run.deliver(wait.attempt, event))
                self.run.advance()
            elif state.wake_at is not None and not self._for_ever():
                self.run.pass_time(max(0.0, (state.wake_at - self.run.run.now).total_seconds()))
            else:
                return
        self.problems.append(f"it did not end within {_MOST} turns")

    def _for_ever(self) -> bool:
        """Whether nothing but the run's own limit would ever wake it: somebody never answers."""
        state = self.run.state
        limit = state.started_at + timedelta(seconds=self.plan.max_duration)
        return state.wake_at == limit

    def _bound(self, action: str) -> bool:
        steps = (
            step
            for step in self.plan.steps.values()
            if step.kind == "action" and step.spec["action"] == action
        )
        return action in self.case.products or any(
            self._named(self.case.products, step.path) for step in steps
        )

    def _perform(self, asked: Asked) -> Mapping[str, Any]:
        """What the ports answer: everything is taken up, and written down here."""
        given = asked.perform.arguments
        match asked.perform.port:
            case "call":
                self.calls.append((given["action"], given["inputs"]))
                return {"state": "intended", "ref": f"call:{len(self.calls)}"}
            case "task":
                self.tasks.append(given["title"])
            case "page":
                whom = [*(given.get("first") or ()), str(given.get("policy") or "default")]
                self.pages.append((", ".join(whom), given["message"]))
            case "message":
                self.messages.append(given["text"])
                if self._named(self.case.people, asked.attempt.path):
                    return {"undeliverable": "this message reaches nobody"}
            case "open":
                self.opened.append(given["title"])
                return {"key": f"INC-0000-{len(self.opened):06d}"}
            case "mail":
                return {"mail": dict(self.case.mail) or None}
            case "owners":
                return {"of": given["of"], "owners": {one: self.case.owners[one] for one in given["of"] if one in self.case.owners}}
            case "proof":
                return {"proof": "pending" if self._unconfirmed(asked.attempt.path) else "holds"}
            case "reporter":
                self.told.append("thanks" if given["thanks"] else given["text"])
                return {"told": 0 if self._named(self.case.people, asked.attempt.path) else 1}
            case "update":
                self._change({name: value for name, value in given.items() if name != "reason"})
        return {"ref": f"{asked.perform.port}:{asked.attempt.path}"}

    def _unconfirmed(self, path: str) -> bool:
        """Whether a product is written down to accept this step, and never to confirm it."""
        key = self._named(self.case.products, path) or str(self.plan.steps[path].spec["action"])
        given = self.case.products.get(key)
        return given == "unconfirmed" or (isinstance(given, list) and "unconfirmed" in given)

    def _change(self, given: dict[str, Any]) -> None:
        tags = given.pop("tags_add", None)
        if tags:
            given["tags"] = sorted({*self.facts["tags"], *tags})
        self.changes |= given
        self.run.run.facts.update(
            given, severity_rank=Severity(given.get("severity", self.run.run.facts["severity"])).rank
        )

    def _hear(self, wait: NewWait) -> None:
        """Ask whoever is to answer a wait, once; who is not spoken of does the work, agrees and answers nothing."""
        self._told.add(wait.id)
        path, kind = wait.attempt.path, wait.draft.kind
        if kind == "approval":
            self.asks.append(str(wait.draft.detail["ask"]))
        if kind == "timer":
            return
        given = self._next(path, wait)
        after = 0.0
        if isinstance(given, dict) and "after" in given and kind != "call":
            given = dict(given)
            after = parse_duration(str(given.pop("after")))
            given = given.pop("answer", given)
        event = self._event(wait, given)
        if event is not None:
            at = self.run.run.now + timedelta(seconds=after)
            heapq.heappush(self._due, (at, len(self._told), wait, event))

    def _next(self, path: str, wait: NewWait) -> Any:
        """What is written for a step; a list holds the answers of one time after the other, the last one stays."""
        case, step = self.case, self.plan.steps[path]
        product = wait.draft.kind in ("call", "callback")
        table = case.products if product else case.people
        key = self._named(table, path) or str(step.spec.get("action") if product else "")
        if key not in table:
            return None
        given = table[key]
        if not isinstance(given, list):
            return given
        turn = self._turns.get(key, 0)
        self._turns[key] = turn + 1
        return given[min(turn, len(given) - 1)] if given else None

    @staticmethod
    def _named(table: Mapping[str, Any], path: str) -> str | None:
        """The longest name in a table that means this step."""
        found = [name for name in table if is_named(path, str(name))]
        return max(found, key=len) if found else None

    def _event(self, wait: NewWait, given: Any) -> Event | None:
        if given == "nobody":
            return None
        match wait.draft.kind:
            case "approval":
                return _decided(given)
            case "task":
                return self._worked(wait, given)
            case "callback":
                return Event("callback", {"payload": given})
        if isinstance(given, dict) and set(given) == {"fails"}:
            return Event("call", {"state": "failed", "error": str(given["fails"])})
        if isinstance(given, dict) and set(given) == {"refused"}:
            return Event("call", {"state": "refused", "error": str(given["refused"])})
        return Event(
            "call",
            {"state": "unknown"}
            if given == "unknown"
            else {"state": "succeeded", "output": given if isinstance(given, dict) else {}},
        )

    def _worked(self, wait: NewWait, given: Any) -> Event:
        """A task that was done, with its form, or left out."""
        if isinstance(given, str) and given != "done":
            return Event(
                "task",
                {
                    "state": "skipped",
                    "by": ["somebody"],
                    "reason": given.removeprefix("left out").strip(": "),
                },
            )
        step = self.plan.steps[wait.attempt.path]
        form, answers = (
            step.spec.get("form") or step.spec.get("asked"),
            given if isinstance(given, dict) else {},
        )
        if form:
            unknown = [name for name in answers if name not in form["properties"]]
            wrong = [f"{one.path}: {one.message}" for one in problems_of(form, answers)]
            wrong += [f"{name}: its form does not ask that" for name in unknown]
            if wrong:
                raise Invalid("\n".join(f'step "{step.id}": {one}' for one in wrong))
        return Event("task", {"state": "done", "form": dict(answers), "by": ["somebody"]})


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name != "severity_rank"}


def _decided(given: Any) -> Event:
    said = given if isinstance(given, str) else ("agree" if given is None or given is True else "refuse")
    approved = said == "agree"
    reason = None if approved else said.removeprefix("refuse").strip(": ") or None
    return Event("approval", {"approved": approved, "by": ["somebody"], "reason": reason})


def _started(plan: Plan, case: Case, facts: Mapping[str, Any]) -> list[str]:
    """Whether the fact that a case names would start its playbook."""
    if case.on is None:
        return []
    mine = [trigger for trigger in plan.triggers if trigger.on == case.on]
    first = incident({"category": "other", **_given(case.incident)}, START)
    context = Context({"incident": {**facts, **first}, "trigger": {}})
    for trigger in mine:
        try:
            if trigger.when is None or compile_condition(trigger.when, TRIGGER_SCHEMA, routing=True).holds(
                context
            ):
                return []
        except ExpressionError as error:
            return [str(error)]
    return [
        f"{case.on} does not start it: "
        + ("; ".join(str(one.when) for one in mine) or "it has no such trigger")
    ]


def _compare(case: Case, played: _Played) -> list[str]:
    """Everything that is not as the case expects."""
    wanted, found = case.expect, []
    state, error = played.run.state.state, played.run.state.error
    if state != ENDS[wanted.get("end", "done")]:
        said = f" ({error})" if error else ""
        found.append(f"expected the end {wanted.get('end', 'done')}, but it is {state}{said}{_stuck(played)}")
    ended: dict[str, set[str]] = {}
    for row in played.rows:
        ended.setdefault(row.path, set()).add(row.state)
    done = {path for path, states in ended.items() if "succeeded" in states}
    found += [f'step "{n}" was not done' for n in wanted.get("done") or () if not _among(n, done)]
    found += [f'step "{n}" was done' for n in wanted.get("left_out") or () if _among(n, done)]
    found += _in_order("tasks", wanted, played.tasks)
    found += _in_order("asks", wanted, played.asks)
    found += _in_order("messages", wanted, played.messages)
    found += _in_order("reporter", wanted, played.told)
    found += _in_order("opened", wanted, played.opened)
    found += _in_order("pages", wanted, [{policy: text} for policy, text in played.pages])
    found += _in_order("calls", wanted, [{action: dict(inputs)} for action, inputs in played.calls])
    for name, value in (wanted.get("incident") or {}).items():
        if played.changes.get(name) != value:
            found.append(
                f"expected the incident's {name} to become {value}, but it became {played.changes.get(name)}"
            )
    took = (played.run.run.now - START).total_seconds()
    if "took" in wanted and parse_duration(str(wanted["took"])) != took:
        found.append(f"expected it to take {wanted['took']}, but it took {say_duration(took)}")
    return found


def _among(name: str, paths: Iterable[str]) -> bool:
    return any(is_named(path, name) for path in paths)


def _stuck(played: _Played) -> str:
    waits = [wait.attempt.path for wait in played.run.state.waits]
    return f"; it waits at {', '.join(waits)}" if waits else ""


def _in_order(word: str, wanted: Mapping[str, Any], got: Sequence[Any]) -> list[str]:
    """What differs between what was to be asked, in order, and what was; a name alone stands for all it may hold."""
    if word not in wanted:
        return []
    expected = wanted[word] or []
    same = len(expected) == len(got) and all(
        _is(one, other) for one, other in zip(expected, got, strict=True)
    )
    if same:
        return []
    listed = "".join(f"\n      - {one}" for one in got) or " none"
    return [f"{word} are not as expected; they were:{listed}"]


def _is(wanted: Any, got: Any) -> bool:
    if isinstance(got, dict):
        (name, held), *_ = got.items()
        if isinstance(wanted, str):
            return bool(wanted == name)
        alike = isinstance(wanted, dict) and list(wanted) == [name] and wanted[name] in (None, held)
        return bool(alike)
    return bool(wanted == got)
