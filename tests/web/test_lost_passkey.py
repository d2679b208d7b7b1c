"""Whoever has one passkey and nothing else reads how they come back, and an administrator can let them."""

import re
from uuid import UUID

import pytest
from at_the_pages import Reader, text_of
from people_here import People

from cli import assemble
from core.actors import SYSTEM, Actor
from core.auth import factors, passkeys, users
from core.auth.models import SecondFactor
from core.db import reading, unit_of_work

pytestmark = pytest.mark.usefixtures("sqlite_database")
assemble.load()
PASSWORD = "a long first sentence"


def passkey(actor: Actor, number: int = 1) -> None:
    """Somebody signs in with a passkey, and with no password."""
    assert actor.user_id is not None
    with unit_of_work() as uow:
        user = users.get(uow, actor.user_id)
        if user.password is None:
            users.without_password(uow, user)
        uow.add(
            SecondFactor(
                user_id=user.id, kind=passkeys.KIND, name=f"Key {number}", credential=f"{user.id}{number}".encode(), public_key=b"k",
                confirmed_at=uow.now, used_at=uow.now,
            )
        )  # fmt: skip


def pages(reader: Reader) -> list[str]:
    """Where it is said: the page of second factors, and one's own."""
    return [text_of(reader.get(path)) for path in ("/profile/factor", "/profile")]


def test_the_only_administrator_is_told_to_add_a_second_way_in(people: People) -> None:
    passkey(people.ana)
    ana = Reader(people.ana)
    for page in pages(ana):
        assert "You sign in with a passkey alone." in page
        assert "you are the only administrator" in page
        assert "tocsin user reset-factor ana@example.org" in page
        assert "Add a second passkey" in page
    assert "Add a second passkey, or a password" in ana.get("/"), "a first step that is not done"
    passkey(people.ana, 2)
    for page in pages(ana):
        assert "passkey alone" not in page
    assert "Add a second passkey, or a password" not in ana.get("/")


def test_a_password_is_a_second_way_in(people: People) -> None:
    passkey(people.ana)
    with unit_of_work() as uow:
        users.set_password(uow, SYSTEM, people.ana.user_id, users.hash_password(PASSWORD))  # type: ignore[arg-type]  # a person
    assert "passkey alone" not in "".join(pages(Reader(people.ana)))


def test_others_are_told_that_an_administrator_lets_them_in_again(people: People) -> None:
    passkey(people.rita)
    for page in pages(Reader(people.rita)):
        assert "an administrator has to take it away and give you a new link" in page
        assert "reset-factor" not in page
    passkey(people.ana)
    with unit_of_work() as uow:
        users.change(uow, SYSTEM, people.mara.user_id, roles=["administrator"])  # type: ignore[arg-type]  # a person
    assert "only administrator" in "".join(pages(Reader(people.ana))), "who never signed in lets nobody in"
    passkey(people.mara)
    assert "only administrator" not in "".join(pages(Reader(people.ana)))


def test_the_lost_one_is_taken_away_and_a_link_given_at_once(people: People) -> None:
    passkey(people.rita)
    ana = Reader(people.ana)
    shown = ana.post(f"/settings/users/{people.rita.user_id}/factor", status=200).text
    link = re.search(r"/start/[^<\"]+", shown)
    assert link
    stranger = Reader()
    stranger.post(link[0], email="rita@example.org", password=PASSWORD, again=PASSWORD)
    with reading() as session:
        rita = users.get(session, UUID(people.rita.id))
        assert users.has_password(rita)
        assert not factors.enrolled(session, rita.id)


def test_it_is_said_where_one_signs_in(people: People) -> None:
    with unit_of_work() as uow:
        users.set_password(uow, SYSTEM, people.ana.user_id, users.hash_password(PASSWORD))  # type: ignore[arg-type]  # a person
    page = text_of(Reader().get("/login"))
    assert "Lost your passkey, phone or password?" in page
    assert "ask an administrator" in page
    assert "tocsin user reset-factor" in page
