"""Coming in: passwords, sessions, start links, tokens, and the throttle against guessing."""

import threading
from datetime import timedelta

import pytest
from held_time import HeldClock
from sqlalchemy import select

from core import retention
from core.actors import SYSTEM, Actor
from core.auth import permissions, sessions, tokens, users
from core.auth.models import SignInFailure, User
from core.db import reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, TooMany, Unauthenticated
from core.journal import entries
from core.types import Ref

PASSWORD = "correct horse battery staple"
HASHED = users.hash_password(PASSWORD)


def someone(email: str = "ana@example.org", roles: tuple[str, ...] = ("responder",)) -> User:
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=email, name="Ana", roles=roles)
        users.set_password(uow, SYSTEM, user.id, HASHED)
    return user


def test_the_right_password_starts_a_session_that_can_be_ended(database: object) -> None:
    user = someone("Ana@Example.org")
    token = sessions.sign_in("ana@example.ORG ", PASSWORD, address="192.0.2.1", agent="Firefox")
    actor = sessions.actor_for(token)
    assert actor is not None
    assert actor.user_id == user.id
    sessions.sign_out(token)
    assert sessions.actor_for(token) is None
    sessions.sign_out(token)
    assert sessions.actor_for("unknown") is None


@pytest.mark.parametrize(
    ("email", "password"), [("ana@example.org", "wrong"), ("nobody@example.org", PASSWORD)]
)
def test_a_refusal_does_not_say_which_part_was_wrong(
    sqlite_database: object, email: str, password: str
) -> None:
    someone()
    with pytest.raises(Unauthenticated, match="do not fit together"):
        sessions.sign_in(email, password)


def test_sessions_end_by_idleness_age_disabling_and_a_new_password(
    sqlite_database: object, clock: HeldClock
) -> None:
    someone("boss@example.org", ("administrator",))
    user = someone()
    idle = sessions.sign_in(user.email, PASSWORD)
    clock.advance(sessions.IDLE + timedelta(minutes=1))
    assert sessions.actor_for(idle) is None
    used = sessions.sign_in(user.email, PASSWORD)
    for _ in range(3):
        clock.advance(hours=3)
        assert sessions.actor_for(used) is not None
    clock.advance(hours=3)
    assert sessions.actor_for(used) is None
    changed = sessions.sign_in(user.email, PASSWORD)
    with unit_of_work() as uow:
        users.set_password(uow, SYSTEM, user.id, HASHED)
    assert sessions.actor_for(changed) is None
    out = sessions.sign_in(user.email, PASSWORD)
    with unit_of_work() as uow:
        users.disable(uow, SYSTEM, user.id)
    assert sessions.actor_for(out) is None
    with pytest.raises(Unauthenticated):
        sessions.sign_in(user.email, PASSWORD)


def test_guessing_is_slowed_down_but_keeps_nobody_out(sqlite_database: object, clock: HeldClock) -> None:
    user = someone()
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            sessions.sign_in(user.email, "guess", address="203.0.113.9")
    with pytest.raises(TooMany) as refused:
        sessions.sign_in(user.email, PASSWORD, address="203.0.113.9")
    assert refused.value.retry_after >= 1
    assert sessions.sign_in(user.email, PASSWORD, address="192.0.2.7")
    clock.advance(minutes=16)
    assert sessions.sign_in(user.email, PASSWORD, address="203.0.113.9")


def test_a_machine_with_a_whole_network_of_addresses_guesses_no_oftener(database: object, clock: HeldClock) -> None:
    user = someone()
    for last in range(1, 6):
        with pytest.raises(Unauthenticated):
            sessions.sign_in(user.email, "guess", address=f"2001:db8:0:7::{last:x}")
    with pytest.raises(TooMany):
        sessions.sign_in(user.email, PASSWORD, address="2001:db8:0:7:ffff::1")
    assert sessions.sign_in(user.email, PASSWORD, address="2001:db8:0:8::1")


def test_what_a_stranger_types_as_an_address_is_not_kept(database: object, clock: HeldClock) -> None:
    long = "".join(f"{n * 7919 % 99991:x}" for n in range(2000))  # too long for an index of PostgreSQL
    for typed in (long, "my-password-in-the-wrong-field"):
        with pytest.raises(Unauthenticated):
            sessions.sign_in(typed, "guess", address="192.0.2.1")
    with reading() as session:
        held = session.scalars(select(SignInFailure.key)).all()
    assert len(held) == 5
    assert all(len(key) < 50 and "password" not in key for key in held)
    clock.advance(timedelta(hours=25))
    retention.Round().turn()
    with reading() as session:
        assert not session.scalars(select(SignInFailure.key)).all()


def test_a_start_link_works_once_and_for_a_week(sqlite_database: object) -> None:
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email="new@example.org", name="New", roles=["responder"])
    token = users.start_path(user).removeprefix("/start/")
    with reading() as session:
        assert users.from_start(session, token).id == user.id
        assert users.nobody_yet(session)
        with pytest.raises(Invalid):
            users.from_start(session, token[:-2] + "xx")
    with unit_of_work() as uow:
        users.set_password(uow, SYSTEM, user.id, HASHED)
    with reading() as session:
        assert not users.nobody_yet(session)
        with pytest.raises(Invalid, match="used already"):
            users.from_start(session, token)


def test_the_last_administrator_stays(sqlite_database: object) -> None:
    admin = someone("admin@example.org", ("administrator",))
    with pytest.raises(Conflict, match="last administrator"), unit_of_work() as uow:
        users.disable(uow, SYSTEM, admin.id)
    with pytest.raises(Conflict), unit_of_work() as uow:
        users.change(uow, SYSTEM, admin.id, roles=["auditor"])
    someone("second@example.org", ("administrator",))
    with unit_of_work() as uow:
        users.disable(uow, SYSTEM, admin.id)


