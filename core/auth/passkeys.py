"""Passkeys (WebAuthn): a key that never leaves the person's device signs a challenge of ours."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import host as machine
from core.actors import Actor
from core.auth import factors
from core.auth.models import SecondFactor, User
from core.db import UnitOfWork, database_now
from core.errors import Conflict, Invalid
from core.ids import secret_token
from core.secrets import sign, unsign
from core.settings import settings
from core.types import from_micros, to_micros

KIND = "passkey"
_MINUTES = 5
_ENROL, _SHOW, _ALONE = "auth.passkey.enrol", "auth.passkey.show", "auth.passkey.alone"
_NOBODY = UUID(int=0)


def home() -> str:
    """The address where browsers do passkeys: ours; on this machine alone by the name localhost, since a number has none."""
    parts = urlsplit(settings().base_url)
    if not machine.is_loopback(parts.hostname or ""):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}://localhost{f':{parts.port}' if parts.port else ''}"


def possible() -> bool:
    """Whether browsers do passkeys at our address: https or localhost, and a name, not a number."""
    parts = urlsplit(home())
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        ip_address(host)
    except ValueError:
        return parts.scheme == "https"
    return False


def invite(session: Session, actor: Actor, *, password: bool = False) -> tuple[dict[str, Any], str]:
    """What the browser is given to make a passkey (JSON of WebAuthn's creation options), and our ticket for it.

    Raises NeedsSecondFactor, Conflict (see `factors.require_mine`).
    """
    if not possible():
        raise Conflict("Passkeys need https and a host name; here an authenticator app does.")
    return _invitation(session, factors.require_mine(session, actor, password=password), alone=False)


def first_invitation(session: Session, user: User) -> tuple[dict[str, Any], str] | None:
    """As invite(), for somebody who has shown a start link and wants no password; None where passkeys are not possible.

    The passkey must ask for a finger, a face or a PIN, and be found without being named: it is all they sign in with.
    """
    return _invitation(session, user, alone=True) if possible() else None


def _invitation(session: Session, user: User, *, alone: bool) -> tuple[dict[str, Any], str]:
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    challenge, ticket = _challenge(session, _ENROL, user.id)
    known = [row.credential for row in factors.of_user(session, user.id) if row.credential]
    options = generate_registration_options(
        rp_id=_host(), rp_name="Tocsin", user_name=user.email, user_display_name=user.name, user_id=user.id.bytes,
        challenge=challenge, exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED if alone else ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED if alone else UserVerificationRequirement.PREFERRED,
        ),
    )  # fmt: skip
    return json.loads(options_to_json(options)), ticket


def enrol(
    uow: UnitOfWork, actor: Actor, ticket: str, answer: str, *, name: str, session: bytes, alone: bool = False
) -> SecondFactor:
    """Keep the passkey that the browser made; `alone`: it is to be enough to sign in with. Raises Invalid, Conflict."""
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    user_id, challenge, _at = _opened(_ENROL, ticket)
    if user_id != actor.user_id:
        raise Invalid("This was begun by somebody else; begin again.")
    try:
        made = verify_registration_response(
            credential=answer[:20_000], expected_challenge=challenge, expected_rp_id=_host(), expected_origin=home(),
            require_user_verification=alone,
        )  # fmt: skip
    except (WebAuthnException, ValueError) as error:
        raise Invalid("The passkey could not be read; try once more, or use an authenticator app.") from error
    if uow.scalar(select(SecondFactor.id).where(SecondFactor.credential == made.credential_id)):
        raise Conflict("This passkey is here already.")
    factor = SecondFactor(
        user_id=user_id, kind=KIND, name=name.strip()[:100] or "Passkey", credential=made.credential_id,
        public_key=made.credential_public_key, counter=made.sign_count, created_at=uow.now,
    )  # fmt: skip
    uow.add(factor)
    uow.flush()
    factors.added(uow, actor, factor, session=session)
    return factor


def challenge(session: Session, user: User) -> tuple[dict[str, Any], str] | None:
    """What the browser is given to ask for one of the person's passkeys, and our ticket; None when there is none."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    known: Sequence[bytes] = [
        row.credential for row in factors.of_user(session, user.id) if row.kind == KIND and row.credential
    ]
    if not known or not possible():
        return None
    question, ticket = _challenge(session, _SHOW, user.id)
    options = generate_authentication_options(
        rp_id=_host(),
        challenge=question,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return json.loads(options_to_json(options)), ticket


def open_challenge(session: Session) -> tuple[dict[str, Any], str] | None:
    """What the browser of somebody unknown is given to sign in with a passkey alone, and our ticket; None: not possible here."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    if not possible():
        return None
    question, ticket = _challenge(session, _ALONE, _NOBODY)
    options = generate_authentication_options(
        rp_id=_host(), challenge=question, user_verification=UserVerificationRequirement.REQUIRED
    )
    return json.loads(options_to_json(options)), ticket


def accepted(uow: UnitOfWork, user_id: UUID, ticket: str, answer: str) -> SecondFactor | None:
    """The person's passkey that answered our challenge; None when it is not right, too late, or was used already."""
    return _accepted(uow, user_id, _SHOW, ticket, answer)


def accepted_alone(uow: UnitOfWork, ticket: str, answer: str) -> SecondFactor | None:
    """The passkey that answered open_challenge() after its owner had shown it a finger, a face or a PIN; None as above."""
    return _accepted(uow, _NOBODY, _ALONE, ticket, answer)


def _accepted(uow: UnitOfWork, user_id: UUID, purpose: str, ticket: str, answer: str) -> SecondFactor | None:
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    alone = purpose == _ALONE
    try:
        asked, question, at = _opened(purpose, ticket)
        named = json.loads(answer[:20_000])["rawId"]
        credential = _decoded(str(named))
    except (Invalid, ValueError, KeyError, TypeError, RecursionError):
        return None
    query = select(SecondFactor).where(
        SecondFactor.credential == credential, SecondFactor.confirmed_at.is_not(None)
    )
    if not alone:
        query = query.where(SecondFactor.user_id == user_id)
    factor = uow.scalar(query.with_for_update())
    # A challenge older than the passkey's last use may be one that was answered before: nobody answers twice.
    if factor is None or asked != user_id or (factor.used_at and at <= factor.used_at):
        return None
    try:
        shown = verify_authentication_response(
            credential=answer, expected_challenge=question, expected_rp_id=_host(), expected_origin=home(),
            credential_public_key=factor.public_key or b"", credential_current_sign_count=factor.counter,
            require_user_verification=alone,
        )  # fmt: skip
    except (WebAuthnException, ValueError):
        return None
    factor.counter, factor.used_at = shown.new_sign_count, uow.now
    return factor


def _challenge(session: Session, purpose: str, user_id: UUID) -> tuple[bytes, str]:
    text = secret_token(32)
    told = {"user": str(user_id), "challenge": text, "at": to_micros(database_now(session))}
    return text.encode(), sign(purpose, told, _MINUTES * 60)


def _opened(purpose: str, ticket: str) -> tuple[UUID, bytes, datetime]:
    told = unsign(purpose, ticket)
    return UUID(told["user"]), str(told["challenge"]).encode(), from_micros(told["at"])


def _host() -> str:
    return urlsplit(home()).hostname or "localhost"


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
