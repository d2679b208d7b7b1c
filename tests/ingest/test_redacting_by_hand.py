"""A value that a person has taken out of an incident stands in no row any more, and the journal is still proved."""

import json
from collections.abc import Callable

import pytest
from at_the_pages import Reader
from delivered import deliver, everything_kept
from held_time import HeldClock
from people_here import People, unproved
from run_bench import publish
from sealed_journal import proved
from sqlalchemy import select

from cli import assemble
from core import four_eyes, journal, sealing
from core.actors import SYSTEM
from core.auth import users
from core.auth.models import SecondFactor
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NeedsSecondFactor
from core.redaction import mask
from core.types import Ref
from incidents import comments, findings, lifecycle, observables, redacting, rules, tasks
from incidents.findings import FindingDraft
from incidents.lifecycle import IncidentDraft
from incidents.models import Comment, Incident, Observable, SearchWord
from ingest.models import Delivery
from playbooks import ports, runs

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]

SECRET = "hunter2.Example-0815/key"
WHY = "A colleague typed it into a note"


@pytest.fixture
def spoilt(clock: HeldClock, sender, drain: Drain, people: People) -> Incident:
    """An incident in which the value stands everywhere; Ana and Mara have been here for days."""
    assemble.load()
    ports.use(None)
    with unit_of_work() as uow:
        rules.seed(uow)
    publish("""
        - {id: keep, set: {found: "{{ incident.title }}"}}
        - {id: look, task: "Look at {{ incident.title }}"}
    """)
    body = {
        "title": f"Login with {SECRET} failed",
        "severity": "high",
        "host": "db-1",
        "details": f"pw={SECRET}",
    }
    deliver(sender().source, body)
    drain()
    with reading() as session:
        incident = session.scalars(select(Incident)).one()
    assert incident.title.startswith("Login with")
    with unit_of_work() as uow:
        comments.add(uow, people.rita, incident.id, f"They used {SECRET}, as I saw")
        observables.attach(uow, people.rita, incident.id, "file", f"/tmp/{SECRET}")
        observables.attach(uow, people.rita, incident.id, "host", "db-2")
        tasks.create(
            uow,
            people.rita,
            incident.id,
            tasks.TaskDraft(title=f"Change {SECRET}", instructions=f"Old: {SECRET}"),
        )
        findings.add(
            uow,
            people.rita,
            incident.id,
            FindingDraft(occurred_at=uow.now, says=f"Typed {SECRET}", source="log"),
        )
        runs.start(uow, SYSTEM, playbook="p", subject=incident.ref)
        for actor in (people.ana, people.mara):
            uow.get_one(users.User, actor.user_id).password = "x"
            uow.add(
                SecondFactor(
                    user_id=actor.user_id, kind="totp", name="App", confirmed_at=uow.now, created_at=uow.now
                )
            )
    drain()
    sealing.seal_everything()
    return incident


