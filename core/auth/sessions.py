"""Signing in, with a second step for those who have a second factor, and the server's side of a session."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core import db
from core.actors import SYSTEM, Actor
from core.auth import facts, factors, second_step, throttle, users
from core.auth.models import User, UserSession
from core.auth.second_step import Shown
from core.db import UnitOfWork, database_now, reading, unit_of_work
from core.errors import Invalid, Unauthenticated
from core.ids import secret_token, token_digest
from core.journal import Fact, record
from core.secrets import sign, unsign
from core.types import Ref

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=4)
_SEEN_EVERY = timedelta(minutes=2)
_STEP = "auth.second_step"
_STEP_LIFE = 5 * 60  # seconds from the password to the second step


class NeedsSecondStep(Unauthenticated):
    """The password is right; the session begins with the second step, for which `ticket` is good for five minutes."""

    code = "second-step"

    def __init__(self, ticket: str) -> None:
        super().__init__("Show your second factor to sign in.")
        self.ticket = ticket


def sign_in(email: str, password: str, *, address: str | None = None, agent: str | None = None) -> str:
    """Check a password and start a session; returns the cookie's token.

    Raises Unauthenticated without saying which part was wrong, NeedsSecondStep for those who have a second factor, or
    TooMany after repeated failures.
    """
    account = email.strip().lower()
    keys = [throttle.pair(account, address), throttle.account(account), throttle.place(address)]
    with reading() as session:
        throttle.check(session, keys)
        user = users.by_email(session, email)
    right = users.password_fits(user.password if user else None, password)  # slow: no transaction is open
    if user is None or not right or user.disabled_at is not None:
        with unit_of_work() as uow:
            throttle.count(uow, keys)
            refs = (Ref("user", str(user.id)),) if user else ()
            record(uow, SYSTEM, Fact(facts.SIGN_IN_FAILED, refs, {}, {"address": address}))
        raise Unauthenticated("The address and the password do not fit together.")
    with unit_of_work() as uow:
        throttle.forgive(uow, keys[:2])
        if not factors.enrolled(uow, user.id):
            return start(uow, user, address=address, agent=agent)
    raise NeedsSecondStep(sign(_STEP, {"user": str(user.id), "had": _mark(user)}, _STEP_LIFE))


def second_step_of(session: Session, ticket: str) -> User:
    """The user whose password was right when the ticket was made. Raises Invalid when it no longer holds."""
    told = unsign(_STEP, ticket)
    user = session.get(User, UUID(told["user"]))
    if user is None or user.disabled_at is not None or _mark(user) != told["had"]:
        raise Invalid("Begin again: this sign-in no longer holds.")
    return user


def sign_in_second(
    ticket: str, shown: Shown, *, address: str | None = None, agent: str | None = None
) -> str:
    """The second step: check what is shown and start the session; returns the cookie's token. Raises Invalid, TooMany."""
    with reading() as session:
        user = second_step_of(session, ticket)
    second_step.check(user.id, shown, address=address)
    with unit_of_work() as uow:
        return start(uow, second_step_of(uow, ticket), address=address, agent=agent, proved_at=uow.now)


def _mark(user: User) -> str:
    """Changes with the password."""
    return (user.password or "")[-12:]


def start(
    uow: UnitOfWork, user: User, *, address: str | None = None, agent: str | None = None,
    proved_at: datetime | None = None,
) -> str:  # fmt: skip
    """Start a session for a user who has proved who they are; returns the cookie's token."""
    token = secret_token()
    uow.add(
        UserSession(
            user_id=user.id, digest=token_digest(token), created_at=uow.now, seen_at=uow.now,
            expires_at=uow.now + LIFETIME, proved_at=proved_at, address=address, agent=(agent or "")[:200] or None,
        )
    )  # fmt: skip
    told = Fact(facts.SIGNED_IN, (Ref("user", str(user.id)),), {}, {"address": address})
    record(uow, users.actor_of(user, proved_at), told)
    return token


def actor_for(token: str, *, used: bool = True) -> Actor | None:
    """The actor of a live session, or None; remembers that it was used, unless a person did nothing (`used`)."""
    at = db.present()
    query = (
        select(UserSession, User, db.moment(told=bool(at)))
        .join(User, User.id == UserSession.user_id)
        .where(UserSession.digest == token_digest(token))
    )
    with reading() as session:
        found = session.execute(query, at).one_or_none()
    if found is None:
        return None
    held, user, at = found
    if held.ended_at or held.expires_at <= at or held.seen_at <= at - IDLE or user.disabled_at:
        return None
    if used and held.seen_at <= at - _SEEN_EVERY:
        _touch(held.id, at)
    return users.actor_of(user, held.proved_at)


def sign_out(token: str) -> None:
    """End a session; an unknown token changes nothing."""
    with unit_of_work() as uow:
        held = uow.scalar(select(UserSession).where(UserSession.digest == token_digest(token)))
        if held is None or held.ended_at is not None:
            return
        held.ended_at = uow.now
        user = users.get(uow, held.user_id)
        record(uow, users.actor_of(user), Fact(facts.SIGNED_OUT, (Ref("user", str(user.id)),)))


def of_user(session: Session, user_id: UUID) -> list[UserSession]:
    """A person's live sessions, the one used last first."""
    at = database_now(session)
    query = select(UserSession).where(
        UserSession.user_id == user_id,
        UserSession.ended_at.is_(None),
        UserSession.expires_at > at,
        UserSession.seen_at > at - IDLE,
    )
    return list(session.scalars(query.order_by(UserSession.seen_at.desc(), UserSession.id)))


def proved_at(session: Session, token: str) -> datetime | None:
    """When the token's session last showed a second factor."""
    return session.scalar(select(UserSession.proved_at).where(UserSession.digest == token_digest(token)))


def is_of(held: UserSession, token: str) -> bool:
    """Whether the token is this session's."""
    return held.digest == token_digest(token)


def end_others(uow: UnitOfWork, actor: Actor, token: str) -> int:
    """End all of one's own sessions but the token's; returns how many there were."""
    others = [held for held in of_user(uow, actor.user_id) if not is_of(held, token)] if actor.user_id else []
    for held in others:
        held.ended_at = uow.now
    if others:
        record(uow, actor, Fact(facts.SIGNED_OUT, (Ref("user", actor.id),), {"others": len(others)}))
    return len(others)


def _touch(session_id: UUID, at: datetime) -> None:
    with unit_of_work() as uow:
        uow.execute(update(UserSession).where(UserSession.id == session_id).values(seen_at=at))
