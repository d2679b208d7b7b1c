"""Whether one lost passkey would shut somebody out, and who lets them in again then."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.auth import factors, passkeys, users
from core.auth.models import User


@dataclass(frozen=True)
class LastKey:
    """Somebody signs in with this one passkey and nothing else; `only_administrator`: no page here can let them in again."""

    email: str
    only_administrator: bool


def last_key(session: Session, user: User) -> LastKey | None:
    """None while a password or another passkey lets them in too."""
    keys = [one for one in factors.of_user(session, user.id) if one.kind == passkeys.KIND]
    if users.has_password(user) or len(keys) != 1:
        return None
    others = (one for one in users.with_role(session, "administrator") if one.id != user.id)
    alone = "administrator" in user.roles and not any(one.password for one in others)
    return LastKey(user.email, alone)
