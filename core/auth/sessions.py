"""Signing in with a password, the server's side of a session, and the throttle against guessing."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.actors import SYSTEM, Actor
from core.auth import facts, users
from core.auth.models import SignInFailure, User, UserSession
from core.db import UnitOfWork, database_now, reading, unit_of_work
from core.errors import TooMany, Unauthenticated
from core.ids import secret_token, token_digest
from core.journal import Fact, record
from core.types import Ref

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=4)
_SEEN_EVERY = timedelta(minutes=2)
_FORGET_AFTER = timedelta(hours=1)

# Free failures and the longest wait in seconds, by kind of key. One address guessing at one account is stopped soonest;
# an account as a whole only slows down, or anybody could keep the person on call out.
_LIMITS = {"pair": (5, 900), "user": (25, 30), "from": (20, 900)}


def sign_in(email: str, password: str, *, address: str | None = None, agent: str | None = None) -> str:
    """Check a password and start a session; returns the cookie's token.

    Raises Unauthenticated without saying which part was wrong, or TooMany after repeated failures.
    """
    keys = _throttle_keys(email.strip().lower(), address or "unknown")
    with reading() as session:
        _throttle(session, keys)
        user = users.by_email(session, email)
    right = users.password_fits(user.password if user else None, password)  # slow: no transaction is open
    if user is None or not right or user.disabled_at is not None:
        with unit_of_work() as uow:
            _count_failure(uow, keys)
            refs = (Ref("user", str(user.id)),) if user else ()
            record(uow, SYSTEM, Fact(facts.SIGN_IN_FAILED, refs, {}, {"address": address}))
        raise Unauthenticated("The address and the password do not fit together.")
    with unit_of_work() as uow:
        uow.execute(delete(SignInFailure).where(SignInFailure.key.in_(keys[:2])))
        return start(uow, user, address=address, agent=agent)


def start(uow: UnitOfWork, user: User, *, address: str | None = None, agent: str | None = None) -> str:
    """Start a session for a user who has proved who they are; returns the cookie's token."""
    token = secret_token()
    uow.add(
        UserSession(
            user_id=user.id, digest=token_digest(token), created_at=uow.now, seen_at=uow.now,
            expires_at=uow.now + LIFETIME, address=address, agent=(agent or "")[:200] or None,
        )
    )  # fmt: skip
    told = Fact(facts.SIGNED_IN, (Ref("user", str(user.id)),), {}, {"address": address})
    record(uow, users.actor_of(user), told)
    return token


def user_of(token: str) -> User | None:
    """The user of a live session, or None; remembers that it was used."""
    digest = token_digest(token)
    with reading() as session:
        at = database_now(session)
        found = session.execute(
            select(UserSession, User)
            .join(User, User.id == UserSession.user_id)
            .where(UserSession.digest == digest)
        ).one_or_none()
    if found is None:
        return None
    held, user = found
    if held.ended_at or held.expires_at <= at or held.seen_at <= at - IDLE or user.disabled_at:
        return None
    if held.seen_at <= at - _SEEN_EVERY:
        _touch(held.id, at)
    return user


def actor_for(token: str) -> Actor | None:
    """The actor of a live session, or None."""
    user = user_of(token)
    return users.actor_of(user) if user else None


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


def _throttle_keys(email: str, address: str) -> list[str]:
    return [f"pair:{email}|{address}", f"user:{email}", f"from:{address}"]


def _throttle(session: Session, keys: list[str]) -> None:
    at = database_now(session)
    for row in session.scalars(select(SignInFailure).where(SignInFailure.key.in_(keys))):
        free, longest = _LIMITS[row.key.partition(":")[0]]
        if row.failures < free or row.last_at < at - _FORGET_AFTER:
            continue
        wait = min(2 ** min(row.failures - free, 16), longest)
        left = (row.last_at + timedelta(seconds=wait) - at).total_seconds()
        if left > 0:
            raise TooMany(f"Too many failed attempts; try again in {int(left) + 1} seconds.", int(left) + 1)


def _count_failure(uow: UnitOfWork, keys: list[str]) -> None:
    for key in keys:
        row = uow.get(SignInFailure, key, with_for_update=True)
        if row is None:
            uow.add(SignInFailure(key=key, failures=1, last_at=uow.now))
        else:
            row.failures = 1 if row.last_at < uow.now - _FORGET_AFTER else row.failures + 1
            row.last_at = uow.now
