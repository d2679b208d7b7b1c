"""Finds the kinds of steps by walking their folder."""

from functools import lru_cache

from core.plugins import discover
from playbooks.contract import StepKind


@lru_cache(maxsize=1)
def kinds() -> dict[str, StepKind]:
    """Every kind of step by the word it is written with; raises ValueError when a file's kind is named otherwise."""
    found: dict[str, StepKind] = discover("playbooks.steps", "KIND")
    for file, kind in found.items():
        if kind.name != file:
            raise ValueError(
                f'playbooks/steps/{file}.py declares the kind "{kind.name}"; both must have one name'
            )
    return found
