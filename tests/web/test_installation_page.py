"""The report form, the mailboxes and the heartbeat are set on a page, tried out there, and in force without a restart."""

import re
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from at_the_pages import Reader, text_of, verbs_told
from dovecot_server import Dovecot
from free_ports import free_port, wait_until
from people_here import People
from sample_mails import plain
from sqlalchemy import select
from vendor_server import Answer, Vendor

from cli import assemble, keeping_watch, watching
from core import chosen, db, heartbeat, journal, work
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid
from core.net import imap
from core.settings import Settings, configure, settings
from ingest import mail_ways
from ingest.mail_models import Mailbox, MailIn
from reports import doctor

assemble.load()
HERE = "/settings/installation"


@pytest.fixture(autouse=True)
def base(database: object, tmp_path: Path) -> Iterator[Settings]:
    """Nothing is set; nothing is left of it afterwards."""
    del database
    before = settings()
    yield configure(before.with_(data_dir=tmp_path, muzzled=False))
    configure(before)


def now() -> Settings:
    """The settings as they are now."""
    with reading() as session:
        return chosen.effective(session)


def stored() -> str:
    """Everything that the journal and the table of settings hold, as text."""
    with reading() as session:
        rows = [row.value for row in session.scalars(select(chosen.ChosenSetting))]
        told = [(one.verb, one.body, one.data) for one in journal.entries(session, limit=100)]
    return repr((rows, told))


def test_the_form_goes_on_and_off_and_asks_for_its_code(people: People) -> None:
    ana, rita = Reader(people.ana), Reader(people.rita)
    rita.get(HERE, 403)
    rita.post(f"{HERE}/form", 403, on="1")
    assert HERE not in rita.get("/settings")
    assert HERE in ana.get("/settings")
    assert "0 of 6 are on" in ana.get(HERE)
    Reader().get("/report", 404)
    ana.post(f"{HERE}/form", on="1", code="blue door")
    assert 'name="code"' in Reader().get("/report")
    page = ana.get(HERE)
    assert f"{settings().base_url}/report" in page
    assert "blue door" not in page + stored()
    ana.post(f"{HERE}/form", on="1", code="")
    assert now().report_code == "blue door", "left empty, it stays"
    ana.post(f"{HERE}/form", on="1", no_code="1")
    assert now().report_code is None
    ana.post(f"{HERE}/form", on="0")
    Reader().get("/report", 404)
    assert verbs_told().count("setting.changed") == 4


def test_a_mailbox_is_set_tried_and_looked_into(people: People, imap_server: Dovecot) -> None:
    ana = Reader(people.ana)
    imap_server.deliver(plain().as_bytes())
    given = {
        "host": "127.0.0.1", "port": str(imap_server.plain), "security": "clear", "user": "soc", "folder": "INBOX",
        "done": "", "every": "20",
    }  # fmt: skip
    assert "needs a server, a user and a password" in ana.post(f"{HERE}/mailbox", 422, **given).text
    wrong = text_of(ana.post(f"{HERE}/mailbox", 200, **given, password="wr ong/?").text)
    assert "refused the user name or password" in wrong
    assert "app password" in wrong
    ana.post(f"{HERE}/mailbox", 200, **given, password="open-sesame")
    page = ana.post(f"{HERE}/mailbox", 200, **given).text  # the password stays
    assert "It works: 1 mail waits there." in page
    assert "open-sesame" not in page + stored()
    assert 'value="soc"' in page
    assert now().imap_every.total_seconds() == 20
    assert "again: it is never sent to another server" in ana.post(f"{HERE}/mailbox", 422, **given | {"host": "mail.evil.example"}).text
    assert "from 5 to 86400" in ana.post(f"{HERE}/mailbox", 422, **given | {"every": "1"}).text
    assert "no folder Nowhere" in ana.post(f"{HERE}/mailbox", 200, **given | {"folder": "Nowhere"}).text
    ana.post(f"{HERE}/mailbox", 200, **given)
    assert "1 mail waits" in ana.post(f"{HERE}/mailbox/try", 200).text, "trying takes nothing"
    work.drain("ingest.mailbox")
    with reading() as session:
        assert len(session.scalars(select(MailIn)).all()) == 1
        assert len(session.scalars(select(Mailbox).where(Mailbox.due_at.is_not(None))).all()) == 1
    ana.post(f"{HERE}/mailbox", remove="1")
    with reading() as session:
        assert session.scalars(select(Mailbox).where(Mailbox.due_at.is_not(None))).all() == []
    ana.post(f"{HERE}/mailbox/try", 409)
    assert {"setting.changed", "setting.tried"} <= set(verbs_told())


def test_mail_by_smtp_is_taken_up_without_a_restart(people: People) -> None:
    ana, where, other = Reader(people.ana), free_port(), free_port()
    with mail_ways.kept():
        assert "Write an address and a port" in ana.post(f"{HERE}/listener", 422, place="nowhere").text
        assert "in the clear" in ana.post(f"{HERE}/listener", 422, place="0.0.0.0:2525").text
        assert "is no mail address" in ana.post(f"{HERE}/listener", 422, place="127.0.0.1:2525", to="soc").text
        for port in (where, other):
            ana.post(f"{HERE}/listener", place=f"127.0.0.1:{port}", to="soc@example.org")
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
                client.sendmail("eva@example.org", ["soc@example.org"], plain(str(port)).as_bytes())
        with pytest.raises(OSError):
            smtplib.SMTP("127.0.0.1", where, timeout=2)
        assert f"taken in at 127.0.0.1:{other}" in ana.get(HERE)
        ana.post(f"{HERE}/listener", remove="1")
        with pytest.raises(OSError):
            smtplib.SMTP("127.0.0.1", other, timeout=2)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ana.post(f"{HERE}/listener", place=f"127.0.0.1:{taken.getsockname()[1]}")
            assert "Choose another port" in ana.get(HERE)
    assert mail_ways.standing() == mail_ways.Standing()


