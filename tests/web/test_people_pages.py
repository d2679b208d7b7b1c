"""Who people are: the first start's form, one's own address, and everybody's on the users page."""

from uuid import UUID

import pytest
from at_the_pages import Reader
from people_here import People

from core.actors import SYSTEM
from core.auth import sessions, users
from core.auth.models import User
from core.db import reading, unit_of_work

pytestmark = pytest.mark.usefixtures("sqlite_database")
PASSWORD = "a long first sentence"


def held(user_id: str | UUID) -> User:
    with reading() as session:
        return users.get(session, UUID(str(user_id)))


def invited(email: str, name: str) -> tuple[User, str]:
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=email, name=name, roles=["administrator"])
        return user, users.start_path(user)


def test_the_first_administrator_says_who_they_are() -> None:
    admin, link = invited("admin@localhost", "Administrator")
    stranger = Reader()
    page = stranger.get(link)
    assert "admin@localhost" not in page
    assert "Pages are sent there" in page
    chosen = {"name": "Ana Ruiz", "password": PASSWORD, "again": PASSWORD}
    for wrong in ("", "ana", "ana@example.org, luis@example.org"):
        answer = stranger.post(link, status=422, email=wrong, **chosen)
        assert "is not an e-mail address" in answer.text
        assert 'value="Ana Ruiz"' in answer.text  # what was entered stays
    assert "needs 1 to 200 characters" in stranger.post(
        link, status=422, **{**chosen, "name": " ", "email": "ana@example.org"}
    ).text  # fmt: skip
    assert held(admin.id).password is None
    stranger.post(link, email="Ana@Example.org", **chosen)
    assert (held(admin.id).email, held(admin.id).name) == ("ana@example.org", "Ana Ruiz")
    assert sessions.actor_for(sessions.sign_in("ana@example.org", PASSWORD)) is not None
    stranger.get(link, status=422)


def test_an_address_that_somebody_has_is_refused_at_the_first_start(people: People) -> None:
    _, link = invited("nia@example.org", "Nia")
    assert 'value="nia@example.org"' in Reader().get(link)
    chosen = {"name": "Nia", "password": PASSWORD, "again": PASSWORD}
    answer = Reader().post(link, status=422, email="rita@example.org", **chosen)
    assert "rita@example.org is already a user here" in answer.text
    assert 'value="rita@example.org"' in answer.text


def test_a_link_for_a_forgotten_password_changes_nothing_else(people: People) -> None:
    with unit_of_work() as uow:
        rita = users.set_password(
            uow, SYSTEM, UUID(people.rita.id), users.hash_password("the former, long one")
        )
    link = users.start_path(rita)
    assert "readonly" in Reader().get(link)
    Reader().post(link, name="Else", email="else@example.org", password=PASSWORD, again=PASSWORD)
    assert (held(rita.id).email, held(rita.id).name) == ("rita@example.org", "Rita")


def test_my_address_is_mine_to_change_with_my_password(people: People) -> None:
    with unit_of_work() as uow:
        users.set_password(uow, SYSTEM, UUID(people.rita.id), users.hash_password(PASSWORD))
    here, elsewhere = Reader(people.rita), Reader(people.rita)
    wrong = here.post("/profile/email", status=422, email="rita@new.example", present="not it")
    assert "present password is not right" in wrong.text
    assert "rita@new.example" in wrong.text
    for taken, says in (("raul@example.org", "is already a user"), ("rita", "is not an e-mail address")):
        assert says in here.post("/profile/email", status=422, email=taken, present=PASSWORD).text
    here.post("/profile/email", email="rita@new.example", present=PASSWORD)
    assert "rita@new.example" in here.get("/profile")
    elsewhere.get("/profile", status=303)


def test_an_administrator_changes_others_addresses_but_not_their_own_here(people: People) -> None:
    ana, rita = Reader(people.ana), Reader(people.rita)
    path = f"/settings/users/{people.rita.id}/email"
    rita.post(path, status=403, email="rita@new.example")
    taken = ana.post(path, status=422, email="raul@example.org")
    assert "raul@example.org is already a user here" in taken.text
    ana.post(path, email="rita@new.example")
    assert "rita@new.example" in ana.get("/settings/users")
    rita.get("/profile", status=303)
    own = ana.post(f"/settings/users/{people.ana.id}/email", status=422, email="ana@new.example")
    assert "asks for your password" in own.text
    assert f'action="/settings/users/{people.ana.id}/email"' not in ana.get("/settings/users")
