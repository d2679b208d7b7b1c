"""What the engine does when a step fails, is refused, is held, takes too long, or nobody knows, rehearsed in memory."""

from playbook_bench import answered, call_ended, plan_of, refusing, start, states


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


def test_the_door_refuses_and_the_run_goes_on() -> None:
    run = start(
        plan_of("""
      - {id: block, action: network.block_ip, with: {ip: "{{ incident.ip }}"}}
      - {id: after, set: {why: "{{ steps.block.error }}"}}
    """),
        answer=refusing,
    )
    assert (run.state.state, run.state.variables[""]["why"]) == ("succeeded", "203.0.113.9 is protected")


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
