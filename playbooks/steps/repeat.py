"""Runs steps again until a condition holds, a bounded number of times."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from playbooks.contract import (
    Blocked,
    Body,
    Done,
    Enter,
    Event,
    Failed,
    Outcome,
    StepKind,
    Undecided,
    View,
    WaitDraft,
)


def parse(body: Body) -> dict[str, Any]:
    """`repeat: {steps, until, every, most}`."""
    spec: dict[str, Any] = {"until": "true", "every": None, "most": 10}
    table = body.table()
    if table is None:
        return spec
    spec = {
        "until": (table.text("until", required=True) or "true").strip(),
        "every": table.duration("every"),
        "most": table.whole("most", 10, 1, 1000),
    }
    if not table.has("steps"):
        table.wrong('"steps" is missing')
    body.block("steps", table.value("steps"), "steps")
    table.close()
    return spec


def conditions(spec: Mapping[str, Any]) -> Iterator[str]:
    """When to stop."""
    yield spec["until"]


def begin(_view: View) -> Outcome:
    """The first round."""
    return Enter(("steps",), turn=0, detail={"turn": 0})


def on_event(view: View, event: Event) -> Outcome:
    """After a round: enough, or again (at once, or after a pause)."""
    spec, turn = view.step.spec, int(view.detail.get("turn", 0))
    if event.name == "children":
        try:
            if view.holds(spec["until"]):
                return Done({"rounds": turn + 1})
        except Undecided as error:
            return Failed(f"could not decide whether to go on: {error.message}", retry=False)
        if view.mode == "watch":
            return Done({"rounds": turn + 1}, note="watch mode: one round shows what it would do")
        if turn + 1 >= spec["most"]:
            return Failed(f"still not so after {turn + 1} rounds: {spec['until']}", retry=False)
        if spec["every"]:
            return Blocked((WaitDraft(kind="timer", due_at=view.now + timedelta(seconds=spec["every"])),))
    return Enter(("steps",), turn=turn + 1, detail={"turn": turn + 1})


KIND = StepKind(
    name="repeat",
    says="Repeat until",
    schema={
        "type": "object",
        "required": ["steps", "until"],
        "additionalProperties": False,
        "properties": {
            "steps": {"$ref": "#/$defs/steps"},
            "until": {"type": "string"},
            "every": {"$ref": "#/$defs/duration"},
            "most": {"type": "integer", "minimum": 1, "maximum": 1000},
        },
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    conditions=conditions,
    literal=frozenset({"until"}),
    turns=True,
)
