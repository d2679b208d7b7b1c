"""The shipped playbook for reported phishing, with real mails, the real record and a real mail server."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from mail_server import MailServer
from run_bench import begin, publish
from sample_mails import PHISH_LINK, forward, phish, plain
from sqlalchemy import select

from cli import assemble
from core import blobs, journal
from core.db import reading, unit_of_work
from core.settings import configure, settings
from core.types import Ref
from incidents import attachments, mails, reporter_words, reporting, tasks
from incidents.attachments import Upload
from incidents.models import Attachment, Incident, Reporter, ReporterMessage, Task
from incidents.reporting import ReportDraft
from ingest import mail_door, mail_facts
from ingest.mail_door import Envelope
from ingest.mail_models import MailIn
from playbooks import ports, publishing
from playbooks.driving import actor_of
from playbooks.models import PlaybookRun, StepAttempt

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]


@pytest.fixture(autouse=True)
def outgoing(smtp_server: MailServer, database: object) -> Iterator[MailServer]:
    """The shipped playbooks, and a mail server that takes what we send."""
    assemble.load()
    ports.use(None)
    publishing.load_at_start()
    before = settings()
    configure(
        before.with_(
            smtp_url=smtp_server.url, smtp_from="soc@example.org", base_url="https://tocsin.example.org"
        )
    )
    yield smtp_server
    configure(before)


def upload(name: str, raw: bytes) -> Upload:
    made = Upload(name, blobs.measure(io.BytesIO(raw), len(raw)))
    return replace(made, mail=mail_facts.of_upload(made))


@pytest.fixture
def come(drain: Drain) -> Callable[[bytes], UUID]:
    """A mail comes in, its incident's playbook begins."""

    def take(raw: bytes) -> UUID:
        stored, _new = mail_door.take(
            blobs.measure(io.BytesIO(raw), len(raw)), Envelope("smtp", "192.0.2.1", "eva@example.org", ())
        )
        drain("ingest.mail", "core.outbox", "playbooks.runs", "notify.messages")
        with reading() as session:
            incident = session.get_one(MailIn, stored).incident_id
            assert incident is not None
            return incident

    return take


def open_tasks(incident: UUID) -> list[Task]:
    with reading() as session:
        query = select(Task).where(Task.incident_id == incident, Task.status == "open").order_by(Task.id)
        return list(session.scalars(query))


def outputs(incident: UUID) -> dict[str, Any]:
    """What each step of the incident's run gave."""
    with reading() as session:
        run = session.scalars(select(PlaybookRun).where(PlaybookRun.subject_id == str(incident))).one()
        rows = session.scalars(select(StepAttempt).where(StepAttempt.run_id == run.id)).all()
    return {row.path.rpartition("/")[2]: (row.state, row.output) for row in rows}


def test_a_forwarded_mail_is_read_weighed_and_answered_once(
    come: Callable[[bytes], UUID], outgoing: MailServer, drain: Drain, people
) -> None:
    incident = come(forward().as_bytes())
    found = outputs(incident)
    state, mail = found["original"]
    assert (state, mail["kept"]) == ("succeeded", True)
    assert {name: mail[name] for name in ("sender", "reply_to", "subject", "spf", "dkim", "dmarc", "to_domains")} == {
        "sender": "it@evil.example", "reply_to": ["collect@other.example"], "subject": "Your password expires today",
        "spf": "fail", "dkim": "none", "dmarc": "fail", "to_domains": ["example.org"],
    }  # fmt: skip
    assert (mail["hosts"], mail["message_id"], mail["reports"], mail["related"]) == (
        ["login.evil.example", "track.evil.example"], "<phish-1@evil.example>", 1, [],
    )  # fmt: skip
    assert mail["files"][0]["kind"] == "Windows program"
    assert mail["elsewhere"] == ["hxxps://login[.]evil[.]example/reset"]
    assert found["thanks"] == ("succeeded", {"told": 1, "by_hand": False})
    assert len(outgoing.messages) == 1, "the intake has thanked them already, so the playbook does not again"
    assert found["proposal"][1]["verdict"] == "malicious"
    (verdict,) = open_tasks(incident)
    assert verdict.title == "Is it malicious? Look at the picture of the mail"
    assert "DMARC fails: evil[.]example did not send it." in verdict.instructions
    with unit_of_work() as uow:
        tasks.complete(uow, people.rita, verdict.id, {"verdict": "harmless"})
    drain("core.outbox", "playbooks.runs", "notify.messages", "playbooks.runs")
    with reading() as session:
        (said,) = session.scalars(
            select(ReporterMessage).where(ReporterMessage.incident_id == incident, ~ReporterMessage.inward)
        )
        told = journal.entries(session, ref=Ref("incident", str(incident)), limit=200)
    assert (said.by_name, said.via) == ("Reported phishing", "mail")
    assert said.body.startswith("Thank you for reporting this mail. We have looked at it: it is safe.")
    assert [entry.actor.kind for entry in told if entry.verb == "reporter.answered"] == ["playbook"]
    assert len(outgoing.messages) == 2
    (close,) = open_tasks(incident)
    assert close.title == "Close it with one key"


