"""Runs in a real database: driven until they block, answered, stopped, queued, taken up again, never written twice."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from run_bench import INCIDENT, Pretend, attempts_of, begin, finish, pretending, publish, run_of, waits_of
from sqlalchemy import select, update

from core import journal, work
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.ids import new_id
from core.journal import Fact, record
from core.types import Ref
from playbooks import driving, facts, ports, runs
from playbooks.models import PlaybookRun, StepAttempt, Wait

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]


@pytest.fixture(autouse=True)
def pretend() -> Iterator[Pretend]:
    with pretending() as made:
        yield made


@pytest.fixture
def go(drain: Drain) -> Callable[[], int]:
    return lambda: drain("playbooks.runs")


def test_a_run_without_effects_is_written_in_one_commit(go: Callable[[], int]) -> None:
    publish("\n".join(f"- {{id: s{n}, set: {{n: {n}}}}}" for n in range(10)))
    run = begin()
    assert run_of(run).state == "running"
    go()
    row = run_of(run)
    assert (row.state, row.variables, row.due_at, row.lease_until) == (
        "succeeded",
        {"": {"n": 9}},
        None,
        None,
    )
    assert list(attempts_of(run).values()) == ["succeeded"] * 10
    with reading() as session:
        told = [
            (entry.verb, entry.body.get("state"))
            for entry in journal.entries(session, ref=Ref("run", str(run)))
        ]
    assert told == [("run.ended", "succeeded"), ("run.started", None)]


def test_a_call_blocks_the_run_until_it_is_over(go: Callable[[], int], pretend: Pretend) -> None:
    publish("""
        - {id: look, action: intel.look_up, with: {value: "{{ incident.ip }}"}}
        - {id: keep, set: {hits: "{{ steps.look.output.hits }}"}}
    """)
    run = begin()
    go()
    (wait,) = waits_of(run)
    assert (run_of(run).state, wait.kind, wait.ref[:5]) == ("waiting", "call", "call:")
    assert pretend.asked[0][1]["inputs"] == {"value": "203.0.113.9"}
    assert finish(wait, "call", state="succeeded", output={"hits": 4})
    assert not finish(wait, "call", state="failed", error="too late")
    go()
    assert (run_of(run).state, run_of(run).variables) == ("succeeded", {"": {"hits": 4}})
    assert len(pretend.asked) == 1


def test_timers_are_rows(go: Callable[[], int], clock) -> None:
    publish("- {id: pause, wait: 5m}\n- {id: after, set: {x: 1}}")
    run = begin()
    go()
    assert run_of(run).due_at == clock.now + timedelta(minutes=5)
    clock.advance(minutes=4)
    assert go() == 0
    clock.advance(minutes=1)
    go()
    assert run_of(run).state == "succeeded"


def test_retries_are_rows_with_a_due_time(go: Callable[[], int], clock, pretend: Pretend) -> None:
    publish("- {id: look, action: intel.look_up, with: {value: x}, retry: {attempts: 2, delay: 30s}}")
    run = begin()
    go()
    finish(waits_of(run)[0], "call", state="failed", error="503")
    go()
    assert attempts_of(run) == {"look": "failed", "look(2)": "retrying"}
    clock.advance(seconds=30)
    go()
    finish(waits_of(run)[0], "call", state="succeeded", output={})
    go()
    assert (run_of(run).state, attempts_of(run)) == ("succeeded", {"look": "failed", "look(2)": "succeeded"})
    assert len({asked["key"] for _port, asked in pretend.asked}) == 2


APPROVE = """
    - {id: agree, approve: {ask: "Contain {{ incident.user }}", from: role:responder, quorum: 2, four_eyes: true}}
    - {id: off, action: identity.disable_user, with: {user: "{{ incident.user }}"}}
