"""The engine and the step kinds, rehearsed in memory: order, branches, loops, limits."""

import pytest
from playbook_bench import call_ended, facts, plan_of, start, states

from core import callbacks
from playbooks.contract import Event
from playbooks.engine import decide


def test_steps_run_in_order_and_remember() -> None:
    done = start(
        plan_of("""
      - {id: a, set: {count: 1, who: "{{ incident.user }}"}}
      - {id: b, set: {count: "{{ vars.count + 1 }}"}}
      - {id: c, set: {text: "{{ vars.who }} {{ vars.count }}"}}
    """)
    )
    assert done.state.state == "succeeded"
    assert done.state.variables[""] == {"count": 2, "who": "ana", "text": "ana 2"}


def test_when_skips_and_keeps_the_values_it_saw() -> None:
    done = start(
        plan_of("""
      - {id: a, when: 'incident.severity == "low"', set: {x: 1}}
      - {id: b, when: '!steps.a.ok', set: {y: 1}}
    """)
    )
    assert states(done) == {"a": "skipped", "b": "succeeded"}
    row = done.state.attempts[("a", "")]
    assert row.detail["seen"] == [
        {"expression": 'incident.severity == "low"', "values": {"incident.severity": "high"}, "holds": False}
    ]


CHOOSE = """
  - id: which
    choose:
      - name: critical one
        when: 'incident.severity == "critical"'
        steps: [{id: a, set: {taken: a}}]
      - when: 'incident.alert_count >= 3'
        steps: [{id: b, set: {taken: b}}]
      - otherwise: [{id: c, set: {taken: c}}]
"""


@pytest.mark.parametrize(
    ("changes", "taken"),
    [({"severity": "critical"}, "a"), ({"alert_count": 3}, "b"), ({"alert_count": 1}, "c")],
)
def test_choose_takes_the_first_branch_that_holds_and_says_why(changes: dict, taken: str) -> None:
    done = start(plan_of(CHOOSE), incident=facts(**changes))
    assert done.state.variables[""] == {"taken": taken}
    row = done.state.attempts[("which", "")]
    assert row.detail["why"] in ('incident.severity == "critical"', "incident.alert_count >= 3", "otherwise")
    assert [seen["holds"] for seen in row.detail["seen"]] == {
        "a": [True],
        "b": [False, True],
        "c": [False, False],
    }[taken]
    assert [note.verb for note in done.state.notes] == ["step.decided"]


def test_a_condition_that_cannot_be_decided_fails_the_choice() -> None:
    steps = """
      - id: which
        on_error: {on}
        choose: [{{when: 'incident.owner.startsWith("a")', steps: [{{id: a, set: {{x: 1}}}}]}}]
      - {{id: after, set: {{x: 2}}}}
    """
    done = start(plan_of(steps.format(on="fail")))
    assert (done.state.state, states(done)) == ("failed", {"which": "failed"})
    assert "with != null" in str(done.state.error)
    done = start(plan_of(steps.format(on="continue")))
    assert (done.state.state, states(done)["after"]) == ("succeeded", "succeeded")


def test_parallel_branches_wait_for_each_other() -> None:
    run = start(
        plan_of("""
      - id: both
        parallel:
          - {id: a, action: intel.look_up, with: {value: x}}
          - - {id: b, set: {b: 1}}
            - {id: c, action: intel.look_up, with: {value: y}}
      - {id: sum, set: {total: "{{ steps.a.output.hits + steps.c.output.hits }}"}}
    """)
    )
    assert run.state.state == "waiting"
    assert states(run) == {
        "both": "running",
        "both/0/a": "waiting",
        "both/1/b": "succeeded",
        "both/1/c": "waiting",
    }
    run.deliver("both/0/a", call_ended(output={"hits": 2}))
    assert run.state.state == "waiting"
    run.deliver("both/1/c", call_ended(output={"hits": 3}))
    assert run.state.state == "succeeded"
    assert run.state.variables[""]["total"] == 5


LOOP = """
  - id: hosts
    for_each: "{{ incident.observables.domain }}"
    concurrency: %d
    action: intel.look_up
    with: {value: "{{ item }}"}
    on_error: %s
  - id: bad
    set: {bad: "{{ steps.hosts.results }}"}
"""


def test_a_loop_runs_as_many_at_once_as_it_may() -> None:
    run = start(plan_of(LOOP % (1, "fail")))
    assert states(run) == {"hosts": "running", "hosts#0": "waiting"}
    run = start(plan_of(LOOP % (2, "fail")))
    assert states(run) == {"hosts": "running", "hosts#0": "waiting", "hosts#1": "waiting"}
    assert [asked.perform.arguments["inputs"] for asked in run.asked] == [
        {"value": "evil.example"},
        {"value": "worse.example"},
    ]


