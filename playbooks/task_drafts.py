"""Work for a person as steps ask for it: its words in the file, the task made of them, and the wait for its end."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from playbooks.asking import SPEAKER, may_wake, wrong_people
from playbooks.contract import Blocked, Event, Perform, View, WaitDraft
from playbooks.language import Reader

WHO = "role:responder"
WORDS: Mapping[str, Any] = {
    "title": {"type": "string"},
    "instructions": {"type": "string"},
    "assign": {"type": "string", "pattern": f"^(owner|{SPEAKER}|(role|user|on_call):.+)$"},
    "due": {"$ref": "#/$defs/duration"},
}
"""The JSON schema of the words that every step has which gives somebody work."""


def blank(title: str, **more: Any) -> dict[str, Any]:
    """A task of which only the title is known, and `more`."""
    plain: dict[str, Any] = {
        "title": title, "instructions": None, "assign": WHO, "due": None, "checklist": [], "form": None, "urgent": False,
    }  # fmt: skip
    return {**plain, **more}


def read(table: Reader) -> dict[str, Any]:
    """The words title, instructions, assign and due of a table; notes a problem when nobody is named."""
    assign = table.text("assign", WHO) or WHO
    if assign != SPEAKER and wrong_people([assign]):
        table.wrong(f'"assign" is "{assign}"; write owner, {SPEAKER}, role:…, user:… or on_call:…', "assign")
    return blank(
        table.text("title", required=True) or "",
        instructions=table.text("instructions"),
        assign=assign,
        due=table.duration("due"),
    )


def make(view: View, spec: Mapping[str, Any], detail: Mapping[str, Any] | None = None) -> Perform:
    """Ask for the task with its templates filled in; one that is urgent pages only where the incident may wake somebody."""
    given = {name: view.render(spec[name]) for name in ("title", "instructions", "assign")}
    given["checklist"] = lines(view.render(spec["checklist"]))
    more = {"due": spec["due"], "form": spec["form"], "urgent": spec["urgent"] and may_wake(view)}
    return Perform("task", {**given, **more}, detail=detail or {})


def wait(view: View, event: Event) -> Blocked:
    """Wait for the task that was made, no longer than the step's timeout."""
    ref = event.data["ref"]
    due = view.now + timedelta(seconds=view.step.timeout) if view.step.timeout else None
    return Blocked((WaitDraft(kind="task", ref=ref, due_at=due),), detail={"task": ref})


def lines(items: Sequence[Any]) -> list[str]:
    """A list of texts with its templates filled in; an entry that is a list itself stands for its lines."""
    return [str(line) for item in items for line in (item if isinstance(item, list | tuple) else [item])]
