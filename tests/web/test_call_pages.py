"""Calls, countermeasures and stuck work in the browser: settled, released, taken back and tried again by people."""

from uuid import UUID

import pytest
from at_the_pages import Reader, text_of, verbs_told
from incident_bench import draft, take
from people_here import People
from sqlalchemy import select, update

from cli import assemble
from connectors import hand_measures, calls, instances, rails
from connectors.calls import CallContext
from connectors.models import ActionCall, ConnectorInstance, Countermeasure
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.types import Ref
from incidents.models import Incident

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()

PLAYBOOK = Actor(ActorKind.playbook, "suspicious-login", "Suspicious login")
SECRET = "00-a-token-that-must-not-leak"
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def okta(people: People) -> ConnectorInstance:
    """A configured Okta."""
    with unit_of_work() as uow:
        settings = {"base_url": "https://acme.okta.com"}
        return instances.create(
            uow, SYSTEM, name="okta", connector="okta", settings=settings, secrets={"token": SECRET}
        )


@pytest.fixture
def case(people: People) -> Incident:
    """An incident."""
    (done,) = take(draft(title="Mimikatz on finance-7"))
    with reading() as session:
        found = session.get(Incident, done.incident_id)
        assert found is not None
        return found


def ask(case: Incident, action: str = "okta.suspend_user", state: str | None = None, **inputs: str) -> UUID:
    """A playbook's call, put into a state without calling anybody."""
    with unit_of_work() as uow:
        context = CallContext(PLAYBOOK, Ref("incident", str(case.id)), reason=f"seen twice {HOSTILE}")
        row = calls.request(
            uow, context, action, inputs or {"user": "m.ortiz"}, key=f"{action}{inputs}{state}"
        )
        if state:
            row.state, row.due_at = state, None
        return row.id


def standing(case: Incident, state: str = "verified") -> UUID:
    """A suspended account."""
    call = ask(case, state="succeeded")
    with unit_of_work() as uow:
        row = Countermeasure(
            call_id=call, subject_kind="incident", subject_id=str(case.id), action="okta.suspend_user", instance="okta",
            entity_type="user", entity_value="m.ortiz", state=state, created_at=uow.now,
        )  # fmt: skip
        uow.add(row)
        uow.flush()
        return row.id


def test_a_call_shows_what_was_asked_and_is_settled(
    people: People, okta: ConnectorInstance, case: Incident
) -> None:
    rita = Reader(people.rita)
    call = ask(case, state="unknown")
    page = rita.get(f"/calls/{call}")
    assert "Nobody knows whether it happened" in text_of(page)
    assert case.key in page
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "1 action waits for a person" in text_of(rita.get("/calls"))
    assert "Suspend a user" in text_of(rita.get("/calls?state=unknown"))
    rita.post(f"/calls/{call}/settle", 422, happened="yes", note="")
    rita.post(f"/calls/{call}/settle", 422, note="I looked")
    Reader(people.aldo).post(f"/calls/{call}/settle", 403, happened="yes", note="x")
    rita.post(f"/calls/{call}/settle", happened="yes", note="shown as suspended")
    told = text_of(rita.get(f"/calls/{call}"))
    assert "shown as suspended" in told
    assert "Nobody knows" not in told
    rita.post(f"/calls/{call}/settle", 409, happened="no", note="no")


def test_a_held_call_goes_on_or_is_given_up(people: People, okta: ConnectorInstance, case: Incident) -> None:
    mara = Reader(people.mara)
    with unit_of_work() as uow:
        rails.hold_all(uow, SYSTEM, "we look first")
    first, second = ask(case, user="m.ortiz"), ask(case, user="k.moss")
    assert "2 actions wait" in text_of(mara.get("/settings/guardrails"))
    mara.post(f"/calls/{first}/resume", 409)
    with unit_of_work() as uow:
        rails.release_all(uow, SYSTEM)
    Reader(people.rita).post(f"/calls/{first}/resume", 403)
    mara.post(f"/calls/{first}/resume")
    mara.post(f"/calls/{second}/drop", note="a false alarm")
    with reading() as session:
        states = [calls.get(session, call).state for call in (first, second)]
    assert states == ["intended", "refused"]
    assert "a false alarm" in text_of(mara.get(f"/calls/{second}"))