def test_it_goes_from_every_row_when_a_second_person_agrees(
    spoilt: Incident, drain: Drain, people: People, clock
) -> None:
    kept = everything_kept()
    assert kept.count(SECRET.encode()) > 10
    with reading() as session:
        told = {
            e.verb
            for e in journal.entries(session, ref=spoilt.ref, limit=100)
            if SECRET in json.dumps(e.data)
        }
    assert {"comment.added", "task.created"} <= told
    clock.advance(days=4)
    with pytest.raises(NeedsSecondFactor), unit_of_work() as uow:
        redacting.propose(uow, unproved(people.mara), spoilt.key, SECRET, WHY)
    with unit_of_work() as uow:
        fresh = {
            name: users.actor_of(users.get(uow, getattr(people, name).user_id), uow.now)
            for name in ("mara", "ana")
        }
        change = redacting.propose(uow, fresh["mara"], spoilt.key, f"  {SECRET}\n", f"{WHY}: {SECRET}")
        assert change is not None
    assert SECRET not in change.says
    assert SECRET not in json.dumps(change.payload), "what waits is sealed"
    with pytest.raises(Forbidden, match="somebody else"), unit_of_work() as uow:
        four_eyes.agree(uow, fresh["mara"], change.id)
    assert SECRET.encode() in everything_kept(), "nothing is done before"
    with unit_of_work() as uow:
        four_eyes.agree(uow, fresh["ana"], change.id)
    drain()
    left = everything_kept()
    for part in (SECRET, SECRET.replace("/", "\\/"), "hunter2"):
        assert part.encode() not in left, left[max(0, left.find(part.encode()) - 300) :][:600]
    with reading() as session:
        assert "value" not in session.get_one(four_eyes.Change, change.id).payload
        assert mask(SECRET) in session.scalars(select(Comment.body)).one()
        assert json.loads(session.scalars(select(Delivery.body)).one())["details"] == f"pw={mask(SECRET)}"
        assert set(session.scalars(select(Observable.value).where(Observable.type == "host"))) == {
            "db-1",
            "db-2",
        }
        assert "redacted" in set(
            session.scalars(select(SearchWord.word).where(SearchWord.kind == "incident"))
        )
        (entry,) = journal.entries(session, ref=spoilt.ref, verbs=["incident.redacted"])
        erased = [e for e in journal.entries(session, ref=spoilt.ref, limit=200) if e.redacted]
    assert (entry.actor_name, entry.body["value"], entry.body["sealed"]) == ("Mara", mask(SECRET), 0)
    assert (
        entry.body["places"].items()
        >= {"notes": 1, "alerts": 1, "raw deliveries": 1, "observables": 1, "findings": 1}.items()
    )
    assert entry.body["entries"] >= len(erased) > 1
    assert (entry.data or {})["reason"] == f"{WHY}: {mask(SECRET)}"
    sealing.seal_everything()
    proof = proved()
    assert proof.problems == []
    assert proof.redacted == entry.body["entries"]
    page = Reader(fresh["mara"]).get(f"/incidents/{spoilt.key}/redact")
    assert mask(SECRET) in page
    assert "attached files" in page


def test_what_would_spoil_the_record_is_refused_and_never_shown_again(
    spoilt: Incident, people: People, clock
) -> None:
    with unit_of_work() as uow:
        mara = users.actor_of(users.get(uow, people.mara.user_id), uow.now)
    for value, sentence in (
        ("abc", "6 to 20,000"),
        ("waiting", "plain word"),
        ("disruptive", "plain word"),
        (spoilt.key, "plain word"),
    ):
        with pytest.raises(Invalid, match=sentence), unit_of_work() as uow:
            redacting.propose(uow, mara, spoilt.key, value, WHY)
    with pytest.raises(Invalid, match="Say why"), unit_of_work() as uow:
        redacting.propose(uow, mara, spoilt.key, SECRET, " ")
    with pytest.raises(Forbidden), unit_of_work() as uow:
        redacting.propose(uow, people.rita, spoilt.key, SECRET, WHY)
    with pytest.raises(Conflict, match="stands nowhere"), unit_of_work() as uow:
        redacting.propose(
            uow, mara, spoilt.key, "Not-in-here-0815", WHY
        )  # done at once: Tocsin is being set up
    page = Reader(mara).post(f"/incidents/{spoilt.key}/redact", status=422, value=SECRET, reason="").text
    assert "A reason is needed." in page
    assert page.count(SECRET) == page.count(f"Login with {SECRET} failed"), "its title says it, the form does not"
    with reading() as session:
        assert (
            journal.entries(session, ref=Ref("incident", str(spoilt.id)), verbs=["incident.redacted"]) == []
        )


def test_what_others_have_seen_stays_with_them(spoilt: Incident, people: People, drain: Drain) -> None:
    with unit_of_work() as uow:
        other = lifecycle.open_by_hand(uow, people.rita, IncidentDraft(title="Another", observables=[("file", f"/tmp/{SECRET}")]))
        mara = users.actor_of(users.get(uow, people.mara.user_id), uow.now)
        assert redacting.propose(uow, mara, spoilt.key, SECRET, WHY) is None, "done at once: Tocsin is being set up"
    with reading() as session:
        mine = [one.value for one in observables.of_incident(session, people.rita, spoilt.id)]
        theirs = [one.value for one in observables.of_incident(session, people.rita, other.id)]
    assert not [value for value in mine if SECRET in value]
    assert theirs == [f"/tmp/{SECRET}"]
