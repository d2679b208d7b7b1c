"""Walks through a playbook without any effect: what it would do, whom it would ask, and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core import clock
from core.errors import Invalid, NotFound, Problem
from core.plugins import load_yaml
from core.types import Severity
from incidents.schema import INCIDENT, OBSERVABLE_NAMES
from playbooks.advance import Asked
from playbooks.contract import Event
from playbooks.language import did_you_mean
from playbooks.plan import Plan, Step
from playbooks.rehearse import rehearse
from playbooks.state import Attempt, NewWait

_KEYS = ("incident", "inputs", "answers", "mode")


@dataclass(frozen=True)
class Line:
    """One step of the walk. `verdict`: run, ask, task, page, tell, skip, fail, refused, decide, do or wait."""

    path: str
    name: str
    kind: str
    verdict: str
    says: str
    why: str | None = None
    iteration: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """The line as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        depth = self.path.count("/") // 2
        why = f"  ({self.why})" if self.why else ""
        return f"{'  ' * depth}{self.verdict:8} {self.says}{why}"


def read_facts(path: Path) -> dict[str, Any]:
    """What a walk is given, from YAML or JSON: `incident`, `inputs`, `answers` by step, `mode`; or an incident alone."""
    data, _marks = load_yaml(path)
    if not isinstance(data, dict):
        raise Invalid(f"{path} must be a mapping with incident, inputs, answers and mode.")
    return data if set(data) <= set(_KEYS) else {"incident": data}


def walk(plans: Mapping[str, Plan], key: str, given: Mapping[str, Any]) -> list[Line]:
    """The steps that would run, in their order, for an incident with these facts.

    `given["answers"]` says what people answer, by step id: `{"talk": {"typed": true}, "agree": false}`; whoever is
    not mentioned agrees, and gives each field its default, its first choice, or no. Calls answer nothing. Raises
    NotFound for an unknown playbook, Invalid for facts that an incident does not have.
    """
    plan = plans.get(key)
    if plan is None:
        raise NotFound(f'There is no playbook "{key}"{did_you_mean(key, plans)}.')
    answers = given.get("answers") or {}
    unknown = [name for name in answers if name not in {step.id for step in plan.steps.values()}]
    if unknown:
        raise Invalid(f'There is no step "{unknown[0]}" to answer for.', [Problem("answers", unknown[0])])
    now = clock.now().astimezone(UTC)
    walked = rehearse(
        plan,
        incident(given.get("incident") or {}, now),
        now=now,
        answer=lambda asked: _taken_up(plan, asked),
        inputs=given.get("inputs") or {},
        mode=given.get("mode"),
    )
    end = walked.to_the_end(lambda wait: _reply(plan, wait, answers))
    rows = sorted([*end.older, *end.attempts.values()], key=lambda row: row.id)
    lines = [
        _line(plan.steps[row.path], row)
        for row in rows
        if "items" not in row.detail or "asking" in row.detail
    ]
    how = {"succeeded": "done", "waiting": "still waiting"}.get(end.state, end.state)
    return [*lines, Line("", plan.name, "run", "end", f"{plan.name}: {how}", end.error)]


def incident(facts: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A whole incident from some of its facts; raises Invalid for a fact that no incident has."""
    fields = INCIDENT.roots["incident"].fields
    for name in facts:
        if name not in fields:
            raise Invalid(
                f'An incident has no "{name}"{did_you_mean(name, fields)}.',
                [Problem(f"incident.{name}", "unknown")],
            )
    blank: dict[str, Any] = {name: [] if kind.kind == "list" else None for name, kind in fields.items()}
    blank |= {
        "id": "00000000-0000-7000-8000-000000000000", "key": "INC-0000-000000", "title": "A rehearsal", "kind": "incident",
        "severity": "high", "priority": "p2", "stage": "new", "confirmation": "unconfirmed", "category": "other",
        "tlp": "amber", "pap": "amber", "trust": "normal", "restricted": False, "late": False, "learning": False, "exercise": True,
        "alert_count": 1, "recurrence": False, "recovered": False, "opened_at": now,
    }  # fmt: skip
    made = {**blank, **facts}
    made["severity_rank"] = Severity(made["severity"]).rank
    seen = {name: list((facts.get("observables") or {}).get(name, [])) for name in OBSERVABLE_NAMES}
    for name, plural in (("host", "host"), ("user", "user"), ("ip", "ip"), ("domain", "domain"), ("url", "url"), ("hash", "file_hash"), ("email", "email")):  # fmt: skip
        if made[name] is None and seen[plural]:
            made[name] = seen[plural][0]
        elif made[name] is not None and made[name] not in seen[plural]:
            seen[plural].append(made[name])
    return {**made, "observables": seen}


def _taken_up(plan: Plan, asked: Asked) -> Mapping[str, Any]:
    if asked.perform.port == "call":
        return {"state": "dry_run", "output": {}}
    return {"ref": f"{asked.perform.port}:{plan.steps[asked.attempt.path].id}"}


def _reply(plan: Plan, wait: NewWait, answers: Mapping[str, Any]) -> Event | None:
    step = plan.steps[wait.attempt.path]
    said = answers.get(step.id)
    if wait.draft.kind == "approval":
        return Event(
            "approval", {"approved": said is not False, "by": ["somebody"], "reason": "as rehearsed"}
        )
    if wait.draft.kind == "task":
        form = {**_first_choices(step), **(said if isinstance(said, dict) else {})}
        return Event("task", {"state": "done", "form": form, "by": ["somebody"]})
    if wait.draft.kind == "callback":
        return Event("callback", {"payload": said})
    return None


def _first_choices(step: Step) -> dict[str, Any]:
    fields = (step.spec.get("form") or {}).get("properties", {})
    plain: dict[str, Any] = {"string": "", "boolean": False, "integer": 0, "number": 0.0, "array": []}
    return {
        name: wanted.get(
            "default", wanted["enum"][0] if wanted.get("enum") else plain.get(wanted.get("type", "string"))
        )
        for name, wanted in fields.items()
    }


def _line(step: Step, row: Attempt) -> Line:
    asked = row.detail.get("asking")
    name = str(row.detail.get("title") or step.name)
    verdict, says = _verdict(step, row, name)
    if asked and verdict != "refused":
        verdict = "ask"
    why = row.detail.get("why") or row.error or row.detail.get("note")
    if asked:
        why = f"{asked['ask']} {', '.join(asked['from'])}" + (f"; {asked['why']}" if asked.get("why") else "")
    inputs = row.detail.get("inputs")
    return Line(
        row.path,
        name,
        step.kind,
        verdict,
        says,
        why,
        row.iteration,
        inputs if isinstance(inputs, dict) else {},
    )


def _verdict(step: Step, row: Attempt, name: str) -> tuple[str, str]:
    ended = {"skipped": "skip", "failed": "fail", "refused": "refused", "cancelled": "skip"}.get(row.state)
    if ended:
        return ended, name
    if step.kind == "action" and "items" not in row.detail:
        inputs = row.detail.get("inputs") or {}
        told = (
            ", ".join(f"{word}: {value}" for word, value in inputs.items())
            if isinstance(inputs, dict)
            else ""
        )
        return "run", f"{name}: {step.spec['action']} ({told})"
    if step.kind == "choose":
        chosen = row.detail.get("name") or row.detail.get("chosen") or "no branch"
        return "decide", f"{name}: {chosen}"
    return {"task": "task", "approve": "ask", "page": "page", "message": "tell", "wait": "wait"}.get(
        step.kind, "do"
    ), name