"""


def test_an_approval_needs_its_quorum_of_different_people(
    go: Callable[[], int], people, pretend: Pretend
) -> None:
    publish(APPROVE)
    run = begin(actor=people.mara)
    go()
    (wait,) = waits_of(run, "approval")
    with pytest.raises(Forbidden, match="somebody else must agree"), unit_of_work() as uow:
        runs.answer(uow, people.mara, wait.id, {"approve": True})
    with unit_of_work() as uow:
        runs.answer(uow, people.rita, wait.id, {"approve": True, "reason": "seen it"})
    with pytest.raises(Conflict, match="You have answered already"), unit_of_work() as uow:
        runs.answer(uow, people.rita, wait.id, {"approve": True})
    with pytest.raises(Forbidden), unit_of_work() as uow:
        runs.answer(uow, people.aldo, wait.id, {"approve": True})
    with pytest.raises(Invalid, match="Say whether you agree"), unit_of_work() as uow:
        runs.answer(uow, people.raul, wait.id, {"approve": "yes"})
    assert go() == 0
    with unit_of_work() as uow:
        runs.answer(uow, people.raul, wait.id, {"approve": True})
    go()
    assert pretend.asked[-1][1]["approved_by"] == ["Rita", "Raul"]
    with pytest.raises(Conflict, match="decided already"), unit_of_work() as uow:
        runs.answer(uow, people.ana, wait.id, {"approve": True})


def test_one_refusal_decides(go: Callable[[], int], people) -> None:
    publish(APPROVE)
    run = begin()
    go()
    with unit_of_work() as uow:
        runs.answer(uow, people.rita, waits_of(run)[0].id, {"approve": False, "reason": "it is a drill"})
    go()
    assert (run_of(run).state, run_of(run).reason) == ("refused", "Rita refused: it is a drill")
    with reading() as session:
        verbs = [entry.verb for entry in journal.entries(session, ref=Ref("run", str(run)))]
    assert verbs == ["run.ended", "step.refused", "step.answered", "step.asked", "run.started"]


def test_cancelling_takes_back_what_is_open_and_is_final(
    go: Callable[[], int], people, pretend: Pretend
) -> None:
    publish("- {id: both, parallel: [{id: a, task: Look}, {id: b, action: intel.look_up, with: {value: x}}]}")
    run = begin()
    go()
    late = waits_of(run, "call")[0]
    with pytest.raises(Invalid), unit_of_work() as uow:
        runs.cancel(uow, people.rita, run, " ")
    with unit_of_work() as uow:
        runs.cancel(uow, people.rita, run, "a false alarm")
    assert sorted(ref.partition(":")[0] for ref in pretend.withdrawn) == ["call", "task"]
    assert (run_of(run).state, set(attempts_of(run).values())) == ("cancelled", {"cancelled"})
    assert not finish(late, "call", state="succeeded")
    assert go() == 0
    with pytest.raises(Conflict, match="over already"), unit_of_work() as uow:
        runs.cancel(uow, people.rita, run, "again")


def test_a_worker_that_lost_its_lease_writes_nothing(go: Callable[[], int], pretend: Pretend) -> None:
    publish("- {id: look, action: intel.look_up, with: {value: x}}")
    run = begin()
    slow = work.claim(driving.KIND, 1)
    with unit_of_work() as uow:  # its lease ran out
        uow.execute(update(PlaybookRun).values(lease_until=uow.now - timedelta(seconds=1)))
    go()
    with pytest.raises(work.LostLease):
        driving.handle(slow)
    assert len(attempts_of(run)) == 1
    assert len(waits_of(run)) == 1
    with reading() as session:
        assert len(list(session.scalars(select(StepAttempt)))) == 1


def test_an_answer_while_the_run_is_driven_is_not_lost(go: Callable[[], int]) -> None:
    publish(
        "- {id: both, parallel: [{id: a, task: Look}, {id: b, task: Look twice}]}\n- {id: after, set: {x: 1}}"
    )
    run = begin()
    go()
    first, second = waits_of(run)
    finish(first, "task", state="done", form={})
    (claim,) = work.claim(driving.KIND, 1)
    driven = driving._worked_out([claim])
    finish(second, "task", state="done", form={})
    with unit_of_work() as uow:
        driving._write(uow, driven)
    assert run_of(run).due_at is not None
    go()
    assert run_of(run).state == "succeeded"


@pytest.mark.parametrize(
    ("policy", "first", "second"),
    [
        ("queue", "waiting", "queued"),
        ("drop", "waiting", None),
        ("replace", "cancelled", "waiting"),
        ("allow", "waiting", "waiting"),
    ],
)
def test_concurrency(go: Callable[[], int], policy: str, first: str, second: str | None) -> None:
    publish(
        "- {id: a, task: Look}", head=f'concurrency: {{key: "{{{{ incident.key }}}}", policy: {policy}}}\n'
    )
    one = begin()
    go()
    two = begin()
    go()
    assert run_of(one).state == first
    assert two == one if second is None else run_of(two).state == second
    if policy == "queue":
        finish(waits_of(one)[0], "task", state="done", form={})
        go()
        assert (run_of(one).state, run_of(two).state) == ("succeeded", "waiting")


def test_a_trigger_starts_one_run() -> None:
    publish("- {id: a, task: Look}")
    assert begin(trigger_key="fact:1") == begin(trigger_key="fact:1") != begin(trigger_key="fact:2")


def test_inputs_are_checked() -> None:
    publish(
        "- {id: a, task: 'Look at {{ inputs.user }}'}",
        head="inputs: {user: {type: string, required: true}}\n",
    )
    with pytest.raises(Invalid, match='The input "user" is needed'):
        begin()
    with pytest.raises(Invalid, match='There is no input "usr"'):
        begin(inputs={"user": "x", "usr": "y"})
    with pytest.raises(NotFound, match='There is no playbook "q"'):
        begin("q")
    begin(inputs={"user": "ana"})


def test_a_run_stays_with_the_version_it_started_with(go: Callable[[], int]) -> None:
    publish("- {id: a, task: Look}\n- {id: b, set: {v: 1}}")
    run = begin()
    go()
    publish("- {id: c, set: {v: 2}}")
    finish(waits_of(run)[0], "task", state="done", form={})
    go()
    assert run_of(run).variables == {"": {"v": 1}}
    newer = begin()
    go()
    assert run_of(newer).variables == {"": {"v": 2}}


def test_a_failed_step_is_tried_again_in_a_new_run(go: Callable[[], int], people, pretend: Pretend) -> None:
    publish("""
        - {id: before, set: {n: 1}}
        - id: which
          choose: [{when: "true", steps: [{id: look, action: intel.look_up, with: {value: x}}, {id: then, set: {m: 2}}]}]
        - {id: after, set: {o: 3}}
    """)
    run = begin()
    go()
    finish(waits_of(run)[0], "call", state="failed", error="no quota")
    go()
    assert run_of(run).state == "failed"
    with pytest.raises(Conflict, match="has not failed"), unit_of_work() as uow:
        runs.retry_step(uow, people.rita, run, "before")
    with unit_of_work() as uow:
        again = runs.retry_step(uow, people.rita, run, "which/0/look").id
    go()
    finish(waits_of(again)[0], "call", state="succeeded", output={})
    go()
    assert (run_of(again).state, run_of(again).variables) == ("succeeded", {"": {"n": 1, "m": 2, "o": 3}})
    assert run_of(run).state == "failed"
    assert len(pretend.asked) == 2


def test_states_that_end_are_final_in_the_database(go: Callable[[], int]) -> None:
    publish("- {id: a, set: {x: 1}}")
    run = begin()
    go()
    with unit_of_work() as uow:
        uow.execute(update(PlaybookRun).values(due_at=uow.now))
    drained = driving.KIND
    claims = work.claim(drained, 5)
    with pytest.raises(work.LostLease):
        driving.handle(claims)
    assert run_of(run).state == "succeeded"


def test_many_runs_share_a_commit_and_one_bad_one_stops_no_other(
    go: Callable[[], int], pretend: Pretend
) -> None:
    publish("- {id: a, set: {x: 1}}")
    publish("- {id: a, task: Look}", key="q")
    good = [begin(subject=Ref("incident", str(uuid4()))) for _ in range(3)]
    bad = begin("q")

    def broken(_uow, _request):
        raise LookupError("no such thing")

    ports.use(ports.Ports(**{**vars(pretend.ports()), "perform": {"task": broken}}))
    work.drain("playbooks.runs")
    assert [run_of(run).state for run in good] == ["succeeded"] * 3
    assert (run_of(bad).state, run_of(bad).attempts, run_of(bad).error) == (
        "running",
        1,
        "LookupError: no such thing",
    )


def test_a_batch_is_one_transaction(pretend: Pretend, drain: Drain) -> None:
    publish("- {id: a, set: {x: 1}}\n- {id: b, when: incident.late, task: Look}")
    publish("- {id: a, set: {x: 1}}\n- {id: b, task: Look}", key="q")
    all_runs = [begin(key, subject=Ref("incident", str(uuid4()))) for key in "pqpq"]
    claims = work.claim(driving.KIND, 10)
    assert len(claims) == 4
    driving._drive(claims)
    assert [run_of(run).state for run in all_runs] == ["succeeded", "waiting"] * 2
    assert all(run_of(run).lease_until is None for run in all_runs)


def test_hostile_values_are_stored_as_text(go: Callable[[], int]) -> None:
    publish(
        "- {id: look, action: intel.look_up, with: {value: x}}\n- {id: keep, set: {got: '{{ steps.look.output }}'}}"
    )
    run = begin()
    go()
    finish(waits_of(run)[0], "call", state="succeeded", output={"a\x00b": "\ud800 {{ 7 * 7 }} \x00"})
    go()
    assert run_of(run).state == "succeeded"
    assert run_of(run).variables[""]["got"] == {"a\ufffdb": "? {{ 7 * 7 }} \ufffd"}


def test_waits_name_their_run() -> None:
    assert isinstance(INCIDENT.id, str)
    assert UUID(INCIDENT.id)
    with reading() as session:
        assert list(session.scalars(select(Wait))) == []


def test_what_a_port_wrote_before_it_refused_is_undone(go: Callable[[], int], pretend: Pretend) -> None:
    publish("- {id: a, task: Look, on_error: continue}\n- {id: after, set: {x: 1}}")
    run = begin()

    def half_done(uow, request):
        told = Fact(facts.STEP_ASKED, (Ref("run", str(request.run_id)),), {"half": True})
        record(uow, request.actor, told)
        uow.add(Wait(id=new_id(), created_at=uow.now, run_id=request.run_id, kind="task", ref="task:half"))
        uow.flush()
        record(uow, request.actor, told)
        raise Conflict("no such door")

    ports.use(ports.Ports(**{**vars(pretend.ports()), "perform": {"task": half_done}}))
    go()
    assert (run_of(run).state, attempts_of(run)) == ("succeeded", {"a": "failed", "after": "succeeded"})
    with reading() as session:
        told = [entry.verb for entry in journal.entries(session, ref=Ref("run", str(run)))]
        assert list(session.scalars(select(Wait))) == []
    assert told == ["run.ended", "step.failed", "run.started"]
