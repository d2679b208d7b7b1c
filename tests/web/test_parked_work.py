"""Of every kind of work: what fails again and again is parked, listed, counted, tried again by a person, and written down."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import run_bench
from at_the_pages import Reader
from held_time import HeldClock
from people_here import People
from sample_mails import plain
from sqlalchemy import select, update

from cli import assemble
from connectors import blocklist, calls, instances
from connectors.calls import CallContext
from connectors.models import ActionCall, BlocklistFeed, Countermeasure
from core import blobs, four_eyes, journal, outbox, secrets, work
from core.actors import SYSTEM, Actor, ActorKind
from core.auth.models import User
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Unavailable
from core.four_eyes import Change
from core.journal import Entry, Fact, declare, record
from core.settings import configure, settings
from core.types import Ref, Severity
from core.work import Claim
from incidents import lifecycle, taking_out
from incidents.lifecycle import IncidentDraft
from ingest import mail_door, mail_pictures, mail_poll, sources, storing
from ingest.mail_models import Mailbox, MailIn
from notify import contacts, delivery, messages
from notify.escalation import Target
from notify.models import Page, PageTarget
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy
from web.api import metrics

pytestmark = pytest.mark.usefixtures("database")

FOR_EVER = {"core.witness", "incidents.upkeep"}
"""Kinds that are tried for ever: parked, they would let evidence or alerts grow old unseen."""
TRIED = declare("test.tried", "was tried")
SUBJECT = Ref("setting", "parked")
CTX = CallContext(Actor(ActorKind.playbook, "run-1", "Contain"), SUBJECT, run="run-1", approved_by=("ana",))

Maker = Callable[[UnitOfWork, People], object]


def a_fact(uow: UnitOfWork, _people: People) -> None:
    record(uow, SYSTEM, Fact(TRIED, (SUBJECT,), {}))


def a_call(uow: UnitOfWork, _people: People) -> None:
    instances.create(
        uow, SYSTEM, name="edge", connector="http", settings={"base_url": "https://edge.example"}
    )
    calls.request(uow, CTX, "http.get", {"path": "/"}, key="one", instance="edge")


def a_countermeasure(uow: UnitOfWork, people: People) -> None:
    blocklist.create_feed(uow, people.admin, name="edge", kind="ip")
    call = calls.request(uow, CTX, "blocklist.block_ip", {"ip": "203.0.113.9"}, key="one")
    uow.execute(update(ActionCall).values(due_at=None))
    uow.add(
        Countermeasure(
            call_id=call.id, subject_kind=SUBJECT.kind, subject_id=SUBJECT.id, action="blocklist.block_ip",
            instance="blocklist", entity_type="ipv4-addr", entity_value="203.0.113.9", state="active", due_at=uow.now,
        )
    )  # fmt: skip


def a_feed(uow: UnitOfWork, people: People) -> None:
    blocklist.create_feed(uow, people.admin, name="edge", kind="ip")
    uow.flush()
    uow.execute(update(BlocklistFeed).values(due_at=uow.now))


def a_page(uow: UnitOfWork, people: People) -> None:
    user = people.rita.user_id
    contacts.add(uow, SYSTEM, user_id=user, channel="email", address={"to": "rita@example.org"})
    target = (Target("user", str(user)),)
    create_policy(uow, SYSTEM, PolicyDraft("default", (StepDraft(target, 36_000),), target))
    delivery.page(
        uow, SYSTEM, policy="default", subject=SUBJECT, title="Ring", message="", severity=Severity.high, path="/"
    )  # fmt: skip


def a_page_to_escalate(uow: UnitOfWork, people: People) -> None:
    a_page(uow, people)
    uow.flush()
    uow.execute(update(Page).values(due_at=uow.now))


def a_bundle(uow: UnitOfWork, people: People) -> None:
    a_page(uow, people)
    uow.flush()
    uow.execute(update(PageTarget).values(due_at=uow.now))


def a_message(uow: UnitOfWork, people: People) -> None:
    messages.message(
        uow, SYSTEM, channel="inbox", to=f"user:{people.rita.user_id}", title="A", text="b", subject=SUBJECT
    )


def a_delivery(uow: UnitOfWork, people: People) -> None:
    source, _token = sources.create(uow, people.admin, name="tool", connector="generic_json")
    body = b'{"title": "x", "severity": "low"}'
    arrival = storing.Arrival(
        source_id=source.id, body=body, content_type="application/json", headers={}, key=storing.body_key(body)
    )  # fmt: skip
    uow.after_commit(lambda: storing.store([arrival]))


def a_mail(uow: UnitOfWork, _people: People) -> None:
    raw = plain().as_bytes()
    envelope = mail_door.Envelope("smtp", "192.0.2.1", "eva@example.org")
    uow.after_commit(lambda: mail_door.take(blobs.measure(io.BytesIO(raw), len(raw)), envelope))


def a_picture(uow: UnitOfWork, _people: People) -> None:
    mail_pictures.ask(uow, blobs.put(uow, plain().as_bytes(), "message/rfc822"))


def a_mailbox(uow: UnitOfWork, _people: People) -> None:
    configure(settings().with_(imap_url="imaps://soc:x@127.0.0.1:9/INBOX"))
    mail_poll.seed(uow)


def a_proposal(uow: UnitOfWork, people: People) -> None:
    source, _token = sources.create(uow, people.admin, name="tool", connector="generic_json")
    uow.execute(update(User).values(created_at=uow.now - timedelta(days=30)))
    payload = {"source": str(source.id), "trust": "high"}
    change = four_eyes.loosen(uow, people.admin, sources.TRUST, payload, "Trust it highly.")
    assert change is not None
    assert change.alone
    uow.execute(update(Change).values(due_at=uow.now))


def a_redaction(uow: UnitOfWork, people: People) -> None:
    case = lifecycle.open_by_hand(uow, people.rita, IncidentDraft(title="They used hunter2.Example", severity=Severity.low))
    uow.flush()
    sealed = secrets.seal("hunter2.Example", taking_out.PURPOSE)
    taking_out.begin(uow, people.ana, case.id, {"value": sealed, "reason": "Somebody typed it."})


def a_run(_uow: UnitOfWork, _people: People) -> None:
    return


MADE: dict[str, Maker] = {
    "core.outbox": a_fact,
    "core.four_eyes": a_proposal,
    "connectors.calls": a_call,
    "connectors.countermeasures": a_countermeasure,
    "connectors.fetching": a_feed,
    "notify.pages": a_page_to_escalate,
    "notify.bundles": a_bundle,
    "notify.attempts": a_page,
    "notify.messages": a_message,
    "incidents.redactions": a_redaction,
    "ingest.deliveries": a_delivery,
    "ingest.mail": a_mail,
    "ingest.mail_pictures": a_picture,
    "ingest.mailbox": a_mailbox,
    "playbooks.runs": a_run,
}


CAME_TO = {"core.four_eyes": "alone", "ingest.mail": "opened", "ingest.mailbox": True}
"""What the real handler makes of the row once somebody has had it tried again."""


def came_to(name: str, row: UUID) -> str | bool:
    with reading() as session:
        if name == "ingest.mailbox":
            return session.get_one(Mailbox, row).problem is not None  # it was asked, and nobody is there
        return session.get_one(Change if name == "core.four_eyes" else MailIn, row).state


@pytest.fixture(autouse=True)
def assembled() -> Iterator[None]:
    """Every kind of work is known, somebody listens to facts, and runs have something to run on."""
    assemble.load()
    before = settings()

    @outbox.subscriber("test.listener", verbs=["test.tried"])
    def listen(_uow: UnitOfWork, _entry: Entry) -> None:
        return

    with run_bench.pretending():
        yield
    configure(before)
    outbox._handlers.pop("test.listener")
    outbox._by_verb["test.tried"].remove("test.listener")


def gauge(kind: str) -> float:
    told = bytes(metrics.answer().body).decode()
    found = re.search(rf'^tocsin_work_parked{{kind="{re.escape(kind)}"}} (\S+)$', told, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_the_table_names_every_kind() -> None:
    assert set(MADE) | FOR_EVER == {name for name in work.kinds() if not name.startswith("test.")}
    assert all(kind.max_attempts <= 20 for name, kind in work.kinds().items() if name in MADE)
    assert all(work.kinds()[name].max_attempts >= 1_000_000 for name in FOR_EVER)


@pytest.mark.parametrize("name", MADE)
def test_parked_listed_counted_tried_again_and_told(
    people: People, clock: HeldClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with unit_of_work() as uow:
        MADE[name](uow, people)
    if name == "playbooks.runs":
        run_bench.publish("- {id: note, set: {seen: 'true'}}")
        run_bench.begin(subject=SUBJECT)
    kind = work.kinds()[name]
    tries: list[UUID] = []

    def fail(claims: list[Claim]) -> None:
        tries.extend(claim.id for claim in claims)
        raise ZeroDivisionError("poison <script>alert(1)</script>")

    with monkeypatch.context() as poisoned:
        poisoned.setitem(work._kinds, name, replace(kind, handle=fail))
        for _ in range(kind.max_attempts + 2):
            work.drain(name)
            clock.advance(timedelta(minutes=6))
    row = tries[0]
    assert tries.count(row) == kind.max_attempts, "as often as its kind allows, and no more"

    rita = Reader(people.rita)
    page = rita.get("/settings/work")
    assert f'value="{name}:{row}"' in page
    assert "ZeroDivisionError: poison" in page
    assert "<script>alert" not in page
    listed = rita._send("GET", f"/api/v1/work/parked?kind={name}").json()
    assert listed["next"] is None
    (item,) = [item for item in listed["items"] if item["id"] == str(row)]
    assert (item["kind"], item["error"][:17]) == (name, "ZeroDivisionError")
    (count,) = [one for one in rita._send("GET", "/api/v1/work").json()["items"] if one["name"] == name]
    assert count["parked"] == len(set(tries)) == gauge(name)

    again = {"rows": [{"kind": name, "id": str(row)}]}
    headers = {"X-CSRF-Token": rita.csrf}
    aldo = Reader(people.aldo)
    refused = aldo._send("POST", "/api/v1/work/replay", json=again, headers={"X-CSRF-Token": aldo.csrf})
    assert refused.status_code == 403
    assert rita._send("POST", "/api/v1/work/replay", json=again, headers=headers).json() == {"replayed": 1}
    assert rita._send("POST", "/api/v1/work/replay", json=again, headers=headers).status_code == 404
    assert gauge(name) == len(set(tries)) - 1
    with reading() as session:
        (told,) = journal.entries(session, ref=Ref("work", str(row)))
    assert (told.verb, told.actor.name, told.body) == ("work.replayed", "Rita", {"kind": name})

    handled: list[UUID] = []
    works = kind.handle

    def note(claims: list[Claim]) -> None:
        handled.extend(claim.id for claim in claims)
        works(claims)

    monkeypatch.setitem(work._kinds, name, replace(kind, handle=note))
    work.drain(name)
    assert row in handled, "it is worked on again"
    with reading() as session:
        parked_at = session.scalar(select(kind.model.parked_at).where(kind.model.id == row))
    assert parked_at is None
    if name in CAME_TO:
        assert came_to(name, row) == CAME_TO[name]
    Reader(people.rita).get("/settings/work")


def test_a_long_list_has_pages(people: People, clock: HeldClock) -> None:
    with unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, name="edge", connector="http", settings={"base_url": "https://e.example"}
        )
    for n in range(60):
        with unit_of_work() as uow:
            call = calls.request(uow, CTX, "http.get", {"path": f"/{n}"}, key=f"k{n}", instance="edge")
            call.parked_at, call.due_at, call.error = uow.now + timedelta(seconds=n // 2), None, f"boom {n}"
    rita = Reader(people.rita)
    first = rita.get("/settings/work")
    (following,) = set(re.findall(r'href="(/settings/work\?after=[^"]+)"', first))
    second = rita.get(following)
    seen = [
        re.findall(r'value="connectors.calls:([0-9a-f-]{36})" data-self', page) for page in (first, second)
    ]
    assert [len(page) for page in seen] == [50, 10]
    assert len({*seen[0], *seen[1]}) == 60
    found, after = [], ""
    while after is not None:
        page = rita._send("GET", f"/api/v1/work/parked?limit=25{after and f'&after={after}'}").json()
        found += [item["id"] for item in page["items"]]
        after = page["next"]
    assert found == seen[0] + seen[1]


def test_a_stuck_call_that_has_not_begun_can_be_given_up(people: People) -> None:
    with unit_of_work() as uow:
        a_call(uow, people)
        uow.flush()
        uow.execute(update(ActionCall).values(parked_at=uow.now, due_at=None, error="boom"))
        call = uow.scalars(select(ActionCall.id)).one()
    rita = Reader(people.mara)
    assert "It is stuck, and nothing was sent" in rita.get(f"/calls/{call}")
    rita.post(f"/calls/{call}/drop", note="The wall is gone")
    with reading() as session:
        row = calls.get(session, call)
    assert (row.state, row.note, row.parked_at) == ("failed", "The wall is gone", None)


def test_a_proposal_that_is_stuck_can_still_be_refused_and_is_no_longer_listed(people: People) -> None:
    with unit_of_work() as uow:
        a_proposal(uow, people)
        uow.execute(update(Change).values(parked_at=uow.now, due_at=None, error="boom"))
        change = uow.scalars(select(Change.id)).one()
    rita = Reader(people.rita)
    assert f'value="core.four_eyes:{change}"' in rita.get("/settings/work")
    with unit_of_work() as uow:
        four_eyes.refuse(uow, people.mara, change)
    assert gauge("core.four_eyes") == 0
    assert str(change) not in rita.get("/settings/work")


def test_a_proposal_has_not_failed_because_the_database_was_away(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unit_of_work() as uow:
        a_proposal(uow, people)

    def away(*_: object) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setitem(four_eyes._kinds, "source.trust", replace(sources.TRUST, apply=away))
    work.drain("core.four_eyes")
    with reading() as session:
        change = session.scalars(select(Change)).one()
    assert (change.state, change.note) == ("open", None)
    assert change.due_at is not None


def test_a_mailbox_that_is_stuck_says_so_and_begins_anew_with_the_next_start(people: People) -> None:
    with unit_of_work() as uow:
        a_mailbox(uow, people)
        uow.execute(update(Mailbox).values(parked_at=uow.now, due_at=None, attempts=8, error="boom"))
    page = Reader(people.rita).get("/settings/mail")
    assert "Taken from the mailbox of" in page
    assert "No mail is taken from this mailbox" in page
    with unit_of_work() as uow:
        mail_poll.seed(uow)
        row = uow.scalars(select(Mailbox)).one()
        assert (row.parked_at, row.attempts, row.error) == (None, 0, None)
        assert row.due_at is not None
    assert "No mail is taken" not in Reader(people.rita).get("/settings/mail")