def test_loop_results_are_ok_output_error() -> None:
    run = start(plan_of(LOOP % (2, "continue")))
    run.deliver("hosts", call_ended("failed", error="no quota"), "0")
    run.deliver("hosts", call_ended(output={"n": 1}), "1")
    assert run.state.state == "succeeded"
    assert states(run)["hosts"] == "failed"
    assert run.state.variables[""]["bad"] == [
        {"ok": False, "output": None, "error": "no quota", "item": "evil.example"},
        {"ok": True, "output": {"n": 1}, "error": None, "item": "worse.example"},
    ]


def test_a_failing_loop_stops_starting() -> None:
    run = start(plan_of(LOOP % (1, "fail")))
    run.deliver("hosts", call_ended("failed", error="no quota"), "0")
    assert (run.state.state, states(run)) == ("failed", {"hosts": "failed", "hosts#0": "failed"})
    assert run.state.error == "hosts: 1 of 2 failed: no quota"


SUB = """
  contain:
    inputs: {user: {type: string, required: true}, hard: {type: boolean, default: false}}
    steps:
      - {id: first, set: {done: "{{ inputs.user }}!", hard: "{{ inputs.hard }}"}}
"""


def test_a_sub_playbook_has_a_scope_of_its_own() -> None:
    done = start(
        plan_of(
            """
      - {id: mine, set: {done: mine}}
      - {id: users, for_each: [ana, ben], playbook: contain, with: {user: "{{ item }}"}}
      - {id: after, set: {all: "{{ steps.users.results | map(attribute='output') | list }}"}}
    """,
            more=SUB,
        )
    )
    assert done.state.state == "succeeded", done.state.error
    assert done.state.variables[""]["done"] == "mine"
    assert done.state.variables[""]["all"] == [
        {"done": "ana!", "hard": False},
        {"done": "ben!", "hard": False},
    ]


def test_repeat_runs_until_its_condition_holds() -> None:
    run = start(
        plan_of("""
      - {id: begin, set: {n: 0}}
      - id: again
        repeat:
          steps: [{id: more, set: {n: "{{ vars.n + 1 }}"}}]
          until: steps.more.output.n >= 3
    """)
    )
    assert (run.state.state, run.state.variables[""]["n"]) == ("succeeded", 3)
    assert run.state.attempts[("again", "")].output == {"rounds": 3}


def test_waits() -> None:
    run = start(
        plan_of("""
      - {id: pause, wait: {for: 5m}}
      - {id: back, wait: {callback: true}, timeout: 1h}
      - {id: said, set: {got: "{{ steps.back.output.verdict }}"}}
    """)
    )
    run.pass_time(300)
    (wait,) = [one for one in run.state.waits if one.draft.kind == "callback"]
    assert wait.draft.ref == callbacks.ref(callbacks.place("back", ""))
    run.deliver("back", Event("callback", {"payload": {"verdict": "clean"}}))
    assert (run.state.state, run.state.variables[""]["got"]) == ("succeeded", "clean")


def test_limits() -> None:
    plan = plan_of("- {id: a, for_each: [1, 2, 3], action: intel.look_up, with: {value: x}, concurrency: 3, on_error: continue}",
                   head="limits: {actions: 2, duration: 1h}\n")  # fmt: skip
    run = start(plan)
    assert states(run) == {"a": "running", "a#0": "waiting", "a#1": "waiting", "a#2": "failed"}
    run.pass_time(3600)
    assert (run.state.state, run.state.error) == ("failed", "the run took longer than its limit")
    assert set(states(run).values()) <= {"failed", "cancelled"}


def test_an_ended_step_hears_nothing_more() -> None:
    run = start(plan_of("- {id: a, action: intel.look_up, with: {value: x}}"))
    run.deliver("a", call_ended(output=1))
    run.deliver("a", call_ended("failed", error="late"))
    row = run.state.attempts[("a", "")]
    assert (row.state, row.output) == ("succeeded", 1)
    assert run.state.state == "succeeded"


def test_cancelling_ends_everything_that_lives() -> None:
    run = start(plan_of("- {id: both, parallel: [{id: a, task: Look}, {id: b, set: {x: 1}}]}"))
    run.run.cancel("the incident was closed")
    assert (run.state.state, states(run)) == (
        "cancelled",
        {"both": "cancelled", "both/0/a": "cancelled", "both/1/b": "succeeded"},
    )
    assert not run.state.waits
    assert decide(run.run.plan, run.state, run.run.now).decisions
    run.advance()
    assert run.state.state == "cancelled"
