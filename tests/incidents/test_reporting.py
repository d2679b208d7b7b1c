"""People without an account report something, add to it and are answered; nobody hears more than they may."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import incident_bench as bench
import pytest
from held_time import HeldClock
from mail_server import MailServer

from core import limits
from core.actors import SYSTEM, Actor
from core.auth import users
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from core.settings import configure, settings
from incidents import closing, lifecycle, observables, reporter_links, reporting, search
from incidents.closing import Closing
from incidents.models import Incident, Reporter
from incidents.permissions import ANSWER, READ
from incidents.reporting import ReportDraft
from incidents.stages import Stage, Tlp

pytestmark = pytest.mark.usefixtures("database", "clock")
ANN = Actor(bench.ANN.kind, bench.ANN.id, bench.ANN.name, bench.ANN.permissions | {ANSWER.name})


@pytest.fixture
def mail(smtp_server: MailServer, database: object) -> Iterator[MailServer]:
    """A mail server that takes what we send."""
    before = settings()
    configure(before.with_(smtp_url=smtp_server.url, smtp_from="soc@example.org"))
    yield smtp_server
    configure(before)


def reported(email: str | None = "eva@example.org", text: str = "I clicked it on LAPTOP-7") -> Reporter:
    """A report of Eva's."""
    with unit_of_work() as uow:
        return reporting.receive(uow, ReportDraft("A strange mail", text, "Eva", email))


def test_a_report_opens_an_incident_that_is_trusted_little() -> None:
    reporter = reported()
    incident = bench.incident(reporter.incident_id)
    assert (incident.kind, incident.trust, incident.category) == ("report", "low", "phishing")
    assert bench.verbs("incident", incident.id)[-1] == "incident.opened"
    with reading() as session:
        seen = observables.of_incident(session, bench.ANN, incident.id)
        assert [(one.type, one.value) for one in seen] == [("host", "laptop-7")]
        assert [said.body for said in reporting.conversation(session, bench.ANN, incident.id)] == [
            "I clicked it on LAPTOP-7"
        ]


def test_the_link_is_theirs_alone_and_ends_when_it_is_ended() -> None:
    reporter, other = reported(), reported()
    token = reporter_links.status_path(reporter).removeprefix("/report/")
    thread = reporter_links.thread_token(reporter)
    with reading() as session:
        found = reporter_links.by_status(session, token)
        assert found is not None
        assert found.id == reporter.id
        for wrong in (
            token[:-1] + ("a" if token[-1] != "a" else "b"),
            token.replace(reporter.key, other.key),
            thread,
            "",
        ):
            assert reporter_links.by_status(session, wrong) is None
        answered = reporter_links.by_thread(session, f"Re: [{thread.upper()}] Fwd")
        assert answered is not None
        assert answered.id == reporter.id
        assert reporter_links.by_thread(session, f"Re: {reporter.key}-aaaaaaaaaaaa", token) is None
    with unit_of_work() as uow:
        again = reporting.end_link(uow, ANN, reporter.incident_id, reporter.id, renew=True)
        new = reporter_links.status_path(again).removeprefix("/report/")
    with reading() as session:
        assert reporter_links.by_status(session, token) is None
        assert reporter_links.by_status(session, new) is not None
    with unit_of_work() as uow:
        reporting.end_link(uow, ANN, reporter.incident_id, reporter.id, renew=False)
    with reading() as session:
        assert reporter_links.by_status(session, new) is None


def test_they_are_asked_and_answer(mail: MailServer, drain: Callable[..., int]) -> None:
    with unit_of_work() as uow:
        lead = users.create(uow, SYSTEM, email="ann@example.org", name="Ann", roles=["responder"])
        ann = users.actor_of(lead)
    reporter = reported()
    with unit_of_work() as uow:
        reporting.thank(uow, reporter)
        lifecycle.assign(uow, ann, reporter.incident_id, ann.user_id)
        reporting.answer(
            uow, ann, reporter.incident_id, reporter.id, "Did you see https://evil.example?", asks=True
        )
    drain("notify.messages", "core.outbox")
    thanks, question = mail.messages
    assert thanks["X-Envelope-To"] == "eva@example.org"
    token = reporter_links.thread_token(reporter)
    assert token in question["Subject"]
    body = question.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has one
    assert "hxxps://evil[.]example" in body
    assert reporter_links.status_path(reporter) in body
    assert "strange mail" not in thanks.as_string(), (
        "nothing of theirs is repeated to an address nobody has proved"
    )
    assert bench.incident(reporter.incident_id).waiting_on == "reporter"
    with unit_of_work() as uow:
        reporting.add(uow, reporter, "Yes", via="page")
    assert bench.incident(reporter.incident_id).waiting_on is None
    assert {"reporter.wrote", "reporter.answered", "incident.waiting_changed"} <= set(
        bench.verbs("incident", reporter.incident_id)
    )


