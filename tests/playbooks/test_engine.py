"""The engine and the step kinds, rehearsed in memory: order, branches, loops, failures, people, modes."""

import pytest
from playbook_bench import answered, call_ended, facts, plan_of, refusing, start, states

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


def test_retries_are_attempts_of_their_own() -> None:
    run = start(
        plan_of("""
      - id: a
        action: intel.look_up
        with: {value: x}
        retry: {attempts: 3, delay: 2s, backoff: exponential, max_delay: 60s}
    """)
    )
    run.deliver("a", call_ended("failed", error="503"))
    row = run.state.attempts[("a", "")]
    assert (row.state, row.attempt, (row.due_at - run.run.now).total_seconds()) == ("retrying", 2, 2.0)
    run.pass_time(2)
    run.deliver("a", call_ended("failed", error="503"))
    assert (run.state.attempts[("a", "")].due_at - run.run.now).total_seconds() == 4.0
    run.pass_time(4)
    run.deliver("a", call_ended("failed", error="503"))
    assert (run.state.state, run.state.error) == ("failed", "a: 503")
    assert [old.attempt for old in run.state.older] == [1, 2]
    assert len({asked.attempt.id for asked in run.asked}) == 3


def test_on_error_steps_see_the_error_and_the_run_goes_on() -> None:
    run = start(
        plan_of("""
      - id: a
        action: intel.look_up
        with: {value: x}
        on_error:
          - {id: note, set: {said: "{{ error.step }}: {{ error.message }}"}}
      - {id: after, set: {ok: "{{ steps.a.ok }}"}}
    """)
    )
    run.deliver("a", call_ended("failed", error="no quota"))
    assert run.state.state == "succeeded"
    assert run.state.variables[""] == {"said": "a: no quota", "ok": False}


def test_a_timeout_fails_the_step() -> None:
    run = start(plan_of("- {id: a, action: intel.look_up, with: {value: x}, timeout: 30s}"))
    assert run.state.wake_at == run.run.now.replace(second=30)
    run.pass_time(30)
    assert (run.state.state, run.state.error) == ("failed", "a: it took longer than its timeout allows")


def test_a_timeout_around_steps_cancels_them() -> None:
    run = start(
        plan_of("""
      - id: both
        timeout: 1m
        on_error: continue
        parallel: [{id: a, task: Look}, {id: b, wait: 10s}]
      - {id: after, set: {x: 1}}
    """)
    )
    run.pass_time(10)
    run.pass_time(50)
    assert states(run) == {
        "both": "failed",
        "both/0/a": "cancelled",
        "both/1/b": "succeeded",
        "after": "succeeded",
    }


def test_tasks_bring_their_form_back() -> None:
    run = start(
        plan_of("""
      - id: talk
        task: {title: Phone them, form: {type: object, properties: {typed: {type: boolean}, note: {type: string}}}}
      - {id: page, when: steps.talk.form.typed && steps.talk.form.note == null, page: {policy: critical, message: now}}
    """)
    )
    assert run.asked[0].perform.arguments["title"] == "Phone them"
    run.deliver("talk", Event("task", {"state": "done", "form": {"typed": True}, "by": ["Ana"]}))
    assert run.state.state == "succeeded"
    assert run.asked[1].perform.port == "page"
    assert run.state.attempts[("talk", "")].by == ("Ana",)


APPROVE = """
  - id: agree
    approve: {ask: "Contain {{ incident.user }}?", from: role:responder, expires: 30m, on_expire: %s}
  - {id: off, action: identity.disable_user, with: {user: "{{ incident.user }}"}}
"""


def test_an_approval_covers_what_follows_it() -> None:
    run = start(plan_of(APPROVE % "deny"), mode="ask")
    (wait,) = run.state.waits
    assert (wait.draft.kind, wait.draft.detail["ask"]) == ("approval", "Contain ana?")
    run.deliver("agree", answered(True))
    assert run.asked[-1].perform.arguments["approved_by"] == ["Ana"]
    run.deliver("off", call_ended())
    assert run.state.state == "succeeded"


def test_a_refusal_leaves_the_rest_of_its_block_undone() -> None:
    run = start(plan_of(APPROVE % "deny"))
    run.deliver("agree", answered(False, reason="she is on holiday"))
    assert (run.state.state, run.state.error) == ("refused", "Ana refused: she is on holiday")
    assert states(run) == {"agree": "refused"}


def test_a_refusal_inside_a_branch_lets_the_run_go_on() -> None:
    run = start(
        plan_of("""
      - id: which
        choose:
          - when: "true"
            steps:
              - {id: agree, approve: {ask: Contain}}
              - {id: off, action: identity.disable_user, with: {user: x}}
      - {id: after, set: {seen: "{{ steps.which.state }}"}}
    """)
    )
    run.deliver("which/0/agree", answered(False))
    assert run.state.state == "succeeded"
    assert states(run) == {"which": "refused", "which/0/agree": "refused", "after": "succeeded"}


