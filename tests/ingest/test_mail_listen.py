"""Mail by SMTP: 250 means stored, whatever happens next."""

import contextlib
import smtplib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port, wait_until
from ringing import rows
from running_tocsin import Tocsin
from sample_mails import forward, plain
from sqlalchemy import select

from core import certificates, reach
from core.db import reading
from core.errors import Invalid, Unavailable
from core.settings import Settings, configure, settings
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
        reach.mail_place(text)


@pytest.mark.parametrize("place", ["0.0.0.0:2525", "[::]:2525", "10.0.0.5:25", "mail.example:25"])
def test_other_machines_do_not_hand_mail_over_in_the_clear(tmp_path: Path, place: str) -> None:
    given = Settings.load({"TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_MAIL_LISTEN": place})
    with pytest.raises(Invalid) as refused, mail_listen.listening(given):
        pass
    for way in ("TOCSIN_TLS=generate", "TOCSIN_MAIL_LISTEN=127.0.0.1:2525", "TOCSIN_ALLOW_PLAIN_HTTP=1"):
        assert way in refused.value.message
    with pytest.raises(Invalid):  # a proxy in front of the pages hears no mail
        mail_listen.ready_to(given.with_(trusted_proxies=("10.0.0.1/32",)))
    mail_listen.ready_to(given.with_(allow_plain_http=True))
    mail_listen.ready_to(given.with_(mail_listen="127.0.0.1:2525"))


def test_beyond_this_machine_tls_comes_before_everything_else(database: object, tmp_path: Path) -> None:
    where = free_port()
    files: dict[str, Any] = {"tls_certificate": tmp_path / "c.pem", "tls_key": tmp_path / "k.pem", "tls_generated": True}
    before = settings()
    given = configure(before.with_(mail_listen=f"0.0.0.0:{where}", mail_to=(SOC,), **files))
    with mail_listen.listening(given), smtplib.SMTP("127.0.0.1", where, timeout=10) as client:
        client.ehlo()
        assert client.docmd("MAIL", f"FROM:<{EVA}>")[0] == 530
        client.starttls(context=ssl.create_default_context(cafile=str(files["tls_certificate"])))
        client.send_message(forward(), EVA, [SOC])
    assert [row.envelope_from for row in stored()] == [EVA]
    with (
        mail_listen.listening(given.with_(allow_plain_http=True)),
        smtplib.SMTP("127.0.0.1", where, timeout=10) as client,
    ):
        client.ehlo()
        assert client.has_extn("starttls")
        assert client.docmd("MAIL", f"FROM:<{EVA}>")[0] == 250
    configure(before)


def test_files_that_do_not_work_are_named(tmp_path: Path) -> None:
    given = Settings.load({
        "TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_MAIL_LISTEN": "0.0.0.0:2525",
        "TOCSIN_TLS_CERTIFICATE": str(tmp_path / "none.pem"),
    })  # fmt: skip
    with pytest.raises(Invalid, match=r"none\.pem"):
        mail_listen.ready_to(given)
    certificates.ensure(tmp_path / "c.pem", tmp_path / "k.pem", ["soc.example"])
    joined = tmp_path / "none.pem"
    joined.write_bytes((tmp_path / "c.pem").read_bytes() + (tmp_path / "k.pem").read_bytes())
    mail_listen.ready_to(given)  # the key may stand in the certificate's file


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
