"""Mail that comes in opens an incident, joins its campaign or its conversation, and never makes a loop."""

import io
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import incident_bench as bench
import pytest
from mail_server import MailServer
from sample_mails import PHISH_LINK, forward, phish, plain
from sqlalchemy import select

from core import blobs
from core.db import reading, unit_of_work
from core.settings import configure, settings
from incidents import attachments, observables, reporter_links, reporting
from incidents.models import Incident, Reporter
from incidents.permissions import ANSWER
from ingest import mail_door, mail_process
from ingest.mail_door import Envelope
from ingest.mail_models import MailIn

pytestmark = pytest.mark.usefixtures("database")
Drain = Callable[..., int]
ANN = type(bench.ANN)(bench.ANN.kind, bench.ANN.id, bench.ANN.name, bench.ANN.permissions | {ANSWER.name})


@pytest.fixture(autouse=True)
def outgoing(smtp_server: MailServer, database: object) -> Iterator[MailServer]:
    """A mail server that takes what we send."""
    before = settings()
    configure(
        before.with_(
            smtp_url=smtp_server.url, smtp_from="soc@example.org", base_url="https://tocsin.example.org"
        )
    )
    yield smtp_server
    configure(before)


@pytest.fixture
def come(drain: Drain) -> Callable[..., MailIn]:
    """A mail comes in and is dealt with."""

    def take(mail: EmailMessage | bytes, sender: str = "eva@example.org", *recipients: str) -> MailIn:
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        stored, _new = mail_door.take(
            blobs.measure(io.BytesIO(raw), len(raw)), Envelope("smtp", "192.0.2.1", sender, recipients)
        )
        drain("ingest.mail", "notify.messages")
        with reading() as session:
            return session.get_one(MailIn, stored)

    return take


def test_a_forwarded_mail_becomes_an_incident_with_its_evidence(
    come: Callable[..., MailIn], outgoing: MailServer
) -> None:
    sent = forward().as_bytes()
    row = come(sent)
    assert (row.state, row.sender) == ("opened", "eva@example.org")
    incident = bench.incident(row.incident_id)
    assert (incident.title, incident.category, incident.trust) == (
        "Your password expires today",
        "phishing",
        "low",
    )
    told = incident.description or ""
    assert "spf=fail, dkim=none, dmarc=fail" in told
    assert "hxxps://login[.]evil[.]example/reset?u=eva" in told
    assert PHISH_LINK not in told
    with reading() as session:
        values = {
            (one.type, one.value): one.roles
            for one in observables.of_incident(session, bench.ANN, incident.id)
        }
        files = attachments.of_incident(session, bench.ANN, incident.id)
        whole, inner, program = files
        assert blobs.get(session, whole.digest) == sent, "the mail is kept as it came"
        reporter = session.scalars(select(Reporter)).one()
    assert [(one.name, one.kind) for one in (whole, inner)] == [
        ("mail.eml", "mail"),
        ("reported.eml", "mail"),
    ]
    assert (program.name, program.kind) == ("in_voice.pdf", "Windows program")
    assert values["email", "it@evil.example"] == ("sender",)
    assert values["email", "collect@other.example"] == ("reply-to",)
    assert {("url", PHISH_LINK), ("host", "laptop-7"), ("file-hash", program.digest)} <= values.keys()
    assert (reporter.email, reporter.name) == ("eva@example.org", "Eva")
    thanks = outgoing.messages[0]
    assert thanks["X-Envelope-To"] == "eva@example.org"
    assert reporter_links.thread_token(reporter) in thanks["Subject"]
    assert thanks["Auto-Submitted"] == "auto-generated"


def test_the_same_mail_again_is_taken_once(come: Callable[..., MailIn]) -> None:
    first = come(forward())
    copied = forward()
    copied["Received"] = "by another way"
    assert come(copied).id == first.id
    assert len(stored(Incident)) == 1


def test_a_second_reporter_joins_the_campaign(come: Callable[..., MailIn]) -> None:
    first = come(forward(1))
    second = come(forward(2, "Bob <bob@example.org>", "Me too"), "bob@example.org")
    assert (second.state, second.incident_id) == ("joined", first.incident_id)
    assert {one.email for one in stored(Reporter)} == {"eva@example.org", "bob@example.org"}
    with unit_of_work() as uow:
        uow.get_one(Incident, first.incident_id).restricted_to = []
    assert come(forward(3, "Cy <cy@example.org>"), "cy@example.org").state == "opened", (
        "nobody joins what is restricted"
    )