def test_an_original_that_a_person_attaches_is_read_when_they_are_done(
    come: Callable[[bytes], UUID], drain: Drain, people
) -> None:
    words = plain("Phishing mail?", "Somebody wants my password, a suspicious mail").as_bytes()
    incident = come(words)
    with reading() as session:
        assert session.get_one(Incident, incident).category == "phishing"
        assert mails.kept(session, incident) is None, "the mail that somebody wrote to us is not the reported one"
    (wanted,) = open_tasks(incident)
    assert wanted.title == "Attach the original mail, not the forward"
    with unit_of_work() as uow:
        file = attachments.add(uow, people.rita, incident, upload("m.eml", phish(7).as_bytes()), task_id=wanted.id)
        assert file.mail is not None
        tasks.complete(uow, people.rita, wanted.id, {"sender": "it@evil.example", "passed": "fail"})
    drain("core.outbox", "playbooks.runs")
    state, mail = outputs(incident)["original"]
    assert (state, mail["kept"], mail["message_id"], mail["urls"][0]) == ("succeeded", True, "<phish-7@evil.example>", PHISH_LINK)
    assert "login.evil.example" in outputs(incident)["proposal"][1]["domains"]


def test_without_a_file_the_answers_stand_for_the_mail(come: Callable[[bytes], UUID], drain: Drain, people) -> None:
    incident = come(plain("Phishing", "a fake mail").as_bytes())
    (wanted,) = open_tasks(incident)
    with unit_of_work() as uow:
        tasks.complete(
            uow, people.rita, wanted.id,
            {"sender": "<Boss@Example.net>", "reply_to": "x@other.example", "passed": "fail", "message_id": "<1@x>"},
        )  # fmt: skip
    drain("core.outbox", "playbooks.runs")
    state, mail = outputs(incident)["original"]
    assert (state, mail["kept"], mail["sender"], mail["sender_domain"], mail["dmarc"]) == (
        "succeeded", False, "boss@example.net", "example.net", "fail",
    )  # fmt: skip
    assert outputs(incident)["proposal"][1]["verdict"] == "malicious"


def test_what_a_report_by_form_brings_is_read_and_the_same_wave_is_named(come: Callable[[bytes], UUID]) -> None:
    first = come(forward().as_bytes())
    with unit_of_work() as uow:
        draft = ReportDraft("Your PASSWORD expires today", "A fake mail", "Ana", files=[upload("a.eml", phish(2).as_bytes())])
        second = reporting.receive(uow, draft).incident_id
    with reading() as session:
        key = session.get_one(Incident, first).key
        found = mails.kept(session, second)
        assert found is not None
        assert found["related"] == [{"key": key, "why": "the same subject, the same sender, a link to the same host"}]
        session.expunge_all()
    with unit_of_work() as uow:
        uow.get_one(Incident, first).restricted_to = []
    with reading() as session:
        again = mails.kept(session, second)
        assert again is not None
        assert again["related"] == [], "of a restricted incident nothing is told elsewhere"


