"""Recovery codes: for the day the phone is lost; shown once, kept as keyed digests, each good for one use."""

import secrets
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from core.actors import Actor
from core.auth import facts, factors
from core.auth.models import RecoveryCode
from core.db import UnitOfWork
from core.journal import Fact, record
from core.secrets import proof
from core.types import Ref

HOW_MANY = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another; ten of them are 49 bits


def make(uow: UnitOfWork, actor: Actor) -> list[str]:
    """Ten new codes, the only time they can be read; former ones stop working. Raises NeedsSecondFactor."""
    user = factors.require_mine(uow, actor)
    return fresh(uow, actor, user.id)


def fresh(uow: UnitOfWork, actor: Actor, user_id: UUID) -> list[str]:
    """Ten new codes for somebody whose first factor has just been proved to work."""
    uow.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(HOW_MANY)]
    uow.add_all(
        RecoveryCode(user_id=user_id, digest=_digest(user_id, code), created_at=uow.now) for code in codes
    )
    record(uow, actor, Fact(facts.RECOVERY_MADE, (Ref("user", str(user_id)),), {"codes": HOW_MANY}))
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def left(session: Session, user_id: UUID) -> int:
    """How many codes still work."""
    query = select(func.count()).select_from(RecoveryCode)
    return session.scalar(query.where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))) or 0


def accepted(uow: UnitOfWork, user_id: UUID, code: str) -> bool:
    """Whether this was one of the codes that still work; it does not work again."""
    used = uow.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.digest == _digest(user_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=uow.now)
        .returning(RecoveryCode.id)
    )
    return used is not None


def _digest(user_id: UUID, code: str) -> bytes:
    """Keyed with the installation's secret: whoever has only the database cannot try codes."""
    return proof("auth.recovery", user_id.bytes + code.encode())
