"""A mail server or webhook target that hangs holds up what waits for it, and nothing else."""

import time
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from free_ports import wait_until
from hanging_server import Hanging
from mail_server import MailServer
from vendor_server import Vendor

from core import queue
from core.actors import SYSTEM
from core.auth import users
from core.db import unit_of_work
from core.settings import configure, settings
from core.types import Ref, Severity
from notify import contacts, delivery
from notify.escalation import Target
from notify.oncall.policy_editing import PolicyDraft, StepDraft, create_policy

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    server = Hanging()
    yield server
    server.stop()


@pytest.fixture
def work_begins(hanging: Hanging) -> Iterator[Callable[[], None]]:
    """Starts the workers of this process."""
    dispatcher = queue.Dispatcher()

    def begin() -> None:
        queue.wake_through(dispatcher.wake)
        dispatcher.start()

    yield begin
    queue.wake_through()
    hanging.stop()  # so that nobody waits any more, and every thread ends before the database does
    dispatcher.stop()


def person(name: str, channel: str, address: dict[str, str]) -> UUID:
    """Somebody who is reached by one way, by a policy of the same name."""
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=f"{name}@example.org", name=name, roles=["responder"])
        contacts.add(uow, SYSTEM, user_id=user.id, channel=channel, address=address)
        target = (Target("user", str(user.id)),)
        create_policy(uow, SYSTEM, PolicyDraft(name, (StepDraft(target, 1800),), target))
        return user.id


def ring(*rung: tuple[str, int]) -> None:
    """One page for each policy and number."""
    with unit_of_work() as uow:
        for policy, number in rung:
            delivery.page(
                uow, SYSTEM, policy=policy, subject=Ref("incident", f"{policy}-{number}"), title=f"{policy} {number}",
                message="", severity=Severity.high, path="/incidents/1",
            )  # fmt: skip


def crowd(name: str) -> list[tuple[str, int]]:
    """Thirty pages for six people: what would fill every thread there is, were they all taken."""
    return [(f"{name}{person}", number) for person in range(6) for number in range(5)]


def test_a_hanging_webhook_does_not_hold_up_the_mail(
    hanging: Hanging, smtp_server: MailServer, work_begins: Callable[[], None]
) -> None:
    configure(settings().with_(smtp_url=smtp_server.url))
    for n in range(6):
        person(f"hook{n}", "webhook", {"url": f"http://127.0.0.1:{hanging.port}/{n}"})
    person("ana", "email", {"to": "ana@example.org"})
    ring(*crowd("hook"))
    work_begins()
    wait_until(lambda: hanging.taken == 20, seconds=8, what="two batches of ten to hang")
    began = time.monotonic()
    ring(("ana", 1))
    smtp_server.wait_for(1, seconds=5)
    assert time.monotonic() - began < 3, "it waited for the webhook's time-out"
    assert hanging.taken == 20, "no more than two batches wait for one far end"


def test_a_hanging_mail_server_does_not_hold_up_the_webhook(
    hanging: Hanging, vendor: Vendor, work_begins: Callable[[], None]
) -> None:
    configure(settings().with_(smtp_url=f"smtp://127.0.0.1:{hanging.port}"))
    for n in range(6):
        person(f"mail{n}", "email", {"to": f"mail{n}@example.org"})
    person("ana", "webhook", {"url": f"{vendor.url}/ana"})
    ring(*crowd("mail"))
    work_begins()
    wait_until(lambda: hanging.taken == 20, seconds=8, what="two batches of ten to hang")
    began = time.monotonic()
    ring(("ana", 1))
    vendor.wait_for(1, seconds=5)
    assert time.monotonic() - began < 3, "it waited for the mail server's time-out"