def test_guarded_steps_run_only_after_agreement() -> None:
    steps = """
      - id: agree
        approve: {ask: "Contain?", steps: [{id: off, action: identity.disable_user, with: {user: x}}]}
      - {id: after, set: {x: 1}}
    """
    run = start(plan_of(steps), mode="ask")
    run.deliver("agree", answered(True, by="Ana"))
    assert run.asked[-1].perform.arguments["approved_by"] == ["Ana"]
    run.deliver("agree/steps/off", call_ended())
    assert states(run) == {"agree": "succeeded", "agree/steps/off": "succeeded", "after": "succeeded"}
    run = start(plan_of(steps), mode="ask")
    run.deliver("agree", answered(False))
    assert states(run) == {"agree": "refused", "after": "succeeded"}


@pytest.mark.parametrize(
    ("policy", "state", "asked"), [("deny", "refused", 0), ("fail", "failed", 0), ("escalate", "waiting", 1)]
)
def test_nobody_answers(policy: str, state: str, asked: int) -> None:
    run = start(plan_of(APPROVE % policy))
    run.pass_time(1800)
    assert run.state.state == state
    assert [one.perform.port for one in run.asked] == ["page"] * asked
    if policy == "escalate":
        run.pass_time(1800)
        assert run.state.state == "refused"


def test_ask_mode_asks_before_what_is_disruptive_and_reads_freely() -> None:
    plan = plan_of("""
      - {id: look, action: intel.look_up, with: {value: x}}
      - {id: block, name: "Block {{ incident.ip }}", action: network.block_ip, with: {ip: "{{ incident.ip }}"}, ask: role:manager}
      - {id: after, set: {state: "{{ steps.block.state }}"}}
    """)
    run = start(plan, mode="ask")
    run.deliver("look", call_ended())
    (wait,) = [one for one in run.state.waits if one.draft.kind == "approval"]
    assert wait.draft.detail["ask"] == "Block 203.0.113.9?"
    assert wait.draft.detail["from"] == ["role:manager"]
    assert wait.draft.detail["what"] == [
        {"action": "network.block_ip", "effect": "disruptive", "inputs": {"ip": "203.0.113.9"}}
    ]
    run.deliver("block", answered(False))
    assert run.state.state == "succeeded"
    assert run.state.variables[""] == {"state": "refused"}
    run = start(plan, mode="act")
    run.deliver("look", call_ended())
    assert [asked.perform.port for asked in run.asked] == ["call", "call"]


def test_a_late_incident_neither_acts_nor_pages_without_a_person() -> None:
    run = start(
        plan_of("""
      - {id: wake, page: {policy: critical, message: "{{ incident.key }}"}}
      - {id: block, action: network.block_ip, with: {ip: "{{ incident.ip }}"}}
    """),
        mode="act",
        incident=facts(late=True),
    )
    assert (run.asked, states(run)) == ([], {"wake": "waiting"})
    run.deliver("wake", answered(True))
    assert run.asked[0].perform.port == "page"
    assert states(run)["block"] == "waiting"
    assert len(run.asked) == 1


def test_a_source_in_its_first_day_pages_for_what_is_critical_and_acts_with_a_person_only() -> None:
    plan = plan_of("""
      - {id: wake, page: {policy: critical, message: "{{ incident.key }}"}}
      - {id: block, action: network.block_ip, with: {ip: "{{ incident.ip }}"}}
    """)
    run = start(plan, mode="act", incident=facts(learning=True))
    assert (run.asked, states(run)) == ([], {"wake": "waiting"})
    (wait,) = run.state.waits
    assert (
        wait.draft.detail["why"]
        == "the source of these alerts is still being learned, so nobody is woken by itself"
    )
    run = start(plan, mode="act", incident=facts(learning=True, severity="critical"))
    assert [asked.perform.port for asked in run.asked] == ["page"]
    assert states(run)["block"] == "waiting", "what disrupts is asked for all the same"


@pytest.mark.parametrize(
    ("incident", "wakes"), [({}, True), ({"learning": True}, False), ({"late": True}, False),
                            ({"learning": True, "severity": "critical"}, True),
                            ({"learning": True, "owner": "ana@example.org"}, True)],
)  # fmt: skip
def test_what_is_hushed_neither_escalates_a_question_nor_rings_for_a_task(
    incident: dict[str, object], wakes: bool
) -> None:
    plan = plan_of("""
      - {id: agree, approve: {ask: Sure?, expires: 1h, on_expire: escalate, escalate_to: critical, steps: []}}
      - {id: task, task: {title: Look, urgent: true}}
    """)
    run = start(plan, mode="act", incident=facts(**incident))
    run.deliver("agree", Event("due"))
    if wakes:
        assert run.asked[0].perform.port == "page"
        run.deliver("agree", answered(True))
    (task,) = [asked.perform for asked in run.asked if asked.perform.port == "task"]
    assert task.arguments["urgent"] is wakes


