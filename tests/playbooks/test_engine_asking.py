"""What the engine leaves to people, rehearsed in memory: tasks, approvals, and when it asks before it acts."""

import pytest
from playbook_bench import answered, call_ended, facts, plan_of, start, states

from playbooks.contract import Event


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


CONFIRMED = """
  - id: isolate
    action: edr.isolate_host
    with: {host: web-1}
    confirm: 3m
    on_error: [{id: unplug, task: Unplug it}]
"""


@pytest.mark.parametrize(
    ("proofs", "state", "confirmed"),
    [
        (["holds"], "succeeded", True),
        ([None], "succeeded", False),
        (["pending", "pending", "holds"], "succeeded", True),
        (["pending", "not"], "failed", None),
        (["pending"], "failed", None),
    ],
)
def test_what_was_accepted_is_asked_for_until_it_holds(
    proofs: list[str | None], state: str, confirmed: bool | None
) -> None:
    left = list(proofs)

    def answer(asked):
        if asked.perform.port == "proof":
            return {"proof": left.pop(0) if len(left) > 1 else left[0]}
        return {"state": "intended", "ref": "call:1"}

    run = start(plan_of(CONFIRMED), answer=answer)
    run.deliver("isolate", call_ended(output={"id": 1}))
    for _ in range(20):
        if run.state.attempts[("isolate", "")].state == "waiting":
            run.pass_time(10)
    row = run.state.attempts[("isolate", "")]
    assert row.state == state
    if confirmed is None:
        assert run.asked[-1].perform.port == "task"
        assert (row.error or "").endswith("it was accepted, but may not have happened")
    else:
        assert row.output == {"id": 1, "confirmed": confirmed}
