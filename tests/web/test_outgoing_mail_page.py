"""The mail server and the journal's witnesses are set on a page, tried there against a real server, and in force at once."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from at_the_pages import Reader, text_of, verbs_told
from free_ports import free_port
from held_time import HeldClock
from mail_server import MailServer
from people_here import People, unproved
from sqlalchemy import select
from vendor_server import Answer, Vendor

from cli import assemble, watching
from core import chosen, db, journal, sealing, witness
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.net import smtp
from core.net.smtp import Server
from core.settings import Settings, configure, settings
from core.types import Ref
from notify import messages
from web import trying_mail

assemble.load()
HERE = "/settings/installation"
Drain = Callable[..., int]


@pytest.fixture(autouse=True)
def base(database: object, tmp_path: Path) -> Iterator[Settings]:
    """Nothing is set; nothing is left of it afterwards."""
    del database
    before = settings()
    yield configure(before.with_(data_dir=tmp_path, muzzled=False))
    configure(before)


def now() -> Settings:
    """The settings as any process reads them now."""
    with reading() as session:
        return chosen.effective(session)


def stored() -> str:
    """Everything that the journal and the table of settings hold, as text."""
    with reading() as session:
        rows = [row.value for row in session.scalars(select(chosen.ChosenSetting))]
        told = [(one.verb, one.body, one.data) for one in journal.entries(session, limit=100)]
    return repr((rows, told))


def form(server: MailServer, **changes: str) -> dict[str, str]:
    """What is typed for a mail server."""
    given = {
        "host": "127.0.0.1", "port": str(server.port), "security": "clear", "user": "", "password": "",
        "sender": "Tocsin <soc@example.org>",
    }  # fmt: skip
    return {**given, **changes}


def test_mail_is_set_up_tried_and_leaves_without_a_restart(people: People, smtp_server: MailServer, drain: Drain) -> None:
    ana = Reader(people.ana)
    assert f"{HERE}#outgoing" in ana.get("/doctor")
    assert f"{HERE}#outgoing" in ana.get("/profile")
    ana.post(f"{HERE}/outgoing/test", 422, to="ana@example.org")
    ana.post(f"{HERE}/outgoing", **form(smtp_server))
    page = ana.get(HERE)
    assert 'value="ana@example.org"' in page, "the test goes to whoever asks, unless they say otherwise"
    said = text_of(ana.post(f"{HERE}/outgoing/test", 200, to="eva@example.org").text)
    assert "The server took the mail for eva@example.org and answered: 250 2.0.0 Ok: queued as T000001" in said
    (mail,) = smtp_server.messages
    assert (mail["To"], mail["From"]) == ("eva@example.org", "Tocsin <soc@example.org>")
    with unit_of_work() as uow:
        messages.message(uow, SYSTEM, channel="email", to="rita@example.org", title="Hello", text="A notice.", subject=Ref("user", str(people.rita.id)))
    drain()
    assert smtp_server.messages[1]["From"] == "Tocsin <soc@example.org>"
    seen = watching.settings_now(db.engine())
    assert seen is not None
    assert seen.smtp_from == "Tocsin <soc@example.org>", "the watch speaks as the page says"
    ana.post(f"{HERE}/outgoing", remove="1")
    assert now().smtp_url is None
    assert {"setting.changed", "setting.tried"} <= set(verbs_told())


def test_what_the_server_says_is_told_in_words(people: People, smtp_server: MailServer) -> None:
    ana = Reader(people.ana)
    for wrong, says in (
        ({"host": ""}, "name of the server"), ({"host": "mail.example.org/x"}, "name alone"), ({"port": "70000"}, "from 1 to 65535"),
        ({"user": "soc"}, "Type the password of this user"), ({"sender": ""}, "address that mail comes from"),
        ({"sender": "nobody"}, "such as tocsin@example.org"), ({"sender": "a@b.example\nBcc: x@y.example"}, "such as tocsin@example.org"),
        ({"security": "none"}, "name alone"),
    ):  # fmt: skip
        answer = ana.post(f"{HERE}/outgoing", 422, **form(smtp_server, **wrong))
        assert says in text_of(answer.text), wrong
    assert 'value="70000"' in ana.post(f"{HERE}/outgoing", 422, **form(smtp_server, port="70000")).text, "what was typed stays"
    ana.post(f"{HERE}/outgoing", **form(smtp_server))
    for nobody in ("", "eva", "eva@example.org, ria@example.org"):
        assert "one mail address" in text_of(ana.post(f"{HERE}/outgoing/test", 422, to=nobody).text)
    smtp_server.refuse_with = "554 5.7.1 <b>soc@example.org</b> may not send"
    answer = ana.post(f"{HERE}/outgoing/test", 200, to="eva@example.org").text
    assert "answered 554 5.7.1 &lt;b&gt;soc@example.org" in answer
    assert "its own words say why" in text_of(answer)
    ana.post(f"{HERE}/outgoing", **form(smtp_server, port=str(free_port())))
    assert "Check the server's name" in text_of(ana.post(f"{HERE}/outgoing/test", 200, to="eva@example.org").text)
    ana.post(f"{HERE}/outgoing", **form(smtp_server, security="starttls"))
    assert "port 587" in text_of(ana.post(f"{HERE}/outgoing/test", 200, to="eva@example.org").text)


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying_mail, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        said = trying_mail.attempt(replace(settings(), smtp_url=url), "eva@example.org")
    assert not said.worked
    assert "did not answer in time" in said.says
    assert "firewall" in said.mend


def test_the_password_stays_where_it_was_typed_for(people: People, smtp_server: MailServer) -> None:
    ana = Reader(people.ana)
    given = form(smtp_server, security="starttls", user="soc@example.org", password="open/ses ame")
    ana.post(f"{HERE}/outgoing", **given)
    page = ana.get(HERE)
    assert "open/ses ame" not in page + stored()
    assert "open%2Fses%20ame" not in page + stored()
    assert 'value="soc@example.org"' in page
    empty = {**given, "password": ""}
    ana.post(f"{HERE}/outgoing", **empty)
    assert smtp.read_url(now().smtp_url or "").password == "open/ses ame", "left empty, it stays"
    for other, says in (({"host": "mail.evil.example"}, "another server"), ({"security": "clear"}, "in the clear")):
        assert says in text_of(ana.post(f"{HERE}/outgoing", 422, **{**empty, **other}).text)
    assert "Type the password of this user" in text_of(ana.post(f"{HERE}/outgoing", 422, **{**empty, "user": "else"}).text)


def test_only_administrators_with_a_second_factor(people: People, smtp_server: MailServer) -> None:
    rita = Reader(people.rita)
    for path in ("outgoing", "outgoing/test", "witness", f"witness/{UUID(int=5)}/remove", f"witness/{UUID(int=5)}/try"):
        rita.post(f"{HERE}/{path}", 403)
    early = Reader(unproved(people.ana))
    asked = early.post(f"{HERE}/outgoing", 403, **form(smtp_server, user="soc", password="not carried")).text
    assert "second factor" in asked
    assert "not carried" not in asked
    early.post(f"{HERE}/witness", 403, kind="mail", place="auditor@example.org")
    assert (now().smtp_url, now().witness) == (None, ())


def test_the_environment_wins_and_says_so(people: People, smtp_server: MailServer) -> None:
    ana = Reader(people.ana)
    configure(settings().with_(smtp_url=smtp_server.url.replace("//", "//soc:geheim@"), witness=("mailto:auditor@example.org",)))
    with unit_of_work() as uow:
        witness.seed(uow)
    page = ana.get(HERE)
    assert "TOCSIN_SMTP_URL is set where Tocsin is started, and wins" in page
    assert "TOCSIN_WITNESS is set where Tocsin is started, and wins" in page
    assert "geheim" not in page
    assert 'name="host" type="text" value="127.0.0.1"' not in page
    assert "/remove" not in page
    ana.post(f"{HERE}/outgoing", sender="soc@example.org")
    assert (now().smtp_from, now().smtp_url) == ("soc@example.org", settings().smtp_url)
    ana.post(f"{HERE}/witness", 422, kind="web", place="https://archive.example.org/x")
    ana.post(f"{HERE}/witness/{witness.id_of('mailto:auditor@example.org')}/remove", 422)


def test_a_witness_is_named_tried_and_let_go(
    people: People, smtp_server: MailServer, vendor: Vendor, drain: Drain, clock: HeldClock
) -> None:
    ana = Reader(people.ana)
    assert f"{HERE}#witness" in ana.get("/doctor")
    ana.post(f"{HERE}/outgoing", **form(smtp_server))
    for wrong in ({"kind": "mail", "place": "auditor"}, {"kind": "web", "place": "archive.example.org"}, {"kind": "web", "place": "https://a.example/x,https://b.example/y"}):
        assert "rule-failed" not in ana.post(f"{HERE}/witness", 422, **wrong).text
    assert "first checkpoint within a minute" in text_of(ana.post(f"{HERE}/witness", 200, kind="mail", place="auditor@example.org").text)
    sealing.seal_everything()
    clock.advance(minutes=2)
    drain("core.witness")
    assert "Checkpoint of" in smtp_server.messages[-1]["Subject"]
    page = ana.post(f"{HERE}/witness", 200, kind="web", place=f"{vendor.url}/hidden-7f31").text
    assert "127.0.0.1 got the newest checkpoint, and answered: 200" in text_of(page)
    assert "hidden-7f31" not in page + stored()
    assert len(vendor.calls) == 1
    drain("core.witness")
    assert len(vendor.calls) == 1, "what was tried just now is not sent again"
    assert "there already" in text_of(ana.post(f"{HERE}/witness", 422, kind="mail", place="auditor@example.org").text)
    post = witness.id_of(f"{vendor.url}/hidden-7f31")
    vendor.answer("POST", "/hidden-7f31", Answer(500))
    assert "answered 500" in text_of(ana.post(f"{HERE}/witness/{post}/try", 200).text)
    ana.post(f"{HERE}/witness/{post}/remove")
    assert now().witness == ("mailto:auditor@example.org",)
    clock.advance(days=2)
    drain("core.witness")
    assert len(vendor.calls) == 2, "whoever is let go gets nothing"
    vendor.answer("POST", "/hidden-7f31", Answer(200))
    ana = Reader(replace(people.ana, proved_at=clock.now))  # two days later she signs in again
    ana.post(f"{HERE}/witness", 200, kind="web", place=f"{vendor.url}/hidden-7f31")
    with unit_of_work() as uow:
        (row,) = uow.scalars(select(witness.JournalWitness).where(witness.JournalWitness.id == post))
        assert row.due_at is not None, "one that comes back is asked again"
    ana.post(f"{HERE}/witness/{UUID(int=5)}/remove", 404)


def test_over_the_api(people: People, smtp_server: MailServer) -> None:
    ana = Reader(people.ana)
    headers = {"X-CSRF-Token": ana.csrf}
    items = [{"name": "smtp_url", "value": smtp_server.url}, {"name": "witness", "value": "mailto:a@example.org, https://b.example/x"}]
    assert ana._send("PUT", "/api/v1/settings", json={"items": items}, headers=headers).status_code == 200
    told = {one["name"]: one for one in ana.fetch("/api/v1/settings").json()["items"]}
    assert (told["smtp_url"]["value"], told["witness"]["value"], told["smtp_url"]["set_by"]) == (None, None, "page")
    assert now().witness == ("mailto:a@example.org", "https://b.example/x")
    tried = ana._send("POST", "/api/v1/settings/smtp_url/try", json={"to": "eva@example.org"}, headers=headers).json()
    assert (tried["worked"], "queued as" in tried["says"]) == (True, True)


@pytest.mark.parametrize(
    "server",
    [
        Server("mail.example.org", 587, implicit_tls=False, user="a@b", password="p/@ :?", starttls=True),
        Server("2001:db8::1", 465, implicit_tls=True, verify=False),
        Server("mx", 25, implicit_tls=False, insecure=True, name="soc.example.org", starttls=False),
    ],
)
def test_a_server_is_written_as_it_is_read(server: Server) -> None:
    assert smtp.read_url(smtp.write_url(server)) == server
