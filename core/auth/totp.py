"""Codes of an authenticator app (TOTP, RFC 6238): set up with a secret, checked within a step of now, each used once."""

import hmac
from urllib.parse import urlsplit
from uuid import UUID

import pyotp
from sqlalchemy import delete, select, update

from core.actors import Actor
from core.auth import factors
from core.auth.models import SecondFactor
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, Problem
from core.secrets import seal, unseal
from core.settings import settings

KIND = "totp"
STEP = 30  # seconds
_DRIFT = 1  # steps that a phone's clock may be off
_PURPOSE = "auth.totp"


def begin(uow: UnitOfWork, actor: Actor, *, name: str = "", password: bool = False) -> SecondFactor:
    """A new secret that counts only once a code of it was typed (`confirm`); one that was begun before is dropped.

    Raises NeedsSecondFactor, Conflict (see `factors.require_mine`).
    """
    user = factors.require_mine(uow, actor, password=password)
    begun = delete(SecondFactor).where(
        SecondFactor.user_id == user.id, SecondFactor.confirmed_at.is_(None), SecondFactor.kind == KIND
    )
    uow.execute(begun)
    factor = SecondFactor(
        user_id=user.id, kind=KIND, name=name.strip()[:100] or "Authenticator app",
        sealed=seal(pyotp.random_base32(), _PURPOSE), created_at=uow.now, counter=0,
    )  # fmt: skip
    uow.add(factor)
    uow.flush()
    return factor


def secret_of(factor: SecondFactor) -> str:
    """The secret in base32, to be typed where no camera is. Raises Unsealable."""
    return unseal(factor.sealed or "", _PURPOSE)


def address_of(factor: SecondFactor, email: str) -> str:
    """The otpauth:// address that the QR code holds."""
    host = urlsplit(settings().base_url).hostname or "localhost"
    return pyotp.TOTP(secret_of(factor)).provisioning_uri(name=email, issuer_name=f"Tocsin ({host})")


def confirm(uow: UnitOfWork, actor: Actor, factor_id: UUID, code: str, *, session: bytes) -> SecondFactor:
    """A code proves that the app has the secret: the factor works from now on. Raises Invalid, NotFound, Conflict."""
    factor = factors.mine(uow, actor, factor_id)
    if factor.kind != KIND or factor.confirmed_at is not None:
        raise Conflict("This has been set up already.")
    step = _step_of(factor, code, int(uow.now.timestamp()))
    if step is None:
        message = "This is not the code that the app shows now. Check that the phone's clock is right."
        raise Invalid(message, [Problem("code", message)])
    factor.counter = step
    factors.added(uow, actor, factor, session=session)
    return factor


def accepted(uow: UnitOfWork, user_id: UUID, code: str) -> SecondFactor | None:
    """The person's app that shows this code now; from then on neither it nor an earlier one is accepted again."""
    query = select(SecondFactor).where(
        SecondFactor.user_id == user_id, SecondFactor.kind == KIND, SecondFactor.confirmed_at.is_not(None)
    )
    for factor in uow.scalars(query).all():
        step = _step_of(factor, code, int(uow.now.timestamp()))
        if step is None:
            continue
        used = uow.scalar(
            update(SecondFactor)
            .where(SecondFactor.id == factor.id, SecondFactor.counter < step)
            .values(counter=step, used_at=uow.now)
            .returning(SecondFactor.id)
        )
        if used is not None:
            return factor
    return None


def _step_of(factor: SecondFactor, code: str, now: int) -> int | None:
    """The time step that this code belongs to, if it is one of those that count at `now` (unix time)."""
    app = pyotp.TOTP(secret_of(factor))
    at = now // STEP
    for step in range(at - _DRIFT, at + _DRIFT + 1):
        if hmac.compare_digest(app.generate_otp(step).encode(), code.encode()):
            return step
    return None