def test_a_wave_of_reports_fits_into_one_incident(
    come: Callable[..., MailIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MOST_FILES", 5)
    rows = [come(forward(number, f"P{number} <p{number}@example.org>")) for number in range(4)]
    assert [one.state for one in rows] == ["opened", "joined", "joined", "joined"]
    with reading() as session:
        files = attachments.of_incident(session, bench.ANN, bench.incident(rows[0].incident_id).id)
    assert [one.name for one in files] == [
        "mail.eml",
        "reported.eml",
        "in_voice.pdf",
        "mail.eml",
        "reported.eml",
    ]
    with unit_of_work() as uow:
        reporting.add(
            uow,
            stored(Reporter)[0],
            "One more thing",
            via="mail",
            files=[mail_process._upload(mail_process.File("a.txt", b"x"))],
        )
    assert len(stored(Reporter)) == 4


def test_answers_find_their_conversation(
    come: Callable[..., MailIn], outgoing: MailServer, drain: Drain
) -> None:
    row = come(plain())
    (reporter,) = stored(Reporter)
    with unit_of_work() as uow:
        reporting.answer(uow, ANN, reporter.incident_id, reporter.id, "Where was it?", asks=True)
    drain("notify.messages")
    question = outgoing.messages[-1]
    by_subject = come(plain(f"RE: {question['Subject']}", "In Bilbao\n> Where was it?\n"))
    by_reference = come(plain("Something else", "At ten", In_Reply_To=question["Message-ID"]))
    by_address = come(
        plain("And", "a red one", To=f"soc+{reporter_links.thread_token(reporter)}@example.org")
    )
    stranger = come(plain(f"RE: {question['Subject']}", "I saw it", From="Max <max@example.net>"))
    mine = come(plain("Once more", "by my own thread", References=plain()["Message-ID"]))
    assert {one.state for one in (by_subject, by_reference, by_address, stranger, mine)} == {"added"}
    assert {one.incident_id for one in (by_subject, by_reference, by_address, stranger, mine)} == {
        row.incident_id
    }
    assert bench.incident(row.incident_id).waiting_on is None
    with reading() as session:
        said = [one.body for one in reporting.conversation(session, bench.ANN, reporter.incident_id)]
    assert said[2:] == [
        "In Bilbao",
        "At ten",
        "a red one",
        "(from max[@]example[.]net)\nI saw it",
        "by my own thread",
    ]
    guessed = come(plain(f"RE: [{reporter.key}-aaaaaaaaaaaa] x", "not for you", From="Max <max@example.net>"))
    assert guessed.state == "opened"


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        ({"Auto_Submitted": "auto-replied"}, "eva@example.org"),
        ({"Precedence": "auto_reply"}, "eva@example.org"),
        ({"X_Auto_Response_Suppress": "All"}, "eva@example.org"),
        ({}, ""),
        ({"Message_ID": "<0190-x@tocsin.example.org>"}, "eva@example.org"),
        ({"From": "Tocsin <soc@example.org>"}, "soc@example.org"),
    ],
)
def test_loops_end_here(
    come: Callable[..., MailIn], outgoing: MailServer, headers: dict[str, str], sender: str
) -> None:
    row = come(plain(**headers), sender)
    assert row.state == "ignored"
    assert row.why
    assert stored(Incident) == []
    assert outgoing.messages == []


def test_an_automatic_answer_to_our_thanks_is_not_answered(
    come: Callable[..., MailIn], outgoing: MailServer
) -> None:
    come(plain())
    thanks = outgoing.messages[0]
    away = plain(
        f"Out of office: {thanks['Subject']}",
        "I am away",
        Auto_Submitted="auto-replied",
        In_Reply_To=thanks["Message-ID"],
    )
    assert come(away).state == "ignored"
    assert len(outgoing.messages) == 1


def test_one_address_is_thanked_three_times_a_day(come: Callable[..., MailIn], outgoing: MailServer) -> None:
    for number in range(5):
        come(plain(f"Number {number}"))
    assert len(outgoing.messages) == 3
    assert len(stored(Incident)) == 5


def test_what_cannot_be_read_is_shown_to_a_person(come: Callable[..., MailIn]) -> None:
    row = come(b"From: x\r\n" + b"Content-Type: a/b\r\n" * 300 + b"\r\nx")
    assert row.state == "opened"
    with reading() as session:
        (file,) = attachments.of_incident(session, bench.ANN, bench.incident(row.incident_id).id)
    assert file.size == row.size


def test_an_attacker_who_writes_directly_is_reported_too(come: Callable[..., MailIn]) -> None:
    row = come(phish(), "it@evil.example")
    assert bench.incident(row.incident_id).category == "login"
    with reading() as session:
        files = attachments.of_incident(session, bench.ANN, bench.incident(row.incident_id).id)
    assert [one.name for one in files] == ["mail.eml", "in_voice.pdf"]


def stored(model: type) -> list:  # type: ignore[type-arg]  # of whichever table
    """Every row of a table."""
    with reading() as session:
        return list(session.scalars(select(model)))
