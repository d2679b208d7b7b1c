"""The throttle against guessing: every failure in a row makes the next attempt wait longer."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.auth.models import SignInFailure
from core.db import UnitOfWork, database_now, is_postgres
from core.errors import TooMany
from core.reach import neighbours
from core.secrets import proof

_FORGET_AFTER = timedelta(hours=1)

# Free failures and the longest wait in seconds, by kind of key. One address guessing at one account is stopped soonest;
# an account as a whole only slows down, or anybody could keep the person on call out. Whoever reaches the second step
# knows the password already: there five wrong codes in a row are nobody's typing.
_LIMITS = {"pair": (5, 900), "user": (25, 30), "from": (20, 900), "factor": (5, 900)}


def pair(email: str, address: str | None) -> str:
    """The key of one place guessing at one account."""
    return _key("pair", f"{email}\0{neighbours(address or '')}")


def account(email: str) -> str:
    """The key of an account as a whole."""
    return _key("user", email)


def place(address: str | None) -> str:
    """The key of a place, whatever accounts it guesses at."""
    return _key("from", neighbours(address or ""))


def factor(user_id: UUID) -> str:
    """The key of somebody's second step."""
    return _key("factor", str(user_id))


def _key(kind: str, who: str) -> str:
    """What is typed as an address is as long as a stranger likes, and now and then a password: a digest is kept of it."""
    told = f"{kind}\0{who}".encode(errors="replace")
    return f"{kind}:{proof('sign-in', told)[:16].hex()}"


def check(session: Session, keys: Sequence[str]) -> None:
    """Raises TooMany, with the seconds left, while one of the keys (`kind:…`) has to wait."""
    at = database_now(session)
    for row in session.scalars(select(SignInFailure).where(SignInFailure.key.in_(keys))):
        free, longest = _LIMITS[row.key.partition(":")[0]]
        if row.failures < free or row.last_at < at - _FORGET_AFTER:
            continue
        wait = min(2 ** min(row.failures - free, 16), longest)
        left = (row.last_at + timedelta(seconds=wait) - at).total_seconds()
        if left > 0:
            raise TooMany(f"Too many failed attempts; try again in {int(left) + 1} seconds.", int(left) + 1)


def count(uow: UnitOfWork, keys: Sequence[str]) -> None:
    """One more failure for each key."""
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(SignInFailure)
    for key in keys:
        fresh = {"key": key, "failures": 0, "last_at": uow.now}
        uow.execute(insert.on_conflict_do_nothing(), [fresh])  # two may fail for the first time at the same moment
        row = uow.get_one(SignInFailure, key, with_for_update=True, populate_existing=True)
        row.failures = 1 if row.last_at < uow.now - _FORGET_AFTER else row.failures + 1
        row.last_at = uow.now


def forgive(uow: UnitOfWork, keys: Sequence[str]) -> None:
    """It was right this time: begin to count anew."""
    uow.execute(delete(SignInFailure).where(SignInFailure.key.in_(keys)))
