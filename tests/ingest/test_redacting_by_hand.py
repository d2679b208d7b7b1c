"""A value that a person has taken out of an incident stands in no row any more, and the journal is still proved."""

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from at_the_pages import Reader
from delivered import deliver, everything_kept
from held_time import HeldClock
from people_here import People, unproved
from run_bench import publish
from sealed_journal import proved
from sqlalchemy import select

from cli import assemble
from core import blobs, four_eyes, journal, sealing, work
from core.actors import SYSTEM
from core.auth import users
from core.auth.models import SecondFactor
from core.db import reading, unit_of_work
from core.errors import Forbidden, Invalid, NeedsSecondFactor, NotFound
from core.redaction import mask
from core.types import Ref
from incidents import attachments, comments, findings, lifecycle, observables, redacting, rules, taking_out, tasks
from incidents.attachments import Upload
from incidents.findings import FindingDraft
from incidents.lifecycle import IncidentDraft
from incidents.models import Comment, Incident, Observable, SearchWord
from ingest.mail_models import MailPicture
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
    assert "cannot be looked into" in page


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
    page = Reader(mara).post(f"/incidents/{spoilt.key}/redact", status=422, value=SECRET, reason="").text
    assert "A reason is needed." in page
    assert page.count(SECRET) == page.count(f"Login with {SECRET} failed"), "its title says it, the form does not"
    with reading() as session:
        assert (
            journal.entries(session, ref=Ref("incident", str(spoilt.id)), verbs=["incident.redacted"]) == []
        )


