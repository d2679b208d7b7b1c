"""The ways a playbook can go, and which of them a run has gone: what test cases are measured by."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from playbooks.plan import Plan, Step
from playbooks.state import Attempt


@dataclass(frozen=True, order=True)
class Branch:
    """One way out of one step of one playbook; `path` is the step's place in that playbook."""

    playbook: str
    path: str
    way: str


def of(plans: Mapping[str, Plan]) -> dict[Branch, int]:
    """Every branch of these playbooks, with the line of its step.

    Counted are each way out of a `choose` (none of them, where nothing else is said), a `when` that holds and one that
    does not, an `approve` that is agreed to and one that is not, and the steps of an `on_error`.
    """
    return {
        Branch(key, step.path, way): step.line
        for key, plan in plans.items()
        for step in plan.steps.values()
        if not step.scope
        for way in _ways(step)
    }


def reached(plan: Plan, attempts: Iterable[Attempt]) -> Iterator[Branch]:
    """The branches that a run's attempts went, those of the playbooks it called among them."""
    for one in attempts:
        step = plan.steps[one.path]
        playbook, path = _home(plan, step)
        for way in _gone(step, one):
            yield Branch(playbook, path, way)


def _home(plan: Plan, step: Step) -> tuple[str, str]:
    """The playbook that a step was written in, and its path there."""
    if not step.scope:
        return plan.key, step.path
    return str(plan.steps[step.scope].spec["playbook"]), step.path.removeprefix(f"{step.scope}/steps/")


def _ways(step: Step) -> Iterator[str]:
    if step.when:
        yield from ("when it holds", "when it does not hold")
    if step.kind == "choose":
        yield from (_called(branch) for branch in step.spec["branches"])
        if all(branch["when"] is not None for branch in step.spec["branches"]):
            yield "no branch"
    if step.kind == "approve":
        yield from ("agreed", "not agreed")
    if step.on_error == "steps":
        yield "on_error"


def _called(branch: Mapping[str, str | None]) -> str:
    return branch["name"] or branch["when"] or "otherwise"


def _gone(step: Step, one: Attempt) -> Iterator[str]:
    loop_row = "items" in one.detail
    inner = "item" in one.detail
    if step.when and step.when_each == inner:
        skipped = one.state == "skipped" and str(one.detail.get("why", "")).startswith("not so: ")
        yield "when it does not hold" if skipped else "when it holds"
    if step.kind == "choose" and not loop_row:
        chosen = one.detail.get("chosen")
        yield from (_called(branch) for branch in step.spec["branches"] if branch["block"] == chosen)
        if chosen is None and one.state == "succeeded":
            yield "no branch"
    if step.kind == "approve" and not loop_row:
        if one.by and one.state != "refused":
            yield "agreed"
        if one.state == "refused":
            yield "not agreed"
    if step.on_error == "steps" and one.state == "failed":
        yield "on_error"
