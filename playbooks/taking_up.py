"""Works out what a run that is taken up again has done already: everything but the step that failed, and what follows."""

from dataclasses import replace
from uuid import UUID

from core.ids import new_id
from playbooks.plan import Plan
from playbooks.state import Attempt, RunState

AGAIN = frozenset({"failed", "refused", "cancelled"})
"""States after which a step may be tried again."""


def taken_up(plan: Plan, before: RunState, path: str, run_id: UUID) -> RunState:
    """The state of the new run: attempts that stay, and the steps around `path` open again."""
    state = replace(
        before, id=run_id, attempts={}, older=[], waits=[], unwait=[], notes=[], state="running", error=None
    )
    for one in before.attempts.values():
        kept = _kept(plan, one, path)
        if kept is not None:
            state.put(kept)
    return state


def _kept(plan: Plan, one: Attempt, path: str) -> Attempt | None:
    around = path.startswith(f"{one.path}/") or (one.path == path and "items" in one.detail)
    if around and one.state in AGAIN:
        return _copy(one, state="running", ended_at=None, error=None)
    if one.path == path and one.state != "succeeded":
        return None
    if one.path.startswith(f"{path}/") and one.state != "succeeded":
        return None
    settled = one.state == "failed" and plan.steps[one.path].on_error in ("continue", "steps")
    if one.state in ("succeeded", "skipped", "refused") or settled:
        return _copy(one)
    return None


def _copy(one: Attempt, **changes: object) -> Attempt:
    made = replace(one, id=new_id(), stored=False, changed=True, detail=dict(one.detail))
    for name, value in changes.items():
        setattr(made, name, value)
    return made
