"""Users: adding, changing, disabling them, and setting their passwords."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.actors import SYSTEM, Actor, ActorKind
from core.auth import facts, permissions
from core.auth.models import User, UserSession
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import secret_token, token_digest
from core.journal import Fact, record
from core.secrets import sign, unsign
from core.types import Ref

_hasher = PasswordHasher()  # argon2id with the library's current recommendation (RFC 9106 low-memory)
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,255}")
_NO_ADDRESS = "is not an e-mail address; write one like ana@example.org"
_WEEK = 7 * 24 * 3600
_NONE = "none:"  # in the place of a hash: nobody's password fits
MINIMUM_PASSWORD = 12


def create(
    uow: UnitOfWork, actor: Actor, *, email: str, name: str, roles: Sequence[str], timezone: str = "UTC"
) -> User:
    """Add a user without a password (see `start_path`). Raises Invalid or Conflict."""
    permissions.require(actor, "user.manage")
    email = email.strip().lower()
    problems = _check(email, name, roles, timezone)
    if problems:
        raise Invalid("The user cannot be added as entered.", problems)
    user = User(
        email=email, name=name.strip(), roles=sorted(set(roles)), timezone=timezone, created_at=uow.now,
        empowered_at=uow.now,
    )  # fmt: skip
    _refuse_taken(uow, email)
    uow.add(user)
    _flush(uow, email)
    told = Fact(facts.USER_CREATED, (_ref(user),), {"roles": user.roles}, {"email": email, "name": user.name})
    record(uow, actor, told)
    return user


def change(
    uow: UnitOfWork,
    actor: Actor,
    user_id: UUID,
    *,
    name: str | None = None,
    roles: Sequence[str] | None = None,
    timezone: str | None = None,
    locale: str | None = None,
) -> User:
    """Change a user; people may change their own name, zone and language, administrators everything."""
    user = get(uow, user_id)
    if actor.user_id != user_id or roles is not None:
        permissions.require(actor, "user.manage")
    problems = _check(user.email, name or user.name, roles or user.roles, timezone or user.timezone)
    if problems:
        raise Invalid("The user cannot be changed as entered.", problems)
    if roles is not None and "administrator" in user.roles and "administrator" not in roles:
        _keep_an_administrator(uow, user)
    before = {"roles": user.roles}
    if roles is not None and not set(roles) <= set(user.roles):
        user.empowered_at = uow.now
    user.name = (name or user.name).strip()
    user.roles = sorted(set(roles)) if roles is not None else user.roles
    user.timezone, user.locale = timezone or user.timezone, locale or user.locale
    record(uow, actor, Fact(facts.USER_CHANGED, (_ref(user),), {"before": before, "roles": user.roles}))
    return user


def readdress(uow: UnitOfWork, actor: Actor, user_id: UUID, email: str, *, keep: str | None = None) -> User:
    """Change what a user signs in with and is written to; their sessions end, but for the one of the token `keep`.

    People may change their own, administrators everybody's. Raises Invalid, Conflict (somebody has it), Forbidden.
    """
    if actor.user_id != user_id:
        permissions.require(actor, "user.manage")
    user, email = get(uow, user_id), email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise Invalid("The address cannot be changed as entered.", [Problem("email", _NO_ADDRESS)])
    if email == user.email:
        return user
    _refuse_taken(uow, email)
    former, user.email = user.email, email
    _flush(uow, email)
    live = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    others = live.where(UserSession.digest != token_digest(keep)) if keep else live
    uow.execute(others.values(ended_at=uow.now))
    record(uow, actor, Fact(facts.ADDRESS_CHANGED, (_ref(user),), {}, {"from": former, "to": email}))
    return user


def disable(uow: UnitOfWork, actor: Actor, user_id: UUID) -> User:
    """Lock a user out and end their sessions."""
    permissions.require(actor, "user.manage")
    user = get(uow, user_id)
    if "administrator" in user.roles:
        _keep_an_administrator(uow, user)
    user.disabled_at = uow.now
    uow.execute(
        update(UserSession)
        .where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
        .values(ended_at=uow.now)
    )
    record(uow, actor, Fact(facts.USER_DISABLED, (_ref(user),)))
    return user


def enable(uow: UnitOfWork, actor: Actor, user_id: UUID) -> User:
    """Let a disabled user in again."""
    permissions.require(actor, "user.manage")
    user = get(uow, user_id)
    user.disabled_at, user.empowered_at = None, uow.now
    record(uow, actor, Fact(facts.USER_ENABLED, (_ref(user),)))
    return user


def get(session: Session, user_id: UUID) -> User:
    """One user. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def by_email(session: Session, email: str) -> User | None:
    """The user with this address, or None."""
    return session.scalar(select(User).where(User.email == email.strip().lower()))


def everyone(session: Session) -> list[User]:
    """All users, by name; disabled ones too."""
    return list(session.scalars(select(User).order_by(User.name, User.id)))


def names(session: Session) -> dict[UUID, str]:
    """Every user's name, for showing owners and assignees."""
    return {row.id: row.name for row in session.execute(select(User.id, User.name))}