def test_watch_mode_records_what_it_would_do() -> None:
    run = start(
        plan_of("""
      - {id: block, action: network.block_ip, with: {ip: "{{ incident.ip }}"}}
      - {id: talk, task: "Phone {{ incident.user }}"}
      - {id: agree, approve: {ask: Sure, steps: [{id: off, action: identity.disable_user, with: {user: "{{ incident.user }}"}}]}}
      - {id: wake, page: {policy: critical, message: hello}}
      - {id: up, update: {severity: critical}}
      - {id: pause, wait: 1h}
    """),
        mode="watch",
    )
    assert (run.state.state, run.asked) == ("succeeded", [])
    would = {row.path: row.detail["would"] for row in run.state.attempts.values() if "would" in row.detail}
    assert would["block"] == {
        "action": "network.block_ip",
        "effect": "disruptive",
        "inputs": {"ip": "203.0.113.9"},
    }
    assert would["agree/steps/off"]["inputs"] == {"user": "ana"}
    assert set(would) == {"block", "talk", "agree", "agree/steps/off", "wake", "up", "pause"}


def test_the_door_refuses_and_the_run_goes_on() -> None:
    run = start(
        plan_of("""
      - {id: block, action: network.block_ip, with: {ip: "{{ incident.ip }}"}}
      - {id: after, set: {why: "{{ steps.block.error }}"}}
    """),
        answer=refusing,
    )
    assert (run.state.state, run.state.variables[""]["why"]) == ("succeeded", "203.0.113.9 is protected")


def test_an_unbound_verb_becomes_one_task_for_the_whole_list() -> None:
    run = start(
        plan_of("""
      - id: off
        name: Block the domains
        for_each: "{{ incident.observables.domain }}"
        action: network.block_ip
        with: {ip: "{{ item }}"}
    """),
        is_bound=lambda _action: False,
    )
    (asked,) = run.asked
    assert asked.perform.port == "task"
    assert asked.perform.arguments["checklist"] == ["ip: evil.example", "ip: worse.example"]
    assert asked.perform.arguments["urgent"] is True
    run.deliver("off", Event("task", {"state": "done", "by": ["Ana"]}))
    assert run.state.state == "succeeded"


def test_ask_mode_puts_one_question_for_a_whole_list() -> None:
    run = start(
        plan_of("""
      - id: off
        for_each: "{{ incident.observables.domain }}"
        concurrency: 5
        action: network.block_ip
        with: {ip: "{{ item }}"}
    """),
        mode="ask",
    )
    (wait,) = run.state.waits
    assert [what["inputs"]["ip"] for what in wait.draft.detail["what"]] == ["evil.example", "worse.example"]
    run.deliver("off", answered(True))
    assert [asked.perform.arguments["approved_by"] for asked in run.asked] == [["Ana"], ["Ana"]]


def test_an_unknown_outcome_is_a_question_not_a_second_call() -> None:
    steps = "- {id: off, name: Disable the user, action: identity.disable_user, with: {user: x}, retry: {attempts: 3}}"
    run = start(plan_of(steps))
    run.deliver("off", call_ended("unknown", error="no answer"))
    assert [wait.draft.kind for wait in run.state.waits] == ["approval", "call"]
    assert run.state.waits[0].draft.detail["question"] == "unknown"
    run.deliver("off", answered(True))
    assert (run.state.state, len(run.asked)) == ("succeeded", 1)


def test_held_automation_waits_without_its_timeout() -> None:
    run = start(
        plan_of("- {id: off, action: identity.disable_user, with: {user: x}, timeout: 30s}"),
        answer=lambda _asked: {"state": "held", "reason": "all automation is on hold", "ref": "call:7"},
    )
    run.pass_time(3600)
    assert run.state.state == "waiting"
    assert run.state.attempts[("off", "")].detail["held"] == "all automation is on hold"
    run.deliver("off", call_ended())
    assert run.state.state == "succeeded"


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


@pytest.mark.parametrize(("bound", "event", "asked_again"), [
    (True, Event("call", {"state": "succeeded", "output": {"n": 1}, "reviewed": True}), False),
    (True, Event("call", {"state": "succeeded", "output": {"n": 1}, "reviewed": False}), True),
    (False, Event("task", {"state": "done", "by": ["Rita"]}), True),
])  # fmt: skip
def test_what_is_to_be_looked_at_again_is_asked_once(bound: bool, event: Event, asked_again: bool) -> None:
    plan = plan_of(
        "- {id: off, name: Stop ana, action: identity.disable_user, with: {user: ana}, review_after: 1d}"
    )
    run = start(plan, is_bound=lambda _action: bound)
    run.deliver("off", event)
    reviews = [
        asked.perform.arguments for asked in run.asked if asked.perform.arguments.get("purpose") == "review"
    ]
    assert [(draft["title"], draft["due"]) for draft in reviews] == [
        ("Look again: Stop ana", 86400.0)
    ] * asked_again
    off = run.state.attempts[("off", "")]
    assert (run.state.state, off.output) == (
        "succeeded",
        {"n": 1} if bound else {"by_hand": True},
    )
    assert off.by == (() if bound else ("Rita",))