def test_two_administrators_who_leave_at_the_same_moment_do_not_both_go(postgresql_database: object) -> None:
    one, other = (someone(f"{name}@example.org", ("administrator",)) for name in ("one", "other"))
    stayed: list[Conflict] = []

    def leave() -> None:
        try:
            with unit_of_work() as uow:
                users.disable(uow, SYSTEM, other.id)
        except Conflict as refused:
            stayed.append(refused)

    leaving = threading.Thread(target=leave)
    with unit_of_work() as uow:
        users.disable(uow, SYSTEM, one.id)
        leaving.start()
        leaving.join(0.5)  # long enough to go, if nothing held it
    leaving.join()
    assert len(stayed) == 1


def test_people_change_their_own_name_but_not_their_roles(sqlite_database: object) -> None:
    user = someone()
    me = users.actor_of(user)
    with unit_of_work() as uow:
        users.change(uow, me, user.id, name="Ana M.", timezone="Europe/Madrid")
    with pytest.raises(Forbidden, match="Manage users"), unit_of_work() as uow:
        users.change(uow, me, user.id, roles=["administrator"])
    with pytest.raises(Invalid) as refused, unit_of_work() as uow:
        users.change(uow, me, user.id, timezone="Madrid")
    assert [p.path for p in refused.value.problems] == ["timezone"]


def test_a_token_holds_what_it_names_until_it_ends(sqlite_database: object, clock: HeldClock) -> None:
    with unit_of_work() as uow:
        row, token = tokens.create(
            uow, SYSTEM, name="ci", scopes=["work.manage"], expires_at=uow.now + timedelta(days=1)
        )
    actor = tokens.actor_for(token)
    assert actor is not None
    assert actor.permissions == {"work.manage"}
    assert tokens.actor_for(token + "x") is None
    clock.advance(days=1)
    assert tokens.actor_for(token) is None
    with unit_of_work() as uow:
        row, token = tokens.create(uow, SYSTEM, name="bot", scopes=["role:manager"])
        tokens.revoke(uow, SYSTEM, row.id)
    assert tokens.actor_for(token) is None
    with pytest.raises(Invalid), unit_of_work() as uow:
        tokens.create(uow, SYSTEM, name="", scopes=["role:king", "no.such"])


def test_permissions_come_with_roles() -> None:
    assert "user.manage" in permissions.of_roles(["administrator"])
    assert "user.manage" not in permissions.of_roles(["responder", "manager", "auditor"])
    with pytest.raises(Forbidden, match="administrator"):
        permissions.require(Actor(SYSTEM.kind.__class__.token, "x", "x"), "user.manage")


def test_an_address_is_changed_by_its_owner_or_an_administrator_and_sessions_end(database: object) -> None:
    boss = users.actor_of(someone("boss@example.org", ("administrator",)))
    ana = someone()
    here, there = (sessions.sign_in(ana.email, PASSWORD) for _ in range(2))
    with unit_of_work() as uow:
        users.readdress(uow, users.actor_of(ana), ana.id, " Ana@New.example ", keep=here)
    assert sessions.actor_for(here) is not None
    assert sessions.actor_for(there) is None
    with pytest.raises(Unauthenticated):
        sessions.sign_in("ana@example.org", PASSWORD)
    assert sessions.actor_for(sessions.sign_in("ana@new.example", PASSWORD)) is not None
    with reading() as session:
        (told,) = entries(session, ref=Ref("user", str(ana.id)), verbs=["user.address_changed"])
    assert (told.actor_id, told.body) == (str(ana.id), {})
    assert told.data == {"from": "ana@example.org", "to": "ana@new.example"}
    with unit_of_work() as uow:
        users.readdress(uow, boss, ana.id, "ana.ruiz@example.org")
    assert sessions.actor_for(here) is None


def test_an_address_that_is_taken_or_none_is_refused_with_a_sentence(database: object) -> None:
    ana, luis = someone(), someone("luis@example.org")
    for wrong in (
        "",
        "ana",
        "ana@",
        "a na@example.org",
        "a@example.org,b@example.org",
        "Ana <a@example.org>",
    ):
        with unit_of_work() as uow, pytest.raises(Invalid) as refused:
            users.readdress(uow, SYSTEM, ana.id, wrong)
        assert [problem.path for problem in refused.value.problems] == ["email"]
    with unit_of_work() as uow, pytest.raises(Conflict, match=r"luis@example\.org is already a user"):
        users.readdress(uow, SYSTEM, ana.id, "LUIS@example.org")
    with unit_of_work() as uow, pytest.raises(Conflict, match="is already a user"):
        users.create(uow, SYSTEM, email="luis@example.org", name="Another", roles=["responder"])
    with unit_of_work() as uow, pytest.raises(Forbidden):
        users.readdress(uow, users.actor_of(luis), ana.id, "mine@example.org")
    with reading() as session:
        assert users.get(session, ana.id).email == "ana@example.org"
        assert not entries(session, ref=Ref("user", str(ana.id)), verbs=["user.address_changed"])


def test_two_who_take_one_address_at_once_both_get_a_sentence(
    database: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = someone()
    someone("luis@example.org")
    monkeypatch.setattr(users, "_refuse_taken", lambda *_: None)  # as if the other had committed just after
    with pytest.raises(Conflict, match="somebody else's"), unit_of_work() as uow:
        users.readdress(uow, SYSTEM, ana.id, "luis@example.org")