def test_they_are_told_when_it_is_over(mail: MailServer, drain: Callable[..., int]) -> None:
    told, not_told = reported(), reported("bob@example.org")
    with unit_of_work() as uow:
        lifecycle.change(uow, ANN, not_told.incident_id, {"tlp": Tlp.red.value})
        for one in (told, not_told):
            closing.close(uow, ANN, one.incident_id, Closing("false_positive"))
    drain("core.outbox", "notify.messages")
    (sent,) = mail.messages
    assert (sent["X-Envelope-To"], "We are done" in sent["Subject"]) == ("eva@example.org", True)
    with unit_of_work() as uow:
        reporting.add(uow, told, "It mentioned a Wolpertinger", via="page")
    drain("core.outbox")
    with reading() as session:
        assert [hit.title for hit in search.search(session, bench.ANN, "wolpertinger")] == ["A strange mail"]


@pytest.mark.parametrize("how", ["red", "restricted"])
def test_their_page_keeps_back_what_is_not_for_them(how: str) -> None:
    reporter = reported()
    with unit_of_work() as uow:
        incident = uow.get_one(Incident, reporter.incident_id)
        lifecycle.change(uow, ANN, incident.id, {"title": "INTERNAL: it was Bob"})
        lifecycle.move(uow, ANN, incident.id, Stage.contain)
    with reading() as session:
        told = reporting.status(session, reporter)
    assert (told.stage, told.subject) == (Stage.contain, "A strange mail")
    with unit_of_work() as uow:
        if how == "red":
            lifecycle.change(uow, ANN, reporter.incident_id, {"tlp": Tlp.red.value})
        else:
            lifecycle.restrict(uow, ANN, reporter.incident_id, [])
    with reading() as session:
        assert reporting.status(session, reporter).stage is None
        if how == "restricted":
            assert reporting.conversation(session, bench.BOB, reporter.incident_id) == []
            assert reporting.reporters(session, bench.BOB, reporter.incident_id) == []
    with unit_of_work() as uow, pytest.raises((NotFound, Forbidden)):
        reporting.answer(uow, bench.BOB, reporter.incident_id, reporter.id, "Hello")
    reader = Actor(bench.BOB.kind, bench.BOB.id, "Bob", frozenset({READ.name}))
    with unit_of_work() as uow, pytest.raises(Forbidden):
        reporting.answer(uow, reader, reporter.incident_id, reporter.id, "Hello")


def test_what_is_empty_or_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with unit_of_work() as uow, pytest.raises(Invalid):
        reporting.receive(uow, ReportDraft(" ", "text"))
    reporter = reported()
    with unit_of_work() as uow, pytest.raises(Invalid):
        reporting.add(uow, reporter, "  ", via="page")
    monkeypatch.setattr(reporting, "MOST_MESSAGES", 1)
    with unit_of_work() as uow, pytest.raises(Conflict):
        reporting.add(uow, reporter, "more", via="page")


def test_limits_count_each_address_and_all_together(clock: HeldClock) -> None:
    for _ in range(3):
        limits.take("report", "192.0.2.1", most=3, overall=5)
    with pytest.raises(TooMany):
        limits.take("report", "192.0.2.1", most=3, overall=5)
    limits.take("other", "192.0.2.1", most=3, overall=5)
    limits.take("report", "192.0.2.2", most=3, overall=5)
    limits.take("report", "192.0.2.3", most=3, overall=5)
    with pytest.raises(TooMany):
        limits.take("report", "192.0.2.4", most=3, overall=5)
    clock.advance(timedelta(hours=1, seconds=1))
    limits.take("report", "192.0.2.1", most=3, overall=5)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("eva@example.org", True),
        ("eva@example.org, bob@example.org", False),
        ("Eva <eva@example.org>", False),
        ("eva@example.org\nBcc: x@example.org", False),
        ("eva", False),
    ],
)
def test_addresses_that_we_may_write_to(text: str, is_one: bool) -> None:
    assert reporting.is_address(text) == is_one
