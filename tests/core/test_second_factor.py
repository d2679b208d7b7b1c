"""A second factor: set up, asked for at sign-in, never accepted twice, and shown again before what disrupts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier

import pyotp
import pytest
from held_time import HeldClock

from core.actors import SYSTEM, Actor, ActorKind
from core.auth import factors, recovery, second_step, sessions, totp, users
from core.auth.models import SecondFactor, User
from core.auth.second_step import Shown
from core.db import database_now, reading, unit_of_work
from core.errors import Conflict, Forbidden, Invalid, NeedsSecondFactor, TooMany
from core.ids import token_digest
from core.journal import entries
from core.settings import configure, settings
from core.types import Ref

PASSWORD = "correct horse battery staple"
HASHED = users.hash_password(PASSWORD)


@dataclass
class Enrolled:
    """Somebody with an app, as they are right after setting it up."""

    user: User
    app: pyotp.TOTP
    codes: list[str]
    token: str

    def code(self) -> str:
        """What the app shows now."""
        with reading() as session:
            return self.app.at(database_now(session))

    def actor(self) -> Actor:
        """The person at the session in which the app was set up."""
        found = sessions.actor_for(self.token)
        assert found is not None
        return found


def someone(email: str = "ana@example.org", role: str = "responder") -> User:
    with unit_of_work() as uow:
        user = users.create(uow, SYSTEM, email=email, name=email.partition("@")[0].title(), roles=[role])
        users.set_password(uow, SYSTEM, user.id, HASHED)
    return user


def with_app(email: str = "ana@example.org", role: str = "responder") -> Enrolled:
    user = someone(email, role)
    token = sessions.sign_in(email, PASSWORD)
    actor = sessions.actor_for(token)
    assert actor is not None
    with unit_of_work() as uow:
        begun = totp.begin(uow, actor, password=True)
        app = pyotp.TOTP(totp.secret_of(begun))
    with unit_of_work() as uow:
        totp.confirm(uow, actor, begun.id, app.at(uow.now), session=token_digest(token))
        codes = recovery.fresh(uow, actor, user.id)
    return Enrolled(user, app, codes, token)


def second(ticketed: pytest.ExceptionInfo[sessions.NeedsSecondStep], code: str) -> str:
    return sessions.sign_in_second(ticketed.value.ticket, Shown(code))


def test_an_app_counts_only_once_a_code_was_typed_and_the_secret_is_sealed(
    database: object, clock: HeldClock
) -> None:
    user = someone()
    token = sessions.sign_in("ana@example.org", PASSWORD)
    actor = sessions.actor_for(token)
    assert actor is not None
    with unit_of_work() as uow, pytest.raises(Conflict, match="Enter your password"):
        totp.begin(uow, actor)
    with unit_of_work() as uow:
        begun = totp.begin(uow, actor, password=True)
        secret = totp.secret_of(begun)
        assert secret not in (begun.sealed or "")
    assert sessions.sign_in("ana@example.org", PASSWORD)  # nothing is asked for yet
    with unit_of_work() as uow, pytest.raises(Invalid, match="not the code"):
        totp.confirm(uow, actor, begun.id, "000000", session=token_digest(token))
    with unit_of_work() as uow:
        totp.confirm(uow, actor, begun.id, pyotp.TOTP(secret).at(uow.now), session=token_digest(token))
    with pytest.raises(sessions.NeedsSecondStep):
        sessions.sign_in("ana@example.org", PASSWORD)
    now = sessions.actor_for(token)
    assert now is not None
    assert now.proved_at is not None
    with reading() as session:
        told = list(entries(session, ref=Ref("user", str(user.id)), limit=5))
    assert "factor.added" in {entry.verb for entry in told}
    assert secret not in str([(entry.body, entry.data) for entry in told])


def test_sign_in_takes_both_steps_and_a_code_works_once(database: object, clock: HeldClock) -> None:
    ana = with_app()
    clock.advance(timedelta(minutes=1))
    with pytest.raises(sessions.NeedsSecondStep) as first:
        sessions.sign_in("ana@example.org", PASSWORD)
    code = ana.code()
    token = second(first, f" {code[:3]} {code[3:]} ")
    actor = sessions.actor_for(token)
    assert actor is not None
    assert actor.proved_at is not None
    with pytest.raises(Invalid, match="each only once"):
        second(first, code)  # whoever looked over the shoulder has nothing
    clock.advance(timedelta(seconds=30))
    assert second(first, ana.code())


def test_codes_that_are_sent_all_at_once_are_guesses_one_after_the_other(database: object, clock: HeldClock) -> None:
    ana = with_app()
    ready = Barrier(12)

    def guess(_: int) -> type[Exception]:
        ready.wait()
        with pytest.raises((Invalid, TooMany)) as refused:
            second_step.check(ana.user.id, Shown("000000"))
        return refused.type

    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(guess, range(12)))
    assert told.count(Invalid) == 5


@pytest.mark.parametrize(("drift", "good"), [(-30, True), (31, True), (-65, False), (65, False), (0, True)])
def test_a_phone_s_clock_may_be_off_by_one_step(
    sqlite_database: object, clock: HeldClock, drift: int, good: bool
) -> None:
    ana = with_app()
    clock.advance(timedelta(minutes=5))
    with reading() as session:
        shown = ana.app.at(database_now(session) + timedelta(seconds=drift))
    if good:
        assert second_step.check(ana.user.id, Shown(shown)) == "totp"
    else:
        with pytest.raises(Invalid):
            second_step.check(ana.user.id, Shown(shown))


def test_guessing_is_slowed_down_and_told(sqlite_database: object, clock: HeldClock) -> None:
    ana = with_app()
    for _ in range(5):
        with pytest.raises(Invalid):
            second_step.check(ana.user.id, Shown("000000"), address="192.0.2.9")
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(TooMany):
        second_step.check(ana.user.id, Shown(ana.code()))
    clock.advance(timedelta(minutes=16))
    assert second_step.check(ana.user.id, Shown(ana.code())) == "totp"
    with reading() as session:
        refused = [
            one
            for one in entries(session, ref=Ref("user", str(ana.user.id)), limit=20)
            if one.verb == "factor.refused"
        ]
    assert len(refused) == 5
    assert refused[0].data == {"address": "192.0.2.9"}


def test_each_recovery_code_works_once_and_new_ones_replace_the_old(
    database: object, clock: HeldClock
) -> None:
    ana = with_app()
    one, other = ana.codes[0], ana.codes[1]
    assert second_step.check(ana.user.id, Shown(one.upper())) == "recovery"
    with pytest.raises(Invalid):
        second_step.check(ana.user.id, Shown(one))
    with unit_of_work() as uow:
        assert recovery.left(uow, ana.user.id) == 9
        new = recovery.make(uow, ana.actor())
    with pytest.raises(Invalid):
        second_step.check(ana.user.id, Shown(other))
    assert second_step.check(ana.user.id, Shown(new[0].replace("-", ""))) == "recovery"
    someone_else = with_app("eva@example.org")
    with pytest.raises(Invalid):
        second_step.check(someone_else.user.id, Shown(new[1]))  # a code is its owner's


def test_a_ticket_of_the_first_step_ends_with_the_password_and_with_time(
    sqlite_database: object, clock: HeldClock
) -> None:
    ana = with_app()
    clock.advance(timedelta(minutes=1))
    with pytest.raises(sessions.NeedsSecondStep) as first:
        sessions.sign_in("ana@example.org", PASSWORD)
    with unit_of_work() as uow:
        users.set_password(uow, SYSTEM, ana.user.id, users.hash_password("another long sentence"))
    with pytest.raises(Invalid, match="Begin again"):
        second(first, ana.code())
    with pytest.raises(Invalid, match="not valid"):
        sessions.sign_in_second("forged", Shown(ana.code()))


def test_what_was_shown_grows_old_and_can_be_shown_again(database: object, clock: HeldClock) -> None:
    ana = with_app()
    with reading() as session:
        factors.require_fresh(session, ana.actor())
    clock.advance(timedelta(minutes=16))
    with reading() as session, pytest.raises(NeedsSecondFactor) as needed:
        factors.require_fresh(session, ana.actor())
    assert needed.value.enrolled
    with pytest.raises(Invalid):
        second_step.show_again(ana.token, ana.actor(), Shown("123456"))
    now = second_step.show_again(ana.token, ana.actor(), Shown(ana.code()))
    with reading() as session:
        factors.require_fresh(session, now)
        factors.require_fresh(session, ana.actor())


@pytest.mark.parametrize(("required", "enrolled", "passes"), [
    (True, False, False), (True, True, False), (False, False, True), (False, True, False),
])  # fmt: skip
def test_optional_lets_those_pass_who_have_none(
    sqlite_database: object, clock: HeldClock, required: bool, enrolled: bool, passes: bool
) -> None:
    user = with_app().user if enrolled else someone()
    configure(settings().with_(second_factor_required=required))
    with reading() as session:
        actor = users.actor_of(users.get(session, user.id))
        if passes:
            factors.require_fresh(session, actor)
        else:
            with pytest.raises(NeedsSecondFactor) as needed:
                factors.require_fresh(session, actor)
            assert needed.value.enrolled == enrolled
            assert enrolled or "have none yet" in needed.value.message


def test_programs_and_our_own_parts_have_no_second_factor(sqlite_database: object) -> None:
    with reading() as session:
        factors.require_fresh(session, SYSTEM)
        factors.require_fresh(session, Actor(ActorKind.token, "t", "a program"))


def test_removing_needs_the_factor_and_takes_the_codes_along(database: object, clock: HeldClock) -> None:
    ana = with_app()
    with reading() as session:
        (factor,) = factors.of_user(session, ana.user.id)
    clock.advance(timedelta(hours=1))
    late = ana.actor()
    with unit_of_work() as uow, pytest.raises(NeedsSecondFactor):
        factors.remove(uow, late, factor.id)
    now = second_step.show_again(ana.token, late, Shown(ana.code()))
    with unit_of_work() as uow:
        factors.remove(uow, now, factor.id)
        assert recovery.left(uow, ana.user.id) == 0
    assert sessions.sign_in("ana@example.org", PASSWORD)


def test_an_administrator_takes_somebody_s_factors_away_never_their_own(
    database: object, clock: HeldClock
) -> None:
    ana, eva = with_app(), with_app("eva@example.org", "administrator")
    with unit_of_work() as uow, pytest.raises(Forbidden):
        factors.reset(uow, ana.actor(), eva.user.id)
    with unit_of_work() as uow, pytest.raises(Conflict, match="on your own page"):
        factors.reset(uow, eva.actor(), eva.user.id)
    with unit_of_work() as uow:
        factors.reset(uow, eva.actor(), ana.user.id)
    assert sessions.actor_for(ana.token) is None
    assert sessions.sign_in("ana@example.org", PASSWORD)
    with reading() as session:
        told = entries(session, ref=Ref("user", str(ana.user.id)), verbs=["factor.reset"], limit=3)
        assert [entry.actor_name for entry in told] == ["Eva"]
    clock.advance(timedelta(hours=1))
    late = eva.actor()
    with unit_of_work() as uow, pytest.raises(NeedsSecondFactor):
        factors.reset(uow, late, ana.user.id)


def test_setting_one_up_ends_the_sessions_that_a_password_alone_began(
    sqlite_database: object, clock: HeldClock
) -> None:
    someone()
    elsewhere = sessions.sign_in("ana@example.org", PASSWORD)
    here = sessions.sign_in("ana@example.org", PASSWORD)
    actor = sessions.actor_for(here)
    assert actor is not None
    with unit_of_work() as uow:
        begun = totp.begin(uow, actor, password=True)
        totp.confirm(
            uow, actor, begun.id, pyotp.TOTP(totp.secret_of(begun)).at(uow.now), session=token_digest(here)
        )
        assert uow.get_one(SecondFactor, begun.id).confirmed_at == uow.now
    assert sessions.actor_for(elsewhere) is None
    assert sessions.actor_for(here) is not None
