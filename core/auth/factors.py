"""A person's second factors: which there are, whether one was shown lately, and taking them away."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.actors import SYSTEM, Actor, ActorKind
from core.auth import facts, permissions, users
from core.auth.models import RecoveryCode, SecondFactor, User, UserSession
from core.db import UnitOfWork, database_now
from core.errors import Conflict, NeedsSecondFactor, NotFound
from core.journal import Fact, record
from core.settings import settings
from core.types import Ref

_JUST_SIGNED_IN = timedelta(minutes=10)


def of_user(session: Session, user_id: UUID) -> list[SecondFactor]:
    """The factors that work, oldest first."""
    query = select(SecondFactor).where(
        SecondFactor.user_id == user_id, SecondFactor.confirmed_at.is_not(None)
    )
    return list(session.scalars(query.order_by(SecondFactor.confirmed_at, SecondFactor.id)))


def enrolled(session: Session, user_id: UUID) -> bool:
    """Whether the person has a factor that works."""
    return bool(of_user(session, user_id))


def everybody_enrolled(session: Session) -> set[UUID]:
    """The ids of all who have one."""
    return set(session.scalars(select(SecondFactor.user_id).where(SecondFactor.confirmed_at.is_not(None))))


def is_fresh(session: Session, actor: Actor) -> bool:
    """Whether the person's session showed a second factor within TOCSIN_SECOND_FACTOR_MINUTES."""
    if actor.proved_at is None:
        return False
    return database_now(session) - actor.proved_at <= settings().second_factor_fresh


def require_fresh(session: Session, actor: Actor) -> None:
    """Raises NeedsSecondFactor unless the person showed a second factor lately; programs and Tocsin's parts pass.

    With TOCSIN_SECOND_FACTOR=optional those who have none pass too.
    """
    if actor.kind is not ActorKind.person or actor.user_id is None or is_fresh(session, actor):
        return
    has = enrolled(session, actor.user_id)
    if has:
        raise NeedsSecondFactor("Show your second factor again to go on.", enrolled=True)
    if settings().second_factor_required:
        raise NeedsSecondFactor(
            "This needs a second factor, and you have none yet. Add an authenticator app or a passkey on your own "
            "page (You → Second factor); it takes a minute.",
            enrolled=False,
        )


def require_mine(session: Session, actor: Actor, *, password: bool = False) -> User:
    """The person, when they may change their own factors: with the one they have, shown lately.

    Somebody without one has just signed in, or gives the password (`password`: it was right), so that a browser left
    open is not enough. Raises NeedsSecondFactor, Conflict.
    """
    if actor.user_id is None:
        raise NotFound("Only people have second factors.")
    user = users.get(session, actor.user_id)
    if enrolled(session, user.id):
        if not is_fresh(session, actor):
            raise NeedsSecondFactor("Show your second factor again to go on.", enrolled=True)
    elif not password:
        raise Conflict("Enter your password, so that nobody does this at a browser you left open.")
    return user


def just_signed_in(session: Session, digest: bytes) -> bool:
    """Whether the session with this digest began so lately that its password need not be asked for again."""
    began = session.scalar(select(UserSession.created_at).where(UserSession.digest == digest))
    return began is not None and database_now(session) - began <= _JUST_SIGNED_IN


def added(uow: UnitOfWork, actor: Actor, factor: SecondFactor, *, session: bytes) -> None:
    """A factor works from now on; the session it was set up in has shown it, the person's others end."""
    factor.confirmed_at = factor.used_at = uow.now
    live = update(UserSession).where(
        UserSession.user_id == factor.user_id, UserSession.ended_at.is_(None), UserSession.proved_at.is_(None)
    )
    uow.execute(live.where(UserSession.digest != session).values(ended_at=uow.now))
    uow.execute(update(UserSession).where(UserSession.digest == session).values(proved_at=uow.now))
    record(uow, actor, Fact(facts.FACTOR_ADDED, _refs(factor), {"kind": factor.kind}, {"name": factor.name}))


def remove(uow: UnitOfWork, actor: Actor, factor_id: UUID) -> SecondFactor:
    """Take one's own factor away; the recovery codes go with the last one. Raises NotFound, NeedsSecondFactor."""
    factor = mine(uow, actor, factor_id)
    if factor.confirmed_at is None:
        uow.delete(factor)
        return factor
    user = require_mine(uow, actor)
    if not users.has_password(user) and len(of_user(uow, user.id)) == 1:
        raise Conflict("It is all that you sign in with: set a password first, on your own page.")
    uow.delete(factor)
    uow.flush()
    if not enrolled(uow, factor.user_id):
        uow.execute(delete(RecoveryCode).where(RecoveryCode.user_id == factor.user_id))
    record(uow, actor, Fact(facts.FACTOR_REMOVED, _refs(factor), {"kind": factor.kind}, {"name": factor.name}))
    return factor


def mine(session: Session, actor: Actor, factor_id: UUID) -> SecondFactor:
    """One's own factor, begun or working. Raises NotFound."""
    factor = session.get(SecondFactor, factor_id)
    if factor is None or factor.user_id != actor.user_id:
        raise NotFound("There is no such second factor of yours.")
    return factor


def reset(uow: UnitOfWork, actor: Actor, user_id: UUID) -> User:
    """Take all factors of somebody else away, so that the password alone lets them in; their sessions end.

    Raises Conflict for oneself: that would step around one's own factor.
    """
    permissions.require(actor, "user.manage")
    if actor.user_id == user_id:
        raise Conflict("Remove your own factors on your own page; it asks for one of them.")
    if actor is not SYSTEM:
        require_fresh(uow, actor)
    user = users.get(uow, user_id)
    had = uow.scalars(select(SecondFactor.kind).where(SecondFactor.user_id == user_id)).all()
    if not had:
        raise Conflict(f"{user.name} has no second factor.")
    for model in (SecondFactor, RecoveryCode):
        uow.execute(delete(model).where(model.user_id == user_id))
    live = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    uow.execute(live.values(ended_at=uow.now))
    record(uow, actor, Fact(facts.FACTOR_RESET, (Ref("user", str(user_id)),), {"kinds": sorted(had)}))
    return user


def _refs(factor: SecondFactor) -> tuple[Ref, ...]:
    return (Ref("user", str(factor.user_id)), Ref("factor", str(factor.id)))