def test_taking_back_says_first_what_it_does(people: People, okta: ConnectorInstance, case: Incident) -> None:
    rita = Reader(people.rita)
    row = standing(case)
    assert "1 countermeasure is in force" in text_of(rita.get("/countermeasures"))
    path = f"/countermeasures/{row}/undo"
    page = text_of(rita.get(path))
    assert "Take a user's suspension back: m.ortiz" in page
    assert "https://acme.okta.com/api/v1/users/m.ortiz/lifecycle/unsuspend" in page
    unasked = rita.post(path)
    assert unasked.headers["Location"] == path, "a button elsewhere leads to the question"
    with reading() as session:
        assert len(session.scalars(select(ActionCall)).all()) == 1
    done = rita.post(path, confirmed="1", reason="the password was changed")
    assert done.headers["Location"].startswith("/calls/")
    assert "the password was changed" in text_of(rita.get(done.headers["Location"]))
    assert "being taken back" in text_of(rita.get("/countermeasures"))
    rita.post(path, 409, confirmed="1", reason="again")
    Reader(people.aldo).post(path, 403, confirmed="1")


def test_what_was_done_by_hand_is_said_to_be_ended_and_nothing_is_sent(people: People, okta: ConnectorInstance, case: Incident) -> None:
    rita = Reader(people.rita)
    with unit_of_work() as uow:
        row = hand_measures.put(uow, people.rita, case.ref, "edr.isolate_host", "pc-7", key="1", reason="Its cable is pulled").id
    assert "Isolation by hand" in text_of(rita.get("/countermeasures"))
    path = f"/countermeasures/{row}/undo"
    page = text_of(rita.get(path))
    assert "Was it ended by hand? pc-7" in page
    assert "nothing is sent" in page
    done = rita.post(path, confirmed="1", reason="It was reinstalled")
    assert done.headers["Location"] == "/countermeasures"
    with reading() as session:
        assert [one.asked for one in session.scalars(select(ActionCall))] == ["edr.isolate_host"]
    rita.post(path, 409, confirmed="1", reason="again")


def test_a_countermeasure_is_kept_and_failed_ones_ask_for_a_look(
    people: People, okta: ConnectorInstance, case: Incident
) -> None:
    rita = Reader(people.rita)
    row = standing(case, "failed")
    assert "1 countermeasure needs a look" in text_of(rita.get("/countermeasures"))
    rita.post(f"/countermeasures/{row}/keep", hours="168")
    with reading() as session:
        kept = session.get(Countermeasure, row)
        assert kept is not None
        assert kept.review_at is not None
    assert "Nothing was taken back yet" in text_of(rita.get("/countermeasures?state=removed"))


def test_calls_of_a_restricted_incident_are_seen_by_nobody_else(
    people: People, okta: ConnectorInstance, case: Incident
) -> None:
    call, row = ask(case, state="unknown"), standing(case)
    with unit_of_work() as uow:
        uow.execute(update(Incident).values(restricted_to=[str(people.mara.id)]))
    rita = Reader(people.rita)
    assert "m.ortiz" not in rita.get("/calls")
    assert "m.ortiz" not in rita.get("/countermeasures")
    rita.get(f"/calls/{call}", 404)
    rita.get(f"/countermeasures/{row}/undo", 404)
    rita.post(f"/countermeasures/{row}/undo", 404, confirmed="1", reason="x")
    rita.post(f"/countermeasures/{row}/keep", 404, hours="4")
    rita.post(f"/calls/{call}/settle", 404, happened="yes", note="x")
    assert "m.ortiz" in Reader(people.mara).get("/calls")


def test_stuck_work_is_seen_and_tried_again(people: People, okta: ConnectorInstance, case: Incident) -> None:
    rita = Reader(people.rita)
    assert "stuck" in text_of(rita.get("/settings/work"))
    call = ask(case, state="intended")
    with unit_of_work() as uow:
        uow.execute(update(ActionCall).values(parked_at=uow.now, error=f"boom {HOSTILE}", due_at=None))
    page = rita.get("/settings/work")
    assert "1 piece of work is stuck" in text_of(page)
    assert f"/calls/{call}" in page
    assert "<script>alert" not in page
    Reader(people.aldo).post("/settings/work/replay", 403, row=f"connectors.calls:{call}")
    rita.post("/settings/work/replay", 404, row=f"connectors.nothing:{call}")
    rita.post("/settings/work/replay", 404, row="connectors.calls:nonsense")
    rita.post("/settings/work/replay", row=f"connectors.calls:{call}")
    rita.post("/settings/work/replay", 404, row=f"connectors.calls:{call}")
    with reading() as session:
        row = session.get(ActionCall, call)
        assert row is not None
        assert (row.parked_at, row.error) == (None, None)
        assert row.due_at is not None
    assert verbs_told().count("work.replayed") == 1
