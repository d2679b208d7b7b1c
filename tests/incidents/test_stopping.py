"""Stop and call the lead: nothing new begins, what is under way ends, and somebody is paged; on both databases."""

from collections.abc import Callable
from uuid import UUID

import pytest
import respx
from at_the_pages import Reader
from people_here import People, unproved
from run_bench import attempts_of, begin, publish, run_of, waits_of
from sqlalchemy import select

from cli import assemble
from connectors import calls, holds, instances, rails
from connectors.calls import CallContext
from connectors.models import ActionCall
from core import journal
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NeedsSecondFactor, NotFound
from core.types import Ref, Severity
from incident_bench import opened
from incidents import lifecycle, stopping, tasks
from incidents.models import Incident, Task
from notify.escalation import Target
from held_time import HeldClock
from datetime import timedelta
from notify.models import Page, PageTarget
from notify.oncall import policy_editing
from playbooks import ports, runs
from playbooks.catalogue import Catalogue

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]
OKTA = "https://acme.okta.com/api/v1/users/m.ortiz/lifecycle/suspend"

assemble.load()


@pytest.fixture(autouse=True)
def house(people: People) -> None:
    """Okta, and Mara at the end of the default escalation."""
    ports.use(None)
    with unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, name="okta", connector="okta", settings={"base_url": "https://acme.okta.com"},
            secrets={"token": "t"},
        )  # fmt: skip
        target = (Target("user", str(people.mara.user_id)),)
        draft = policy_editing.PolicyDraft(
            "default", (policy_editing.StepDraft(target, delay=120),), target, is_default=True
        )
        policy_editing.create_policy(uow, SYSTEM, draft)


STEPS = """
- {id: first, action: identity.disable_user, with: {user: m.ortiz}}
- {id: second, action: identity.revoke_sessions, with: {user: m.ortiz}}
- {id: third, task: {title: Phone them}}
"""


def stop(actor: Actor, case: UUID, reason: str = "it locks out the board") -> stopping.Stopped:
    with unit_of_work() as uow:
        return stopping.stop(uow, actor, case, reason)


def let_go(actor: Actor, case: UUID, reason: str = "it was the right account") -> None:
    with unit_of_work() as uow:
        stopping.let_go(uow, actor, case, reason)


def paged() -> list[tuple[str, list[str]]]:
    """Each page's title, and whom it has reached so far, in order."""
    with reading() as session:
        targets: dict[UUID, list[str]] = {}
        for row in session.scalars(select(PageTarget).order_by(PageTarget.created_at, PageTarget.id)):
            targets.setdefault(row.page_id or UUID(int=0), []).append(str(row.user_id))
        return [(page.title, targets.get(page.id, [])) for page in session.scalars(select(Page).order_by(Page.id))]


def test_a_run_ends_what_it_does_and_begins_nothing_else(people: People, drain: Drain) -> None:
    case = opened(title="Odd sign-in", severity=Severity.high)
    publish(STEPS, actions=Catalogue())
    with unit_of_work() as uow:
        lifecycle.assign(uow, people.rita, case.id, people.raul.user_id)
    run = begin(subject=case.ref)
    drain("playbooks.runs")
    assert attempts_of(run) == {"first": "waiting"}
    with respx.mock:
        respx.post(OKTA).respond(200, json={})
        begun = stop(people.rita, case.id)
        assert begun.reached
        with reading() as session:
            row = session.scalars(select(ActionCall)).one()
            row_id = row.id
        drain()
    with reading() as session:
        held = session.get_one(ActionCall, row_id)
        assert (held.state, held.rail) == ("held", holds.RAIL), "it was asked for, and had not been sent"
        assert "Rita stopped" in (held.note or "")
    let_go(people.raul, case.id)
    with respx.mock:
        respx.post(OKTA).respond(200, json={})
        drain("core.outbox", "connectors.calls")
        stop(people.rita, case.id, "now the sessions would go")
        drain()
        assert attempts_of(run) == {"first": "succeeded"}, "its outcome is heard; the next step does not begin"
        assert run_of(run).due_at is None
        drain()
    with pytest.raises(Conflict):
        stop(people.rita, case.id)
    let_go(people.raul, case.id)
    with respx.mock:
        sessions = respx.delete(url__startswith="https://acme.okta.com/api/v1/users/m.ortiz/sessions").respond(204)
        drain()
        assert sessions.called
    assert attempts_of(run)["third"] == "waiting"
    with reading() as session:
        verbs = [entry.verb for entry in journal.entries(session, ref=case.ref, limit=200)]
    assert (verbs.count("automation.stopped"), verbs.count("automation.let_go")) == (2, 2)


def test_an_answer_that_comes_while_it_is_stopped_waits(people: People, drain: Drain) -> None:
    case = opened(severity=Severity.high)
    publish("- {id: ask, task: {title: Look}}\n- {id: then, task: {title: Then}}\n- {id: after, wait: {for: 1h}}")
    run = begin(subject=case.ref)
    drain("playbooks.runs")
    stop(people.rita, case.id)
    with unit_of_work() as uow:
        tasks.complete(uow, people.rita, uow.scalars(select(Task.id)).one())
    again = begin(subject=case.ref)
    drain()
    assert attempts_of(run) == {"ask": "waiting"}
    assert attempts_of(again) == {}, "a playbook that starts meanwhile does not begin either"
    let_go(people.rita, case.id)
    drain()
    assert attempts_of(run)["then"] == "waiting"
    assert attempts_of(again) == {"ask": "waiting"}
    assert not waits_of(run, "timer")
    with unit_of_work() as uow:
        stopping.stop(uow, people.rita, case.id, "once more")
        runs.cancel(uow, people.rita, run, "it goes nowhere")
    assert run_of(run).state == "cancelled", "stopped, it can still be ended"


