"""A playbook is drawn as its plan says, with what a run has come to."""

import uuid
from datetime import UTC, datetime

from playbooks.models import StepAttempt
from playbooks.plan import Plan, Step
from web import flow

AT = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def step(path: str, kind: str = "task", **more: object) -> Step:
    return Step(path=path, id=path.rsplit("/", 1)[-1], name=path, kind=kind, line=1, **{"spec": {}, **more})  # type: ignore[arg-type]  # fields of Step


def tried(path: str, state: str, attempt: int = 1, iteration: str = "") -> StepAttempt:
    return StepAttempt(
        id=uuid.uuid4(), run_id=uuid.uuid4(), path=path, iteration=iteration, attempt=attempt, state=state, started_at=AT,
        detail={}, by=[],
    )  # fmt: skip


PLAN = Plan(
    key="p",
    name="P",
    root=("look", "decide"),
    steps={
        "look": step("look"),
        "decide": step(
            "decide",
            "choose",
            spec={
                "branches": [
                    {"block": "0", "when": "x > 1", "name": None},
                    {"block": "otherwise", "when": None, "name": None},
                ]
            },
            blocks={"0": ("decide/0/act",), "otherwise": ("decide/otherwise/note",)},
        ),
        "decide/0/act": step("decide/0/act"),
        "decide/otherwise/note": step("decide/otherwise/note"),
    },
)


def test_a_plan_without_a_run_has_no_states() -> None:
    look, decide = flow.tree(PLAN)
    assert look.state == ""
    assert [branch.label for branch in decide.branches] == ["x > 1", "otherwise"]


def test_the_branch_a_run_took_is_told_from_the_others() -> None:
    attempts = flow.latest(
        [tried("look", "succeeded"), tried("decide", "running"), tried("decide/0/act", "waiting")]
    )
    nodes = flow.tree(PLAN, attempts)
    assert [branch.taken for branch in nodes[1].branches] == [True, False]
    assert [line.path for line in flow.checklist(nodes)] == ["look", "decide", "decide/0/act"]
    assert flow.find(nodes, "decide/0/act") is not None
    assert flow.find(nodes, "nowhere") is None


def test_the_last_attempt_counts() -> None:
    found = flow.latest([tried("look", "failed", 1), tried("look", "succeeded", 2)])
    assert [one.state for one in found["look"]] == ["succeeded"]


def test_a_loop_says_how_many_are_done() -> None:
    attempts = flow.latest(
        [tried("look", "succeeded", iteration="0"), tried("look", "failed", iteration="1")]
    )
    assert flow.tree(PLAN, attempts)[0].note == "1 of 2"
    assert flow.tree(PLAN, attempts)[0].state == "failed"


def test_templates_read_as_places() -> None:
    assert flow.plain("Look up {{ incident.host }} now") == "Look up ‹host› now"
    assert flow.plain("{{ 'a' if x else 'b' }}") == "…"


def test_a_step_that_ran_once_is_named_with_its_values() -> None:
    plan = Plan(key="p", name="P", root=("look",), steps={"look": step("look")})
    plan.steps["look"] = Step(
        path="look", id="look", name="Look up {{ incident.host }}", kind="task", line=1, spec={}
    )
    assert flow.tree(plan)[0].name == "Look up ‹host›"
    ran = tried("look", "succeeded")
    ran.detail = {"title": "Look up files-02"}
    assert flow.tree(plan, {"look": [ran]})[0].name == "Look up files-02"
    other = tried("look", "succeeded", iteration="1")
    other.detail = {"title": "Look up dc-1"}
    assert flow.tree(plan, {"look": [ran, other]})[0].name == "Look up ‹host›"
