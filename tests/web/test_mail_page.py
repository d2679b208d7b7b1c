"""The page of mails says what became of each, and keeps those of restricted incidents to their readers."""

import io

import pytest
from at_the_pages import Reader
from people_here import People
from sample_mails import forward, plain
from sqlalchemy import select

from cli import assemble
from core import blobs, work
from core.db import reading, unit_of_work
from core.settings import configure, settings
from incidents import lifecycle
from incidents.models import Incident
from ingest import mail_door, mail_poll
from ingest.mail_models import MailIn

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()


def come(raw: bytes) -> None:
    """A mail comes in and is dealt with."""
    mail_door.take(
        blobs.measure(io.BytesIO(raw), len(raw)), mail_door.Envelope("smtp", "192.0.2.1", "eva@example.org")
    )
    work.drain("ingest.mail")


def test_what_became_of_each_mail(people: People) -> None:
    rita = Reader(people.rita)
    assert "No way in is set up" in rita.get("/settings/mail")
    come(forward().as_bytes())
    come(plain("Away", Auto_Submitted="auto-replied").as_bytes())
    page = rita.get("/settings/mail")
    assert "opened an incident" in page
    assert "Auto-Submitted: auto-replied" in page
    assert "eva[@]example[.]org" in page
    with reading() as session:
        incident = session.scalars(select(Incident)).one()
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, incident.id, [])
    assert incident.key not in rita.get("/settings/mail")
    assert "password expires" not in rita.get("/settings/mail")
    assert incident.key in Reader(people.mara).get("/settings/mail")


def test_a_stuck_mail_is_shown_and_tried_again_from_here(people: People) -> None:
    come(plain("One").as_bytes())
    come(plain("Two", Auto_Submitted="auto-replied").as_bytes())
    raw = plain("Three <b>").as_bytes()
    mail, _new = mail_door.take(
        blobs.measure(io.BytesIO(raw), len(raw)), mail_door.Envelope("smtp", "192.0.2.1", "eva@example.org")
    )
    with unit_of_work() as uow:
        row = uow.get_one(MailIn, mail)
        row.parked_at, row.due_at, row.error, row.attempts = uow.now, None, "ZeroDivisionError: <b>", 9
    rita, aldo = Reader(people.rita), Reader(people.aldo)
    page = rita.get("/settings/mail")
    assert "1 mail is stuck" in page
    assert "ZeroDivisionError: &lt;b&gt;" in page
    stuck = rita.get("/settings/mail?only=stuck")
    assert stuck.count('name="row"') == 2, "a box to tick and a button"
    assert "auto-replied" not in stuck
    assert "opened an incident" not in rita.get("/settings/mail?only=alone")
    assert "auto-replied" not in rita.get("/settings/mail?only=taken")
    assert "Try again" not in aldo.get("/settings/mail?only=stuck")
    aldo.post("/settings/mail/replay", 403, row=str(mail))
    rita.post("/settings/mail/replay", row=[str(mail), str(mail)])
    rita.post("/settings/mail/replay", 404, row=str(mail))
    rita.post("/settings/mail/replay", 404, mailbox="1")
    work.drain("ingest.mail")
    assert "No such mail" in rita.get("/settings/mail?only=stuck")
    with reading() as session:
        assert session.get_one(MailIn, mail).state == "opened"


def test_it_says_how_mail_comes(people: People) -> None:
    before = settings()
    configure(
        before.with_(mail_listen="127.0.0.1:2525", imap_url="imaps://soc:geheim@mail.example.org/INBOX")
    )
    try:
        with unit_of_work() as uow:
            mail_poll.seed(uow)
        page = Reader(people.rita).get("/settings/mail")
    finally:
        configure(before)
    assert "127.0.0.1:2525" in page
    assert "soc at mail.example.org:993, INBOX" in page
    assert "geheim" not in page
    assert "no mail server is set up" in page