def test_other_incidents_and_people_go_on(people: People, drain: Drain) -> None:
    case, other = opened(), opened()
    stop(people.rita, case.id)

    def ask(actor: Actor, subject: Ref, action: str = "identity.disable_user") -> str:
        with unit_of_work() as uow:
            context = CallContext(actor, subject, approved_by=("Raul",))
            return calls.request(uow, context, action, {"user": "m.ortiz"}, key=f"{actor.id}{subject}{action}").state

    playbook = Actor(ActorKind.playbook, "p", "P")
    assert ask(playbook, case.ref) == "held"
    assert ask(playbook, other.ref) == "intended"
    assert ask(people.rita, case.ref) == "intended"
    assert ask(playbook, case.ref, "identity.get_user") == "intended", "looking changes nothing"


def test_the_lead_is_paged_first_and_then_whoever_is_on_call(people: People, drain: Drain, clock: object) -> None:
    case = opened(title="Odd sign-in", severity=Severity.medium)
    with unit_of_work() as uow:
        lifecycle.assign(uow, people.raul, case.id, people.raul.user_id)
    stop(people.rita, case.id, "it locks out the board")
    (title, reached) = paged()[0]
    assert title.startswith(f"{case.key}: stopped, and you are called")
    assert reached == [people.raul.id]
    clock.advance(seconds=121)  # type: ignore[attr-defined]  # the test's clock
    drain("notify.pages")
    assert paged()[0][1] == [people.raul.id, people.mara.id]
    nobody = opened(severity=Severity.low)
    stop(people.rita, nobody.id)
    assert paged()[1][1] == [people.mara.id], "without a lead whoever is on call"
    mine = opened(restricted_to=[people.mara.id])
    with unit_of_work() as uow:
        uow.get_one(Incident, mine.id).owner_id = people.mara.user_id
    stop(people.mara, mine.id, "secret words")
    assert paged()[2] == (f"{mine.key}: a restricted incident needs somebody", [people.mara.id])


def test_who_may_stop_and_who_may_let_it_go_on(people: People) -> None:
    case = opened()
    program = Actor(ActorKind.token, "t", "a program", people.rita.permissions)
    with pytest.raises(Forbidden):
        stop(people.aldo, case.id)
    with pytest.raises(Invalid):
        stop(people.rita, case.id, " ")
    stop(program, case.id)
    with pytest.raises(Conflict):
        let_go(program, case.id)
    with pytest.raises(NeedsSecondFactor):
        let_go(unproved(people.rita), case.id)
    with pytest.raises(Forbidden):
        let_go(people.aldo, case.id)
    with pytest.raises(Invalid):
        let_go(people.rita, case.id, "")
    let_go(people.rita, case.id)
    with pytest.raises(Conflict):
        let_go(people.rita, case.id)
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, case.id, [])
    with pytest.raises(NotFound):
        stop(people.rita, case.id)


def test_what_everybody_holds_stays_held(people: People, drain: Drain) -> None:
    """Letting one incident go on does not lift the hold on all automation."""
    case = opened()
    stop(people.rita, case.id)
    playbook = Actor(ActorKind.playbook, "p", "P")
    with unit_of_work() as uow:
        row = calls.request(
            uow, CallContext(playbook, case.ref, approved_by=("Raul",)), "identity.disable_user", {"user": "m.ortiz"}, key="k"
        )
        row_id = row.id
    with unit_of_work() as uow:
        rails.hold_all(uow, people.rita, "a strange day")
    let_go(people.rita, case.id)
    drain("core.outbox")
    with reading() as session:
        row = session.get_one(ActionCall, row_id)
    assert (row.state, row.rail) == ("held", rails.HOLD_ALL)


@pytest.mark.parametrize("everything", [False, True])
def test_the_time_for_an_answer_stands_still_while_automation_is_stopped(
    people: People, drain: Drain, clock: HeldClock, everything: bool
) -> None:
    case = opened(severity=Severity.high)
    publish("""
        - {id: agree, approve: {ask: Contain, from: role:responder, expires: 30m}}
        - {id: then, task: {title: Then}}
    """)
    run = begin(subject=case.ref)
    drain("playbooks.runs")
    clock.advance(minutes=10)
    with unit_of_work() as uow:
        if everything:
            rails.hold_all(uow, people.mara, "the playbook locks people out")
        else:
            stopping.stop(uow, people.mara, case.id, "it locks out the board")
    clock.advance(hours=5)
    drain()
    assert attempts_of(run) == {"agree": "waiting"}, "nobody could look at it"
    page = f"/approvals/{waits_of(run)[0].id}"
    assert "the time for an answer stands still" in Reader(people.rita).get(page)
    with unit_of_work() as uow:
        if everything:
            rails.release_all(uow, people.mara)
        else:
            stopping.let_go(uow, people.mara, case.id, "it was right")
    drain()
    (wait,) = waits_of(run)
    assert "stands still" not in Reader(people.rita).get(page)
    assert attempts_of(run) == {"agree": "waiting"}
    assert wait.due_at is not None
    assert wait.due_at - wait.created_at >= timedelta(hours=5, minutes=30)
    clock.advance(minutes=15)
    drain()
    assert attempts_of(run) == {"agree": "waiting"}
    clock.advance(minutes=10)
    drain()
    assert attempts_of(run) == {"agree": "refused"}, "thirty minutes without the stop"
