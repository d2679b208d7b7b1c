"""The journey of the person on call: woken by mail, answers with one tap or passes it on, and nobody else is woken."""

import re
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from accounts import enrolled, installed, joined
from browsing import Browser, Shown
from free_ports import wait_until
from mail_server import MailServer
from ringing import Bell, count, rows
from running_tocsin import Tocsin

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PLAYBOOKS = """
version: 1
playbooks:
  ring:
    name: Wake whoever is on call
    mode: act
    triggers: [{on: incident.opened, when: 'incident.severity == "critical"'}]
    steps:
      - {id: ring, page: {policy: soc, message: "{{ incident.title }}"}}
"""


NOTICES = 2  # of the default policy that was changed: they come before the night begins


class Night:
    """An installation with mail, one for all tests of this file: Rita is on call, Ana is the catch-all."""

    def __init__(self, tocsin: Tocsin, mail: MailServer) -> None:
        self.tocsin, self.mail = tocsin, mail
        self.ana = installed(tocsin)
        enrolled(self.ana)  # who changes the default policy shows a second factor
        self.rita = joined(tocsin, self.ana, "Rita", "responder")
        people = {str(email): str(number) for number, email in rows(tocsin, "SELECT id, email FROM users")}
        them = {name: f"user:{_dashed(people[f'{name}@example.org'])}" for name in ("rita", "ana")}
        for browser, name in ((self.rita, "rita"), (self.ana, "ana")):
            page = browser.open("/profile")
            browser.submit(page, "/profile/contacts$", channel="email", address__to=f"{name}@example.org")
        self.ana.submit(
            self.ana.open("/oncall/policies/new"), "/oncall/policies/new", name="soc", s0__target=[them["rita"], ""],
            s0__minutes="5", last__target=[them["ana"], ""], repeat="0", default="1",
        )  # fmt: skip
        self.before = len(mail.wait_for(NOTICES))  # how many mails there were when it rang

    def ring(self, title: str) -> EmailMessage:
        """A critical alert; returns the mail it causes."""
        self.before = len(self.mail.messages)
        with self.tocsin.client() as client:
            bell = Bell(self.tocsin, re.sub(r"\W+", "-", title.lower()))
            assert bell.ring(client, title=title, severity="critical", host=title).status_code == 202
        return self.mail.wait_for(self.before + 1)[self.before]


def _dashed(number: str) -> str:
    plain = number.replace("-", "")
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))


def _link(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"https?://\S+?(/a/\S+)", body.get_content())
    assert found, body.get_content()
    return found[1].rstrip(">.")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Everything set up over the pages, as an operator would."""
    folder, mail = tmp_path_factory.mktemp("night"), MailServer()
    playbooks = folder / "ring.yaml"
    playbooks.write_text(PLAYBOOKS, encoding="utf-8")
    mail.start()
    tocsin = Tocsin(folder / "data", TOCSIN_SMTP_URL=mail.url, TOCSIN_PLAYBOOKS=str(playbooks))
    try:
        yield Night(tocsin, mail)
    finally:
        tocsin.end()
        mail.stop()


def test_one_tap_acknowledges_and_looking_does_not(night: Night) -> None:
    mail = night.ring("Domain controller beacons")
    assert mail["X-Envelope-To"] == "rita@example.org"
    assert "Domain controller beacons" in str(mail["Subject"])
    phone = Browser(night.tocsin)
    link = _link(mail)
    for _ in range(3):
        shown = phone.open(link)  # a mail scanner follows links too
    waiting = "SELECT count(*) FROM pages WHERE state = 'waiting' AND title LIKE '%Domain controller beacons'"
    assert count(night.tocsin, waiting) == 1
    shown = phone.submit(shown, r"^/a/[^/]+$")
    assert "You have it" in shown.text
    assert count(night.tocsin, waiting) == 0
    key = str(rows(night.tocsin, "SELECT key FROM incidents WHERE title = 'Domain controller beacons'")[0][0])
    assert "acknowledged" in night.rita.open(f"/incidents/{key}").text
    assert phone.open(link).status == 200
    assert len(night.mail.messages) == night.before + 1


def test_who_cannot_take_it_passes_it_on(night: Night) -> None:
    phone = Browser(night.tocsin)
    shown = phone.open(_link(night.ring("Backups are being deleted")))
    phone.submit(shown, "/pass$")
    second = night.mail.wait_for(night.before + 2)[night.before + 1]
    assert second["X-Envelope-To"] == "ana@example.org"
    shown = phone.submit(phone.open(_link(second)), r"^/a/[^/]+$")
    assert "You have it" in shown.text


def test_a_page_can_be_acknowledged_from_inside(night: Night) -> None:
    night.ring("Key found in a public repository")
    page = _page_about(night, "Key found in a public repository")
    shown = night.rita.submit(page, "/acknowledge$")
    assert "Rita" in shown.text
    query = """SELECT a.state, a.answer FROM page_attempts a JOIN page_targets t ON a.target_id = t.id JOIN pages p ON t.page_id = p.id
        WHERE a.channel = 'email' AND p.title LIKE '%Key found in a public repository'"""
    wait_until(lambda: [one[0] for one in rows(night.tocsin, query)] == ["sent"], what="the receipt, which comes after the mail")
    attempts = rows(night.tocsin, query)
    assert "queued as" in str(attempts[0][1]), "the mail server's own answer is kept"


def test_a_forged_link_does_nothing(night: Night) -> None:
    link = _link(night.ring("Something rang"))
    forged = link[:-6] + ("AAAAAA" if not link.endswith("AAAAAA") else "BBBBBB")
    Browser(night.tocsin).open(forged, status=410)
    with night.tocsin.client() as client:
        assert client.post(forged).status_code in (403, 410)
    waiting = "SELECT count(*) FROM pages WHERE state = 'waiting' AND title LIKE '%Something rang'"
    assert count(night.tocsin, waiting) == 1


def _page_about(night: Night, title: str) -> Shown:
    ((number,),) = rows(night.tocsin, "SELECT id FROM pages WHERE title LIKE :title", title=f"%{title}")
    return night.rita.open(f"/pages/{_dashed(str(number))}")