def mail_with(secret: str, plain: str = "See below.") -> bytes:
    """A mail in which only who decodes its HTML part reads the value."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "The new login"
    mail["Message-ID"] = "<one@example.com>"
    mail.set_content(plain)
    mail.add_alternative(f"<p>{secret[:9]}<b>{secret[9:]}</b></p>", subtype="html", cte="base64")
    return bytes(mail)


def test_files_and_mails_that_hold_it_go_and_the_journal_still_proves_what_they_were(
    spoilt: Incident, people: People, drain: Drain
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.txt", SECRET * 9)
    held = {
        "notes.txt": f"pw: {SECRET}".encode("utf-16"), "mail.eml": mail_with(SECRET),
        "shared.txt": f"x {SECRET}\n".encode(), "kept.log": f"login {SECRET} ok\n".encode(),
    }  # fmt: skip
    left = {"clean.txt": b"nothing here\n", "dump.zip": archive.getvalue(), "gone.zip": archive.getvalue() + b"\0"}

    def brought(content: bytes, name: str) -> Upload:
        return Upload(name, blobs.measure(io.BytesIO(content), 10**7))

    with unit_of_work() as uow:
        rows = {
            name: attachments.add(uow, people.rita, spoilt.id, brought(content, name))
            for name, content in (held | left).items()
        }
        other = lifecycle.open_by_hand(uow, people.rita, IncidentDraft(title="Another"))
        uow.flush()
        theirs = attachments.add(uow, people.rita, other.id, brought(held["shared.txt"], "theirs.txt"))
        mara = users.actor_of(users.get(uow, people.mara.user_id), uow.now)
    drain()
    with reading() as session:
        assert session.scalars(select(MailPicture.picture)).one() is not None
    digest = {name: row.digest for name, row in rows.items()}
    reader = Reader(mara)
    page = reader.post(f"/incidents/{spoilt.key}/redact", status=200, value=SECRET, reason=WHY).text
    for name in (*held, "dump.zip", "gone.zip"):
        assert name in page
    assert "clean.txt" not in page
    assert page.count("holds it") == 4
    sealed = re.search(r'name="sealed" value="([^"]+)"', page)
    assert sealed is not None
    assert page.count(SECRET) == page.count(f"Login with {SECRET} failed"), "its title says it, the form does not"
    choices = {f"do-{one}": "take" for one in digest.values()}
    choices[f"do-{digest['kept.log']}"], choices[f"do-{digest['dump.zip']}"] = "keep", "keep"
    given = {"sealed": sealed[1], "reason": WHY, **choices}
    assert "stays only for a reason" in reader.post(f"/incidents/{spoilt.key}/redact", status=422, **given).text
    altered = {**given, "sealed": sealed[1][:-8] + "AAAAAAA="}
    assert "give the value again" in reader.post(f"/incidents/{spoilt.key}/redact", status=422, **altered).text
    reader.post(f"/incidents/{spoilt.key}/redact", **given, **{f"why-{digest['kept.log']}": "The court wants it"})
    with reading() as session:
        assert redacting.going_on(session, spoilt.id)
    drain()
    with reading() as session:
        assert not redacting.going_on(session, spoilt.id)
        (entry,) = journal.entries(session, ref=spoilt.ref, verbs=["incident.redacted"])
        gone = journal.entries(session, ref=spoilt.ref, verbs=["attachment.removed"])
        for name in ("notes.txt", "mail.eml", "gone.zip"):
            with pytest.raises(NotFound, match="taken away"):
                blobs.get(session, digest[name])
        assert blobs.get(session, digest["shared.txt"]) == held["shared.txt"], "another incident holds it"
        assert attachments.readable(session, people.rita, theirs.id)[0].name == "theirs.txt"
        for name in ("kept.log", "clean.txt", "dump.zip"):
            assert blobs.get(session, digest[name]) == (held | left)[name]
        with pytest.raises(NotFound, match=f"taken away: it held .*{WHY}"):
            attachments.readable(session, people.rita, rows["shared.txt"].id)
        assert session.scalar(select(MailPicture)) is None, "its picture went with the mail"
    assert (entry.body["files_taken"], entry.body["files_kept"], entry.body["files"]) == (4, 1, 1)
    assert {(one.body["sha256"], one.body["size"]) for one in gone} == {
        (digest[name], len((held | left)[name])) for name in ("notes.txt", "mail.eml", "shared.txt", "gone.zip")
    }
    assert {(one.data or {})["name"] for one in gone} == {"notes.txt", "mail.eml", "shared.txt", "gone.zip"}
    assert "The court wants it" in json.dumps(entry.data)
    kept = everything_kept()
    assert kept.count(SECRET.encode()) == 2, "in the file that is kept, and in the one that others hold"
    assert SECRET.encode("utf-16-le") not in kept
    sealing.seal_everything()
    assert proved().problems == []
    page = reader.get(f"/incidents/{spoilt.key}")
    assert page.count("taken away") >= 4
    reader.get(f"/attachments/{rows['notes.txt'].id}", status=404)
    reader.get(f"/attachments/{rows['mail.eml'].id}/picture.png", status=404)
    assert "The court wants it" in reader.get(f"/incidents/{spoilt.key}/redact")
    with unit_of_work() as uow:  # somebody brings the same bytes again
        attachments.add(uow, people.rita, other.id, brought(held["notes.txt"], "again.txt"))
    with reading() as session:
        assert blobs.get(session, digest["notes.txt"]) == held["notes.txt"]


def test_what_was_killed_goes_on_where_it_was(spoilt: Incident, people: People, drain: Drain, monkeypatch) -> None:
    monkeypatch.setattr(taking_out, "BITE", 1)
    monkeypatch.setattr(taking_out, "LIST", 2)
    with unit_of_work() as uow:
        mara = users.actor_of(users.get(uow, people.mara.user_id), uow.now)
        assert redacting.propose(uow, mara, spoilt.key, SECRET, WHY) is None
    (claim,) = work.claim(taking_out.KIND, 1)
    turn = taking_out._Turn(claim)
    for _ in range(9):
        assert turn.bite()
    with unit_of_work() as uow:  # as if its lease had ended: another worker claims it
        work.later(uow, taking_out.KIND, claim, uow.now)
    with reading() as session:
        (row,) = redacting.going_on(session, spoilt.id)
        done = dict(row.counts)
    assert done, "it had found something"
    assert (row.step, row.after) == (turn.step, turn.after)
    with pytest.raises(work.LostLease):
        turn.bite()
    page = Reader(mara).get(f"/incidents/{spoilt.key}/redact")
    assert "Being taken out" in page
    assert mask(SECRET) in page
    drain()
    page = Reader(mara).get(f"/incidents/{spoilt.key}/redact")
    assert "Being taken out" not in page
    assert re.search(r'id="redacted"[^>]*hx-trigger="live"[^>]*>.*Taken out before', page, re.DOTALL), "an open page shows its end"
    assert 'id="redactions"' in page
    assert SECRET.encode() not in everything_kept()
    with reading() as session:
        (entry,) = journal.entries(session, ref=spoilt.ref, verbs=["incident.redacted"])
        row = session.get_one(type(row), row.id)
    assert row.value is None
    assert entry.body["places"].items() >= {"notes": 1, "alerts": 1, "raw deliveries": 1, "observables": 1}.items()
    sealing.seal_everything()
    assert proved().problems == []


def test_a_delivery_that_spells_it_otherwise_holds_it_no_more(spoilt: Incident, people: People, drain: Drain) -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in SECRET)
    packed = base64.b64encode(SECRET.encode()).decode()
    with unit_of_work() as uow:
        row = uow.scalars(select(Delivery)).one()
        row.body = b'{"a": "%s"}' % escaped.encode()
        mara = users.actor_of(users.get(uow, people.mara.user_id), uow.now)
        redacting.propose(uow, mara, spoilt.key, SECRET, WHY)
    drain()
    with reading() as session:
        assert mask(SECRET) in json.loads(session.scalars(select(Delivery.body)).one())["a"]
    with unit_of_work() as uow:
        uow.scalars(select(Delivery)).one().body = b'{"a": "%s"}' % packed.encode()
        redacting.propose(uow, mara, spoilt.key, SECRET, WHY)
    drain()
    with reading() as session:
        assert session.scalars(select(Delivery.body)).one().startswith(b"[redacted")


def test_what_others_have_seen_stays_with_them(spoilt: Incident, people: People, drain: Drain) -> None:
    with unit_of_work() as uow:
        other = lifecycle.open_by_hand(uow, people.rita, IncidentDraft(title="Another", observables=[("file", f"/tmp/{SECRET}")]))
        mara = users.actor_of(users.get(uow, people.mara.user_id), uow.now)
        assert redacting.propose(uow, mara, spoilt.key, SECRET, WHY) is None, "begun at once: Tocsin is being set up"
    drain()
    with reading() as session:
        mine = [one.value for one in observables.of_incident(session, people.rita, spoilt.id)]
        theirs = [one.value for one in observables.of_incident(session, people.rita, other.id)]
    assert not [value for value in mine if SECRET in value]
    assert theirs == [f"/tmp/{SECRET}"]
