"""Whatever the plan and whatever happens to it: every run ends, and what has ended never changes."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playbook_bench import AT, facts, plan_of

from playbooks.advance import Asked
from playbooks.contract import Event
from playbooks.rehearse import Rehearsal, rehearse
from playbooks.state import ENDED, RUN_ENDED, NewWait

CONDITIONS = st.sampled_from(
    ["true", "false", 'incident.severity == "high"', 'incident.owner.startsWith("a")']
)
ON_ERROR = st.sampled_from([None, "fail", "continue"])


def _leaf() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.just(
            {
                "action": "intel.look_up",
                "with": {"value": "x"},
                "retry": {"attempts": 2, "delay": "1s"},
                "timeout": "30s",
            }
        ),
        st.just({"action": "network.block_ip", "with": {"ip": "203.0.113.9"}}),
        st.just({"task": "Look", "timeout": "1h"}),
        st.just({"approve": {"ask": "Sure", "expires": "10m", "on_expire": "escalate"}}),
        st.just({"wait": "5m"}),
        st.just({"set": {"x": "{{ incident.key }}"}}),
        st.just({"page": {"policy": "high", "message": "hello"}}),
        st.just({"set": {"x": "{{ incident.owner.name }}"}}),
    )


def _holding(inner: st.SearchStrategy[list[dict[str, Any]]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        inner.map(lambda steps: {"parallel": [steps, [{"set": {"y": 1}}]]}),
        st.tuples(CONDITIONS, inner, inner).map(
            lambda drawn: {"choose": [{"when": drawn[0], "steps": drawn[1]}, {"otherwise": drawn[2]}]}
        ),
        inner.map(lambda steps: {"approve": {"ask": "Sure", "expires": "10m", "steps": steps}}),
        inner.map(lambda steps: {"repeat": {"steps": steps, "until": "true", "most": 2}}),
    )


def _dressed(step: dict[str, Any], when: str | None, loop: bool, on_error: str | None) -> dict[str, Any]:
    made = {**step, **({"when": when} if when else {}), **({"on_error": on_error} if on_error else {})}
    return {**made, **({"for_each": [1, 2, 3], "concurrency": 2} if loop else {})}


def _steps(kind: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    dressed = st.builds(_dressed, kind, st.none() | CONDITIONS, st.booleans(), ON_ERROR)
    return st.lists(dressed, min_size=1, max_size=3)


PLANS = st.recursive(_steps(_leaf()), lambda inner: _steps(_leaf() | _holding(inner)), max_leaves=5)


def _numbered(steps: Any, count: list[int]) -> Any:
    """Give every step an id of its own."""
    if isinstance(steps, list):
        return [_numbered(step, count) for step in steps]
    if not isinstance(steps, dict):
        return steps
    inside = {key: _numbered(value, count) for key, value in steps.items() if key not in ("with", "set")}
    kept = {key: value for key, value in steps.items() if key in ("with", "set")}
    if {"action", "task", "approve", "wait", "set", "page", "parallel", "choose", "repeat"} & set(steps):
        count[0] += 1
        return {"id": f"s{count[0]}", **inside, **kept}
    return {**inside, **kept}


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=PLANS, seed=st.integers(0, 2**32), mode=st.sampled_from(["watch", "ask", "act"]), late=st.booleans()
)
def test_every_run_ends_and_what_has_ended_stays(
    steps: list[dict[str, Any]], seed: int, mode: str, late: bool
) -> None:
    written = json.loads(
        json.dumps(_numbered(steps, [0]))
    )  # no two parts the same object: that would be an alias
    plan = plan_of(yaml.safe_dump(written, sort_keys=False))
    chance = random.Random(seed)

    def answer(asked: Asked) -> Mapping[str, Any]:
        if asked.perform.port == "call":
            return {
                "state": chance.choice(["intended", "intended", "refused", "dry_run", "unbound"]),
                "ref": "call:1",
            }
        return chance.choice([{"ref": f"{asked.perform.port}:1"}, {"error": "not just now"}])

    run = rehearse(plan, facts(late=late), now=AT, answer=answer, mode=mode)
    seen: dict[Any, tuple[Any, ...]] = {}

    def reply(wait: NewWait) -> Event | None:
        _unchanged(run, seen)
        said: dict[str, Event | None] = {
            "approval": Event("approval", {"approved": chance.random() < 0.7, "by": ["Ana"]}),
            "task": Event("task", {"state": chance.choice(["done", "skipped"]), "by": ["Ana"]}),
            "call": Event(
                "call", {"state": chance.choice(["succeeded", "failed", "unknown"]), "error": "503"}
            ),
        }
        return said.get(wait.draft.kind) if chance.random() < 0.8 else None

    end = run.to_the_end(reply, most=3000)
    assert end.state in RUN_ENDED, (end.state, {a.path: a.state for a in end.attempts.values()})
    assert all(one.state in ENDED for one in end.attempts.values())
    assert end.waits == []
    _unchanged(run, seen)


def _unchanged(run: Rehearsal, seen: dict[Any, tuple[Any, ...]]) -> None:
    for one in (*run.state.older, *run.state.attempts.values()):
        if one.state in ENDED:
            now = (one.state, one.error, one.ended_at, repr(one.output))
            assert seen.setdefault(one.id, now) == now
