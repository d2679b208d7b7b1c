"""A page outlives the outage of its mail server: it is tried again, begins again, and is never sent many times at once."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from held_time import HeldClock
from mail_server import MailServer

from core import journal
from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.settings import configure, settings
from core.types import Ref, Severity
from notify import contacts, delivery, paging, queries
from notify.escalation import Target
from notify.models import Page, PageState
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy

Drain = Callable[..., int]


@pytest.fixture
def mail(database: object, clock: HeldClock) -> Iterator[MailServer]:
    """The installation's mail server, which is away until it is started."""
    server = MailServer()
    configure(settings().with_(smtp_url=server.url, smtp_from="tocsin@example.org"))
    yield server
    server.stop()


@pytest.fixture
def page(mail: MailServer) -> UUID:
    """A page for Ana, who has her mail and nothing else."""
    with unit_of_work() as uow:
        ana = users.create(uow, SYSTEM, email="ana@example.org", name="Ana", roles=["responder"])
        contacts.add(uow, SYSTEM, user_id=ana.id, channel="email", address={"to": ana.email})
        target = (Target("user", str(ana.id)),)
        create_policy(uow, SYSTEM, PolicyDraft("critical", (StepDraft(target, 300),), target))
    with unit_of_work() as uow:
        return delivery.page(
            uow, SYSTEM, policy="critical", subject=Ref("incident", "1"), title="Ransomware on finance-7", message="",
            severity=Severity.critical, path="/incidents/1", kind="alert",
        ).id  # fmt: skip


def look(page_id: UUID) -> Page:
    with reading() as session:
        return queries.page_by_id(session, page_id)


def began_again(page_id: UUID) -> int:
    with reading() as session:
        told = journal.entries(session, ref=Ref("page", str(page_id)), verbs=["page.started"], limit=200)
    return sum(bool(entry.body.get("again")) for entry in told)


def test_a_mail_server_away_for_seconds_loses_no_page(page: UUID, mail: MailServer, drain: Drain, clock: HeldClock) -> None:
    drain()
    assert look(page).state == PageState.exhausted, "there is nobody else"
    mail.start()
    clock.advance(seconds=6)
    drain()
    assert len(mail.messages) == 1, "what may pass is tried again, though the policy is at its end"
    with unit_of_work() as uow:
        delivery.acknowledge(uow, SYSTEM, page, "web")
    clock.advance(minutes=20)
    drain()
    assert (len(mail.messages), began_again(page)) == (1, 0)


def test_a_mail_server_away_for_an_hour_loses_no_page_and_is_not_flooded(
    page: UUID, mail: MailServer, drain: Drain, clock: HeldClock
) -> None:
    for _ in range(60):
        drain()
        clock.advance(minutes=1)
    drain()
    assert look(page).state == PageState.exhausted
    assert 4 <= began_again(page) <= 7, "after 1, 2, 5, 10 and then each 15 minutes"
    mail.start()
    for _ in range(16):
        clock.advance(minutes=1)
        drain()
    assert 1 <= len(mail.messages) <= 3, "as many as the policy's steps give it, not one for each time that failed"
    with unit_of_work() as uow:
        delivery.acknowledge(uow, SYSTEM, page, "web")
    sent = len(mail.messages)
    clock.advance(hours=1)
    drain()
    assert len(mail.messages) == sent


def test_a_page_that_reached_somebody_ends_with_its_policy(page: UUID, mail: MailServer, drain: Drain, clock: HeldClock) -> None:
    mail.start()
    for _ in range(60):
        drain()
        clock.advance(minutes=1)
    assert (look(page).state, began_again(page)) == (PageState.exhausted, 0)
    assert len(mail.messages) == 2, "its step and its last resort"
    assert look(page).due_at is None


def test_the_rests_grow() -> None:
    assert list(paging.RESTS) == sorted(paging.RESTS)
    assert paging.RESTS[-1] <= timedelta(minutes=15)
