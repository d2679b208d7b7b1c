"""The second step: what a person shows besides the password is checked, counted against guessing, and told."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from core.actors import Actor
from core.auth import facts, passkeys, recovery, throttle, totp, users
from core.auth.models import User, UserSession
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Invalid, Problem
from core.ids import token_digest
from core.journal import Fact, record
from core.types import Ref

WRONG = "This is not right. Use the code that the app shows now, each only once, or a recovery code."


@dataclass(frozen=True)
class Shown:
    """What somebody gives: a code (the app's or a recovery code), or a passkey's answer to the challenge of `ticket`."""

    code: str = ""
    ticket: str = ""
    answer: str = ""

    def __bool__(self) -> bool:
        return bool(self.code.strip() or self.answer)


def check(user_id: UUID, shown: Shown, *, address: str | None = None) -> str:
    """Which factor it was: totp, passkey or recovery. Raises Invalid (and counts it), TooMany."""
    keys = [throttle.factor(user_id)]
    with reading() as session:
        throttle.check(session, keys)
    with unit_of_work() as uow:
        # Many codes sent at once would all be let in before the first has failed: one after the other, each is asked again.
        uow.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
        throttle.check(uow, keys)
        kind = _accepted(uow, user_id, shown)
        me = users.actor_of(users.get(uow, user_id))
        ref = Ref("user", str(user_id))
        if kind is None:
            throttle.count(uow, keys)
            record(uow, me, Fact(facts.FACTOR_REFUSED, (ref,), {}, {"address": address}))
        else:
            throttle.forgive(uow, keys)
            if kind == "recovery":
                left = recovery.left(uow, user_id)
                record(uow, me, Fact(facts.RECOVERY_USED, (ref,), {"left": left}, {"address": address}))
    if kind is None:
        raise Invalid(WRONG, [Problem("code", WRONG)])
    return kind


def show_again(token: str, actor: Actor, shown: Shown, *, address: str | None = None) -> Actor:
    """Show a second factor in a session that has begun; returns the actor as they are now. Raises Invalid, TooMany."""
    if actor.user_id is None:
        return actor
    kind = check(actor.user_id, shown, address=address)
    with unit_of_work() as uow:
        uow.execute(
            update(UserSession).where(UserSession.digest == token_digest(token)).values(proved_at=uow.now)
        )
        refs = (Ref("user", actor.id),)
        record(uow, actor, Fact(facts.FACTOR_SHOWN, refs, {"kind": kind}, {"address": address}))
        return users.actor_of(users.get(uow, actor.user_id), uow.now)


def _accepted(uow: UnitOfWork, user_id: UUID, shown: Shown) -> str | None:
    if shown.answer:
        return passkeys.KIND if passkeys.accepted(uow, user_id, shown.ticket, shown.answer) else None
    code = "".join(shown.code.split()).replace("-", "").lower()[:64]
    if code.isascii() and code.isdecimal():
        return totp.KIND if totp.accepted(uow, user_id, code) else None
    return "recovery" if code and recovery.accepted(uow, user_id, code) else None
