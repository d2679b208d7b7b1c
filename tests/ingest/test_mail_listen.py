"""Mail by SMTP: 250 means stored, whatever happens next."""

import contextlib
import smtplib
import threading
from collections.abc import Callable, Iterator

import pytest
from free_ports import free_port, wait_until
from ringing import rows
from running_tocsin import Tocsin
from sample_mails import forward, plain
from sqlalchemy import select

from core.db import reading
from core.errors import Invalid, Unavailable
from core.settings import configure, settings
from ingest import mail_door, mail_listen
from ingest.mail_models import MailIn

EVA, SOC = "eva@example.org", "soc@example.org"


@pytest.fixture
def port(database: object) -> Iterator[int]:
    """Where mail is taken in."""
    before, where = settings(), free_port()
    given = configure(before.with_(mail_listen=f"127.0.0.1:{where}", mail_to=(SOC,), max_upload=100_000))
    with mail_listen.listening(given):
        yield where
    configure(before)


def stored() -> list[MailIn]:
    """What was stored, oldest first."""
    with reading() as session:
        return list(session.scalars(select(MailIn).order_by(MailIn.created_at, MailIn.id)))


def test_a_mail_is_stored_before_it_is_answered(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        assert client.send_message(forward(), EVA, ["soc+INC-2026-000001-aaaaaaaaaaaa@example.org"]) == {}
        (row,) = stored()
        client.send_message(forward(), EVA, [SOC])  # the same Message-ID
    assert len(stored()) == 1
    assert (row.envelope_from, row.peer, row.state) == (EVA, "127.0.0.1", "received")
    assert row.recipients == ["soc+INC-2026-000001-aaaaaaaaaaaa@example.org"]


def test_what_is_not_for_us_or_too_large_is_refused(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.send_message(plain(), EVA, ["somebody@example.net"])
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            client.send_message(plain("Huge", "x " * 60_000), EVA, [SOC])
        assert refused.value.smtp_code == 552
    assert stored() == []


def test_what_cannot_be_stored_stays_with_its_sender(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise Unavailable("The database is gone")

    with monkeypatch.context() as broken:
        broken.setattr(mail_door, "take", gone)
        with (
            smtplib.SMTP("127.0.0.1", port, timeout=10) as client,
            pytest.raises(smtplib.SMTPDataError) as refused,
        ):
            client.send_message(plain(), EVA, [SOC])
    assert refused.value.smtp_code == 451


def test_a_crowd_is_told_to_come_back(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_listen, "MOST_CONNECTIONS", 2)
    with contextlib.ExitStack() as open_now:
        for _ in range(2):
            open_now.enter_context(smtplib.SMTP("127.0.0.1", port, timeout=10))
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            smtplib.SMTP("127.0.0.1", port, timeout=10)
    assert refused.value.smtp_code == 421


@pytest.mark.parametrize("text", ["2525x", "127.0.0.1", "127.0.0.1:0", "a:99999"])
def test_a_place_to_listen_is_checked(text: str) -> None:
    with pytest.raises(Invalid):
        mail_listen.place(text)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_killed_while_mail_comes_in_it_keeps_what_it_has_acknowledged(tocsin: Callable[..., Tocsin]) -> None:
    where = free_port()
    installation = tocsin(TOCSIN_MAIL_LISTEN=f"127.0.0.1:{where}")
    installation.start()
    acknowledged: list[str] = []
    enough = threading.Event()

    def send(sender: int) -> None:
        for number in range(500):
            mail = plain(f"From {sender}, number {number}", "x" * 20_000)
            try:
                with smtplib.SMTP("127.0.0.1", where, timeout=10) as client:
                    client.send_message(mail, EVA, [SOC])
            except (OSError, smtplib.SMTPException):
                return
            acknowledged.append(str(mail["Subject"]))
            if len(acknowledged) >= 30:
                enough.set()

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for one in senders:
        one.start()
    assert enough.wait(60)
    installation.kill()
    for one in senders:
        one.join(30)
    installation.start()
    opened = "SELECT r.subject FROM reporters r"

    due = "SELECT id FROM mails WHERE due_at IS NOT NULL"
    wait_until(lambda: not rows(installation, due), seconds=60, what="every stored mail")
    assert set(acknowledged) <= {row[0] for row in rows(installation, opened)}
    counted = [row[0] for row in rows(installation, opened)]
    assert len(counted) == len(set(counted)), "none opened two incidents"
