"""Users, their second factors, their sessions, API tokens and the throttle of failed sign-ins."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.clock import now
from core.db import Base
from core.types import Dated, Identified, Instant, Json, Versioned


class User(Identified, Dated, Versioned, Base):
    """A person who can sign in; `password` is an argon2id hash, None until the first is set."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(Text, unique=True)  # lower case
    name: Mapped[str] = mapped_column(Text)
    roles: Mapped[list[str]] = mapped_column(Json, default=list)
    password: Mapped[str | None] = mapped_column(Text)
    locale: Mapped[str] = mapped_column(Text, default="en")
    timezone: Mapped[str] = mapped_column(Text, default="UTC")
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)
    empowered_at: Mapped[datetime] = mapped_column(Instant, default=now)  # added, given a role, or let in again


class SecondFactor(Identified, Dated, Base):
    """Something a person has besides the password: an authenticator app's secret, or a passkey."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)  # totp | passkey
    name: Mapped[str] = mapped_column(Text)
    sealed: Mapped[str | None] = mapped_column(Text)  # an app's secret
    credential: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)  # a passkey's id
    public_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    counter: Mapped[int] = mapped_column(default=0)  # an app's last accepted time step; a passkey's own count
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)  # None: begun, and not proved to work yet
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class RecoveryCode(Identified, Dated, Base):
    """A code for the day the phone is lost: only its keyed digest is kept, and it works once."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class UserSession(Identified, Dated, Base):
    """One signed-in browser; the cookie holds the token, the row its digest."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    proved_at: Mapped[datetime | None] = mapped_column(Instant)  # when a second factor was last shown in it
    address: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)


class ApiToken(Identified, Dated, Base):
    """A token for programs: only its digest is kept; it holds the permissions it names."""

    __tablename__ = "api_tokens"

    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    permissions: Mapped[list[Any]] = mapped_column(Json)
    made_by: Mapped[UUID | None] = mapped_column(Uuid)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class SignInFailure(Base):
    """How often sign-in or its second step has failed lately for one account or one address."""

    __tablename__ = "sign_in_failures"

    key: Mapped[str] = mapped_column(Text, primary_key=True)  # "user:<digest>", "from:<digest>"…
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = (Index(None, "last_at"),)
