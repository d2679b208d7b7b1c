"""Waits for a time, a condition, or somebody outside who calls back."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from playbooks.contract import (
    Blocked,
    Body,
    Done,
    Event,
    Failed,
    Outcome,
    Skipped,
    StepKind,
    Undecided,
    View,
    WaitDraft,
)
from playbooks.durations import say_duration

_GIVE_UP = 7 * 86400.0


def parse(body: Body) -> dict[str, Any]:
    """`wait: {for}`, `wait: {until, every}` or `wait: {callback: true}`; a plain text is `for`."""
    spec: dict[str, Any] = {"for": None, "until": None, "every": 60.0, "callback": False}
    if isinstance(body.value, str):
        spec["for"] = body.reader.duration("wait")
        return spec
    table = body.table()
    if table is None:
        return spec
    spec["for"] = table.duration("for")
    spec["until"] = (table.text("until") or "").strip() or None
    spec["every"] = max(5.0, table.duration("every", 60.0) or 60.0)
    spec["callback"] = table.flag("callback")
    if sum((table.has("for"), table.has("until"), spec["callback"])) != 1:
        table.wrong('"wait" needs exactly one of "for", "until" and "callback"')
    table.close()
    return spec


def conditions(spec: Mapping[str, Any]) -> Iterator[str]:
    """The condition of `until`."""
    if spec["until"]:
        yield spec["until"]


def begin(view: View) -> Outcome:
    """Start waiting; at most the step's timeout, or 7 days."""
    spec = view.step.spec
    if view.mode == "watch":
        return Skipped("watch mode: no waiting", would={"wait": {k: v for k, v in spec.items() if v}})
    ends = view.now + timedelta(seconds=view.step.timeout or _GIVE_UP)
    if spec["callback"]:
        return Blocked((WaitDraft(kind="callback", due_at=ends),), detail={"ends": ends.isoformat()})
    if spec["until"]:
        return _look(view, ends.timestamp())
    due = view.now + timedelta(seconds=spec["for"] or 0.0)
    return Blocked((WaitDraft(kind="timer", due_at=due, detail={"for": say_duration(spec["for"] or 0.0)}),))


def _look(view: View, ends: float) -> Outcome:
    spec = view.step.spec
    try:
        if view.holds(spec["until"]):
            return Done({"waited": True})
    except Undecided as error:
        return Failed(f"could not decide whether to go on: {error.message}", retry=False)
    if view.now.timestamp() >= ends:
        return Failed(
            f"still not so after {say_duration(view.step.timeout or _GIVE_UP)}: {spec['until']}", retry=False
        )
    due = min(view.now.timestamp() + spec["every"], ends)
    later = view.now + timedelta(seconds=max(0.001, due - view.now.timestamp()))
    return Blocked(
        (WaitDraft(kind="timer", due_at=later, detail={"until": spec["until"]}),), detail={"ends_at": ends}
    )


def on_event(view: View, event: Event) -> Outcome:
    """The time is over, or somebody called back."""
    if event.name == "callback":
        return Done(event.data.get("payload"), by=tuple(event.data.get("by", ())))
    if event.name == "due" and view.step.spec["callback"]:
        return Failed("nobody called back in time", retry=False)
    if event.name == "due" and view.step.spec["until"]:
        return _look(view, float(view.detail["ends_at"]))
    return Done({"waited": True})


KIND = StepKind(
    name="wait",
    says="Wait",
    schema={
        "oneOf": [
            {"$ref": "#/$defs/duration"},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "for": {"$ref": "#/$defs/duration"},
                    "until": {"type": "string"},
                    "every": {"$ref": "#/$defs/duration"},
                    "callback": {"type": "boolean"},
                },
            },
        ]
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    conditions=conditions,
    literal=frozenset({"until"}),
)
