"""What nobody's product can do, in words: the task that takes the place of a call."""

from collections.abc import Mapping
from typing import Any

from core.expressions import render
from playbooks.asking import DISRUPTIVE

NOBODY_ELSE = "No connected product can do this, so it is yours."
DUE = 1800.0
"""Seconds within which what cannot wait is to be done."""


def words(action: str, by_hand: str, inputs: Any, instructions: str | None = None) -> str:
    """What a person reads who does it: `instructions` as they are, else the verb's own with the inputs' values filled in."""
    if instructions:
        told = instructions
    elif isinstance(inputs, Mapping) and by_hand:
        told = str(render(by_hand, {"inputs": inputs}))
    elif isinstance(inputs, Mapping):
        told = f"Do by hand: {action} ({one_line(inputs)})."
    else:
        told = f"Do by hand: {action}, for each line of the list."
    return f"{told}\n\n{NOBODY_ELSE}"


def task(
    title: str, told: str, inputs: Any, *, effect: str, form: Mapping[str, Any] | None, wakes: bool
) -> dict[str, Any]:
    """The task: what disrupts is the lead's and due soon, and `wakes` says whether it may page for itself."""
    urgent = effect in DISRUPTIVE
    return {
        "title": title,
        "instructions": told,
        "assign": "owner" if urgent else "role:responder",
        "checklist": [one_line(one) for one in inputs] if isinstance(inputs, list) else [],
        "form": form if isinstance(inputs, Mapping) else None,
        "due": DUE if urgent else None,
        "urgent": urgent and wakes,
    }


def one_line(inputs: Any) -> str:
    """Inputs as a line of a checklist."""
    if not isinstance(inputs, Mapping):
        return str(inputs)
    return ", ".join(f"{key}: {value}" for key, value in inputs.items())
