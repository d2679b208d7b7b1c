"""Signing in with a passkey alone: its owner showed it a finger, a face or a PIN, so it is two factors in one."""

from core.actors import SYSTEM
from core.auth import facts, passkeys, sessions, throttle, users
from core.auth.models import User
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Unauthenticated
from core.ids import token_digest
from core.journal import Fact, record


def sign_in(ticket: str, answer: str, *, address: str | None = None, agent: str | None = None) -> str:
    """Check what the passkey answered and start a session; returns the cookie's token. Raises Unauthenticated, TooMany."""
    keys = [throttle.place(address)]
    with reading() as session:
        throttle.check(session, keys)
    with unit_of_work() as uow:
        factor = passkeys.accepted_alone(uow, ticket, answer)
        user = users.get(uow, factor.user_id) if factor is not None else None
        if user is not None and user.password is not None and user.disabled_at is None:
            return sessions.start(uow, user, address=address, agent=agent, proved_at=uow.now)
        throttle.count(uow, keys)
        record(uow, SYSTEM, Fact(facts.SIGN_IN_FAILED, (), {}, {"address": address}))
    raise Unauthenticated("This passkey is not known here, or took too long: try again, or sign in with your password.")


def begin(uow: UnitOfWork, user: User, ticket: str, answer: str, *, address: str | None, agent: str | None) -> str:
    """Somebody who has shown their start link takes a passkey instead of a password; the cookie's token of their session.

    Raises Invalid, Conflict.
    """
    users.without_password(uow, user)
    token = sessions.start(uow, user, address=address, agent=agent, proved_at=uow.now)
    me = users.actor_of(user, uow.now)
    passkeys.enrol(uow, me, ticket, answer, name="", session=token_digest(token), alone=True)
    return token
