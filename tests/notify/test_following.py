"""Mails follow a person whose address has changed; the former address is told."""

from collections.abc import Callable
from uuid import UUID

import pytest

from core.actors import SYSTEM
from core.auth import users
from core.db import reading, unit_of_work
from core.settings import configure, settings
from core.types import Ref
from notify import contacts, queries

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def mail(database: object) -> None:
    """Mail is set up, at a server that nobody asks here."""
    configure(settings().with_(smtp_url="smtp://127.0.0.1:9"))


def person(email: str) -> UUID:
    with unit_of_work() as uow:
        return users.create(uow, SYSTEM, email=email, name="Ana", roles=["administrator"]).id


def reached(user_id: UUID) -> list[tuple[str, str, bool]]:
    with reading() as session:
        found = queries.contact_methods(session, user_id)
    return [(one.channel, one.shown, one.verified_at is not None) for one in found]


def test_mails_to_the_former_address_go_to_the_new_one_which_is_yet_to_be_tested(
    drain: Callable[..., object],
) -> None:
    ana = person("ana@example.org")
    with unit_of_work() as uow:
        for to in ("ana@example.org", "ana@home.example"):
            contacts.verified(uow, SYSTEM, contacts.add(uow, SYSTEM, user_id=ana, channel="email", address={"to": to}).id)
    assert reached(ana)[0] == ("email", "ana@example.org", True)
    with unit_of_work() as uow:
        users.readdress(uow, SYSTEM, ana, "ana@new.example")
    drain()
    assert reached(ana) == [("email", "ana@new.example", False), ("email", "ana@home.example", True)]


def test_the_first_administrator_is_written_to_once_they_have_an_address(
    mail: None, drain: Callable[..., object]
) -> None:
    admin = person("admin@localhost")
    with unit_of_work() as uow:
        users.readdress(uow, SYSTEM, admin, "boss@example.org")
    drain("core.outbox")
    assert reached(admin) == [("email", "boss@example.org", False)], "used at once, and to be confirmed"


def test_the_former_address_is_told(mail: None, drain: Callable[..., object]) -> None:
    ana = person("ana@example.org")
    with unit_of_work() as uow:
        users.readdress(uow, SYSTEM, ana, "mallory@example.net")
    drain("core.outbox")
    with reading() as session:
        (told,) = queries.messages(session, [Ref("user", str(ana))])
    assert (told.channel, told.shown) == ("email", "ana@example.org")
    assert "tell an administrator" in told.text