def test_nobody_is_thanked_twice_and_a_kept_back_incident_tells_nobody(outgoing: MailServer, drain: Drain) -> None:

    with unit_of_work() as uow:
        one = reporting.receive(uow, ReportDraft("A mail", "suspicious mail", "Eva", "eva@example.org"))
        incident = one.incident_id
        assert (reporter_words.thank(uow, incident), reporter_words.thank(uow, incident)) == (1, 1)
    drain("notify.messages")
    assert len(outgoing.messages) == 1
    with unit_of_work() as uow:
        uow.get_one(Incident, incident).tlp = "red"
        assert reporter_words.tell(uow, actor_of(incident, "A playbook"), incident, "All is well") == 0
    with reading() as session:
        assert session.scalar(select(ReporterMessage.id).where(~ReporterMessage.inward)) is None
        assert session.scalars(select(Reporter.thanked_at)).one() is not None


def test_a_file_that_is_no_mail_or_cannot_be_read_has_no_facts() -> None:
    assert mail_facts.of_upload(Upload("a.eml", blobs.measure(io.BytesIO(b"MZ\0\0"), 4))) is None
    broken = b"From: a@example.org\r\nSubject: x\r\n" + b"X: y\r\n" * 60_000
    assert mail_facts.of_upload(Upload("a.eml", blobs.measure(io.BytesIO(broken), len(broken)))) is None
    kept = mail_facts.of_upload(upload("fw.eml", forward().as_bytes()))
    assert kept is not None
    assert kept["sender"] == "it@evil.example", "of a forward the mail inside counts"
    with reading() as session:
        assert session.scalar(select(Attachment.id)) is None


def test_another_mail_of_the_same_wave_joins_when_two_marks_agree(come: Callable[[bytes], UUID]) -> None:
    def reported(number: int, subject: str, sender: str) -> bytes:
        inner = phish(number)
        inner.replace_header("Subject", subject)
        inner.replace_header("From", sender)
        outer = plain("FW: look", "A fake mail", From=f"P{number} <p{number}@example.org>", Message_ID=f"<fw-{number}@example.org>")
        outer.add_attachment(inner)
        return outer.as_bytes()

    first = come(reported(1, "Your password expires today", "it@evil.example"))
    assert come(reported(2, "Last reminder", "it@evil.example")) == first, "its sender and the host of a link agree"
    assert come(reported(3, "your password expires TODAY", "help@other.example")) == first, "its subject and the host agree"
    alone = come(reported(4, "An invoice", "help@third.example"))
    assert alone != first, "a host alone is a proposal, not a proof"
    assert outputs(alone)["original"][1]["related"][0]["why"] == "a link to the same host"


def test_a_warning_brings_the_picture_and_without_a_mail_server_a_person_hears_of_it(
    come: Callable[[bytes], UUID], outgoing: MailServer, drain: Drain
) -> None:
    incident = come(forward().as_bytes())
    drain("ingest.mail_pictures")
    publish(
        "- {id: warn, message: {channel: email, to: bob@example.org, title: Not genuine, text: Delete it., picture: true}, on_error: continue}\n"
        "- {id: open, open: {title: Malware on LAPTOP-9, category: malware, host: LAPTOP-9, user: 'no user at all ', because: Opened}}\n",
        key="warning",
    )

    def warned() -> dict[str, tuple[str, Any, str | None]]:
        run = begin("warning", subject=Ref("incident", str(incident)))
        drain("playbooks.runs", "notify.messages")
        with reading() as session:
            rows = session.scalars(select(StepAttempt).where(StepAttempt.run_id == run))
            return {row.path: (row.state, row.output, row.error) for row in rows}

    done = warned()
    assert done["warn"][:2] == ("succeeded", {"message": done["warn"][1]["message"], "picture": True})
    mail = outgoing.messages[-1]
    (picture,) = mail.iter_attachments()
    assert (picture.get_content_type(), picture.get_content()[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert "The picture that comes with this shows the mail" in mail.get_body(("plain",)).get_content()
    configure(settings().with_(smtp_url=None))
    again = warned()
    assert again["warn"][0] == "failed"
    assert "an administrator sets one on Settings" in str(again["warn"][2])
    with reading() as session:
        (other,) = session.scalars(select(Incident).where(Incident.category == "malware"))
        entries = journal.entries(session, ref=Ref("incident", str(incident)), limit=200)
    assert (other.title, other.restricted_to) == ("Malware on LAPTOP-9", None)
    assert done["open"][1] == again["open"][1] == {"key": other.key}, "the same host is the same case"
    assert [entry.body["key"] for entry in entries if entry.verb == "incident.offshoot_opened"] == [other.key] * 2