def with_role(session: Session, role: str) -> list[User]:
    """The users who can be asked as `role`, in name order; disabled ones left out."""
    return [user for user in everyone(session) if role in user.roles and user.disabled_at is None]


def actor_of(user: User, proved_at: datetime | None = None) -> Actor:
    """The actor that this user is, with the permissions of their roles."""
    return Actor(ActorKind.person, str(user.id), user.name, permissions.of_roles(user.roles), proved_at, tuple(user.roles))


def nobody_yet(session: Session) -> bool:
    """True before anybody has set a password or taken a passkey instead: the first start."""
    return session.scalar(select(func.count()).select_from(User).where(User.password.is_not(None))) == 0


def start_path(user: User) -> str:
    """The path of the page on which this user sets a password; good for a week and for one use."""
    token = sign("auth.start", {"user": str(user.id), "had": (user.password or "")[-12:]}, _WEEK)
    return f"/start/{token}"


def from_start(session: Session, token: str) -> User:
    """The user that a start link is for. Raises Invalid when it is altered, expired or used."""
    payload = unsign("auth.start", token)
    user = session.get(User, UUID(payload["user"]))
    if user is None or user.disabled_at is not None or (user.password or "")[-12:] != payload["had"]:
        raise Invalid("This link has been used already; sign in, or ask an administrator for a new one.")
    return user


def hash_password(password: str) -> str:
    """Hash a new password; slow on purpose, so call it outside a transaction. Raises Invalid."""
    if len(password) < MINIMUM_PASSWORD:
        raise Invalid(
            f"A password needs at least {MINIMUM_PASSWORD} characters; a sentence is easy to remember."
        )
    if len(password) > 1024:
        raise Invalid("A password may have at most 1,024 characters.")
    return _hasher.hash(password)


def password_fits(hashed: str | None, password: str) -> bool:
    """Whether the password is right; takes as long when there is none."""
    known = hashed is not None and not hashed.startswith(_NONE)
    try:
        _hasher.verify(hashed if known and hashed else _never(), password[:1024])
    except (VerifyMismatchError, InvalidHashError):
        return False
    return known


def has_password(user: User) -> bool:
    """Whether the person can sign in with a password; somebody who took a passkey at the first start cannot."""
    return user.password is not None and not user.password.startswith(_NONE)


def without_password(uow: UnitOfWork, user: User) -> None:
    """The person has started and takes no password: no other will ever fit, and their start link is used up."""
    user.password = _NONE + secret_token()
    uow.flush()


def set_password(uow: UnitOfWork, actor: Actor, user_id: UUID, hashed: str) -> User:
    """Store a hash made by `hash_password` and end the user's other sessions."""
    if actor.user_id != user_id and actor is not SYSTEM:
        permissions.require(actor, "user.manage")
    user = get(uow, user_id)
    user.password = hashed
    uow.execute(
        update(UserSession)
        .where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
        .values(ended_at=uow.now)
    )
    record(uow, actor, Fact(facts.PASSWORD_SET, (_ref(user),)))
    return user


@cache
def _never() -> str:
    return _hasher.hash("no password has been set for this account")  # slow on purpose, so not at every start


def _ref(user: User) -> Ref:
    return Ref("user", str(user.id))


def _refuse_taken(session: Session, email: str) -> None:
    if session.scalar(select(User.id).where(User.email == email)):
        raise Conflict(f"{email} is already a user here; each person signs in with an address of their own.")


def _flush(uow: UnitOfWork, email: str) -> None:
    """Write the user; two people who take the same address at the same moment get the sentence, too."""
    try:
        uow.flush()
    except IntegrityError as error:
        raise Conflict(f"{email} has just become somebody else's; use another address.") from error


def _keep_an_administrator(uow: UnitOfWork, leaving: User) -> None:
    """Two who leave at the same moment take turns: the second sees that the first has gone."""
    there = [user.id for user in with_role(uow, "administrator")]
    locked = select(User).where(User.id.in_(there)).order_by(User.id).with_for_update(key_share=True)
    left = uow.scalars(locked.execution_options(populate_existing=True)).all()
    others = [u for u in left if u.id != leaving.id and u.password and not u.disabled_at and "administrator" in u.roles]
    if not others:
        raise Conflict("This is the last administrator who can sign in; make another one first.")


def _check(email: str, name: str, roles: Sequence[str], timezone: str) -> list[Problem]:
    problems = []
    if not _EMAIL.fullmatch(email):
        problems.append(Problem("email", _NO_ADDRESS))
    if not name.strip() or len(name) > 200:
        problems.append(Problem("name", "needs 1 to 200 characters"))
    if unknown := sorted(set(roles) - set(permissions.ROLES)):
        problems.append(Problem("roles", f"{', '.join(unknown)}: choose from {', '.join(permissions.ROLES)}"))
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        problems.append(Problem("timezone", f"{timezone!r} is not a time zone; write one like Europe/Madrid"))
    return problems