def test_a_heartbeat_is_sent_at_once_and_the_doctor_leads_there(people: People, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = Reader(people.ana)
    assert f"{HERE}#heartbeat" in ana.get("/doctor")
    assert "beginning with https://" in ana.post(f"{HERE}/heartbeat", 422, url="hc.example.org").text
    ana.post(f"{HERE}/heartbeat/try", 422)
    vendor.answer("GET", "/gone", Answer(404))
    assert "answered 404" in ana.post(f"{HERE}/heartbeat", 200, url=f"{vendor.url}/gone").text
    page = ana.post(f"{HERE}/heartbeat", 200, url=f"{vendor.url}/beat-7f31").text
    assert "one heartbeat was sent, and answered 200" in page
    assert [call.path for call in vendor.calls] == ["/gone", "/beat-7f31"]
    assert "beat-7f31" not in page + stored()
    with reading() as session:
        shown = {one.light.name: one.finding for one in doctor.examine(session)}
    assert shown["heartbeat"].state is doctor.State.green
    assert watching.settings_now(db.engine()).heartbeat_url == f"{vendor.url}/beat-7f31"
    started: list[object] = []
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda command: started.append(command) or real([sys.executable, "-c", "import time; time.sleep(60)"])
    )
    with keeping_watch.watched(settings()):
        wait_until(lambda: started, what="the watch, which a heartbeat set on a page has begin")
    page = ana.post(f"{HERE}/heartbeat", 200, url=f"{vendor.url}/gone").text
    assert heartbeat.last(settings().data_dir) is None, "what the former address got says nothing of the new one"
    assert "Before you switch it off" in page
    ana.post(f"{HERE}/heartbeat", remove="1")
    assert watching.settings_now(db.engine()).heartbeat_url is None


def test_the_environment_wins_and_says_so(people: People) -> None:
    ana = Reader(people.ana)
    ana.post(f"{HERE}/form", on="1")
    configure(settings().with_(report_form=False, imap_url="imaps://soc:geheim@mail.example.org/INBOX"))
    page = ana.get(HERE)
    assert "TOCSIN_REPORT_FORM is set where Tocsin is started, and wins" in page
    assert "TOCSIN_IMAP_URL is set where Tocsin is started" in page
    assert "geheim" not in page
    assert not re.search(r'id="password"', page)
    Reader().get("/report", 404)
    with unit_of_work() as uow, pytest.raises(Conflict, match="TOCSIN_REPORT_FORM"):
        chosen.put(uow, people.ana, {"report_form": "1"})


def test_another_secret_key_says_what_to_type_again(people: People) -> None:
    with unit_of_work() as uow:
        chosen.put(uow, people.ana, {"heartbeat_url": "https://hc.example.org/x", "report_form": "1"})
    configure(settings().with_(secret_key=b"another key of at least 32 characters"))
    assert "cannot be opened" in Reader(people.ana).get(HERE)
    assert (now().heartbeat_url, now().report_form) == (None, True)


def test_over_the_api(people: People, vendor: Vendor) -> None:
    ana = Reader(people.ana)
    headers = {"X-CSRF-Token": ana.csrf}

    def put(**values: str) -> tuple[int, dict[str, object]]:
        items = [{"name": name, "value": value} for name, value in values.items()]
        answer = ana._send("PUT", "/api/v1/settings", json={"items": items}, headers=headers)
        return answer.status_code, answer.json()

    assert put(report_form="1", heartbeat_url=f"{vendor.url}/beat")[0] == 200
    told = {one["name"]: one for one in ana.fetch("/api/v1/settings").json()["items"]}
    assert (told["report_form"]["set_by"], told["report_form"]["value"]) == ("page", "1")
    assert (told["heartbeat_url"]["set_by"], told["heartbeat_url"]["value"]) == ("page", None)
    assert told["mail_listen"]["set_by"] == "default"
    tried = ana._send("POST", "/api/v1/settings/heartbeat_url/try", headers=headers).json()
    assert (tried["worked"], tried["mend"]) == (True, "")
    assert ana._send("POST", "/api/v1/settings/imap_url/try", headers=headers).status_code == 409
    assert put(secret_key="x")[0] == 422
    assert put(report_form="perhaps", imap_url="ftp://x")[0] == 422
    assert Reader(people.mara).fetch("/api/v1/settings", 403)


def test_only_administrators(people: People) -> None:
    for actor in (people.rita, people.mara, people.aldo):
        assert isinstance(actor, Actor)
        with unit_of_work() as uow, pytest.raises(Forbidden):
            chosen.put(uow, actor, {"report_form": "1"})
    with unit_of_work() as uow, pytest.raises(Invalid):
        chosen.put(uow, people.ana, {"report_code": "x" * 101})


@pytest.mark.parametrize(
    "url",
    [
        "imaps://soc%40example.org:a%2Fb%40c@mail.example.org:993/INBOX",
        "imap://soc:x@mail.example.org:143/INBOX%2FReported?done=Taken&starttls=0&insecure=1",
        "imaps://soc:x@[2001:db8::1]:1993/INBOX?verify=0",
    ],
)
def test_a_mailbox_is_written_as_it_is_read(url: str) -> None:
    assert imap.read_url(imap.write_url(imap.read_url(url))) == imap.read_url(url)
