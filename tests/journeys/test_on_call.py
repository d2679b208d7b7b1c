"""The journey of the person on call: woken by mail, answers with one tap or passes it on, and nobody else is woken."""

import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

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
    """An installation with mail: Rita is on call, Ana is the catch-all."""

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
        self.notices = len(mail.wait_for(NOTICES))

    def ring(self, title: str) -> EmailMessage:
        """A critical alert; returns the mail it causes."""
        before = len(self.mail.messages)
        with self.tocsin.client() as client:
            bell = Bell(self.tocsin, re.sub(r"\W+", "-", title.lower()))
            assert bell.ring(client, title=title, severity="critical", host=title).status_code == 202
        return self.mail.wait_for(before + 1)[before]


def _dashed(number: str) -> str:
    plain = number.replace("-", "")
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))


def _link(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"https?://\S+?(/a/\S+)", body.get_content())
    assert found, body.get_content()
    return found[1].rstrip(">.")


@pytest.fixture
def night(tocsin: Callable[..., Tocsin], smtp_server: MailServer, tmp_path: Path) -> Night:
    """Everything set up over the pages, as an operator would."""
    playbooks = tmp_path / "ring.yaml"
    playbooks.write_text(PLAYBOOKS, encoding="utf-8")
    return Night(tocsin(TOCSIN_SMTP_URL=smtp_server.url, TOCSIN_PLAYBOOKS=str(playbooks)), smtp_server)


def test_one_tap_acknowledges_and_looking_does_not(night: Night) -> None:
    mail = night.ring("Domain controller beacons")
    assert mail["X-Envelope-To"] == "rita@example.org"
    assert "Domain controller beacons" in str(mail["Subject"])
    phone = Browser(night.tocsin)
    link = _link(mail)
    for _ in range(3):
        shown = phone.open(link)  # a mail scanner follows links too
    waiting = "SELECT count(*) FROM pages WHERE state = 'waiting'"
    assert count(night.tocsin, waiting) == 1
    shown = phone.submit(shown, r"^/a/[^/]+$")
    assert "You have it" in shown.text
    assert count(night.tocsin, waiting) == 0
    key = str(rows(night.tocsin, "SELECT key FROM incidents")[0][0])
    assert "acknowledged" in night.rita.open(f"/incidents/{key}").text
    assert phone.open(link).status == 200
    assert len(night.mail.messages) == night.notices + 1


def test_who_cannot_take_it_passes_it_on(night: Night) -> None:
    phone = Browser(night.tocsin)
    shown = phone.open(_link(night.ring("Backups are being deleted")))
    phone.submit(shown, "/pass$")
    second = night.mail.wait_for(night.notices + 2)[night.notices + 1]
    assert second["X-Envelope-To"] == "ana@example.org"
    shown = phone.submit(phone.open(_link(second)), r"^/a/[^/]+$")
    assert "You have it" in shown.text


def test_a_page_can_be_acknowledged_from_inside(night: Night) -> None:
    night.ring("Key found in a public repository")
    page = _only_page(night.rita)
    shown = night.rita.submit(page, "/acknowledge$")
    assert "Rita" in shown.text
    under_way = "SELECT count(*) FROM page_attempts WHERE channel = 'email' AND state <> 'sent'"
    wait_until(lambda: count(night.tocsin, under_way) == 0, what="the receipt, which comes after the mail")
    attempts = rows(night.tocsin, "SELECT state, answer FROM page_attempts WHERE channel = 'email'")
    assert len(attempts) == 1
    assert attempts[0][0] == "sent"
    assert "queued as" in str(attempts[0][1]), "the mail server's own answer is kept"


def test_a_forged_link_does_nothing(night: Night) -> None:
    link = _link(night.ring("Something rang"))
    forged = link[:-6] + ("AAAAAA" if not link.endswith("AAAAAA") else "BBBBBB")
    Browser(night.tocsin).open(forged, status=410)
    with night.tocsin.client() as client:
        assert client.post(forged).status_code in (403, 410)
    assert count(night.tocsin, "SELECT count(*) FROM pages WHERE state = 'waiting'") == 1


def _only_page(browser: Browser) -> Shown:
    wait_until(lambda: re.search(r"/pages/[0-9a-f-]{36}", browser.open("/pages").html), what="the page")
    found = re.search(r"/pages/[0-9a-f-]{36}", browser.open("/pages").html)
    assert found
    return browser.open(found[0])
