"""Adds sources, rotates their secrets, changes and disables them."""

import re
import secrets as random_secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import registry
from core import four_eyes
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.four_eyes import Change
from core.ids import secret_token
from core.journal import Fact, record
from core.secrets import seal
from core.settings import settings
from core.types import Ref
from ingest import facts, known
from ingest.models import Source, SourceSecret
from ingest.permissions import MANAGE_SOURCES
from ingest.verify import SEALED_PROOFS, ProofKind, Trust, digest, trust_of

FIRST_DAY = timedelta(hours=24)  # how long a source that is added on the pages learns
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")


def create(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    connector: str,
    proof: str | None = None,
    config: Mapping[str, Any] | None = None,
    trust: str | None = None,
    quiet_after: timedelta | None = None,
    learning: timedelta | None = None,
    constituency_id: UUID | None = None,
    team_id: UUID | None = None,
    restricted_to: list[str] | None = None,
    secret: str | None = None,
) -> tuple[Source, str]:
    """Add a source; returns it with its secret, which is shown this once and kept only as a digest (HMAC: sealed).

    `proof` defaults to the connector's best, `trust` to what the proof is worth (it can be lowered, not raised),
    `quiet_after` to the connector's. For the time of `learning` its alerts wake somebody only when they are critical,
    and nothing disruptive is done by itself. `secret` may be given where the product dictates it.
    Raises Invalid, Conflict (the name is taken), Forbidden.
    """
    permissions.require(actor, MANAGE_SOURCES.name)
    product = registry.get(connector)
    if product.alerts is None:
        raise Invalid(
            f"{product.title} sends no alerts, so it cannot be a source.", [Problem("connector", connector)]
        )
    if not _SLUG.fullmatch(name):
        raise Invalid(
            f"“{name}” cannot be a source's name: use 1 to 64 small letters, digits and hyphens, as it becomes part "
            "of a URL.",
            [Problem("name", "not a slug")],
        )
    if uow.scalar(select(Source.id).where(Source.name == name)) is not None:
        raise Conflict(f"There is already a source named {name}; choose another name.")
    kind = _proof(proof or product.proofs[0])
    source = Source(
        name=name,
        connector=connector,
        config=dict(config or {}),
        proof=kind.value,
        trust=trust_of(kind, _trust(trust)).value,
        quiet_after_seconds=int((quiet_after or product.quiet_after).total_seconds()),
        learning_until=uow.now + learning if learning else None,
        constituency_id=constituency_id,
        team_id=team_id,
        restricted_to=restricted_to,
        created_at=uow.now,
    )
    uow.add(source)
    uow.flush()
    shown = _add_secret(uow, source, secret)
    body = {
        "name": name, "connector": connector, "proof": source.proof, "trust": source.trust,
        "learning_until": source.learning_until.isoformat() if source.learning_until else None,
    }  # fmt: skip
    record(uow, actor, Fact(facts.SOURCE_CREATED, (_ref(source),), body))
    uow.after_commit(known.forget)
    return source, shown


def rotate(uow: UnitOfWork, actor: Actor, source_id: UUID, *, secret: str | None = None) -> str:
    """A new secret beside the present one; whatever is older than these two stops working. Returns the new one."""
    permissions.require(actor, MANAGE_SOURCES.name)
    source = get(uow, source_id)
    live = _newest_alone(uow, source)
    shown = _add_secret(uow, source, secret)
    body = {"name": source.name, "live": live + 1}
    record(uow, actor, Fact(facts.SOURCE_ROTATED, (_ref(source),), body))
    uow.after_commit(known.forget)
    return shown


def retire_older(uow: UnitOfWork, actor: Actor, source_id: UUID) -> None:
    """Stop every secret but the newest: the last move of a rotation."""
    permissions.require(actor, MANAGE_SOURCES.name)
    source = get(uow, source_id)
    _newest_alone(uow, source)
    record(uow, actor, Fact(facts.SOURCE_ROTATED, (_ref(source),), {"name": source.name, "live": 1}))
    uow.after_commit(known.forget)


def _newest_alone(uow: UnitOfWork, source: Source) -> int:
    """Stop every secret of a source but the newest; how many live on, 1 or 0."""
    live = uow.scalars(
        select(SourceSecret)
        .where(SourceSecret.source_id == source.id, SourceSecret.retired_at.is_(None))
        .order_by(SourceSecret.id.desc())
    ).all()
    for old in live[1:]:
        old.retired_at = uow.now
    return min(len(live), 1)


def change(uow: UnitOfWork, actor: Actor, source_id: UUID, **changes: Any) -> Source:
    """Change config, quiet_after, learning_until, constituency_id, team_id or restricted_to of a source."""
    permissions.require(actor, MANAGE_SOURCES.name)
    source = get(uow, source_id)
    unknown = set(changes) - {
        "config", "quiet_after", "learning_until", "constituency_id", "team_id", "restricted_to",
    }  # fmt: skip
    if unknown:
        raise Invalid(f"A source has no {', '.join(sorted(unknown))} that could be changed.")
    if "quiet_after" in changes:
        changes["quiet_after_seconds"] = int(changes.pop("quiet_after").total_seconds())
    before = {name: getattr(source, name) for name in changes}
    for name, value in changes.items():
        setattr(source, name, value)
    told = {name: {"from": _plain(before[name]), "to": _plain(value)} for name, value in changes.items()}
    record(uow, actor, Fact(facts.SOURCE_CHANGED, (_ref(source),), {"name": source.name, "changed": told}))
    uow.after_commit(known.forget)
    return source


def set_trust(uow: UnitOfWork, actor: Actor, source_id: UUID, trust: str) -> Change | None:
    """Believe a source less, at once, or more: then this returns the proposal that somebody else must agree to.

    Never more than its proof is worth. Raises Invalid, Conflict.
    """
    permissions.require(actor, MANAGE_SOURCES.name)
    source = get(uow, source_id)
    wanted = trust_of(_proof(source.proof), _trust(trust)).value
    payload = {"source": str(source_id), "trust": wanted}
    if wanted == source.trust:
        return None
    if _ORDER.index(wanted) < _ORDER.index(source.trust):
        _set_trust(uow, actor, payload)
        return None
    says = f"Believe what {source.name} sends more: {wanted} trust instead of {source.trust}."
    return four_eyes.loosen(uow, actor, TRUST, payload, says)


def possible_trusts(source: Source) -> tuple[str, ...]:
    """How far it may be believed: from low to what its proof is worth."""
    return _ORDER[: _ORDER.index(trust_of(_proof(source.proof)).value) + 1]


def _set_trust(uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
    source = get(uow, UUID(payload["source"]))
    told = {"trust": {"from": source.trust, "to": payload["trust"]}}
    source.trust = payload["trust"]
    record(uow, actor, Fact(facts.SOURCE_CHANGED, (_ref(source),), {"name": source.name, "changed": told}))
    uow.after_commit(known.forget)


_ORDER = ("low", "normal", "high")
TRUST = four_eyes.declare_kind(
    "source.trust", permission=MANAGE_SOURCES.name, apply=_set_trust, path="/settings/sources"
)


def end_learning(uow: UnitOfWork, actor: Actor, source_id: UUID) -> None:
    """Let this source page like any other from now on; nothing to do when its learning is over."""
    permissions.require(actor, MANAGE_SOURCES.name)
    source = get(uow, source_id)
    if source.learning_until is None or source.learning_until <= uow.now:
        return
    was, source.learning_until = source.learning_until, uow.now
    body = {"name": source.name, "would_have_ended": was.isoformat()}
    record(uow, actor, Fact(facts.SOURCE_LEARNED, (_ref(source),), body))


def disable(uow: UnitOfWork, actor: Actor, source_id: UUID) -> None:
    """Refuse whatever this source sends from now on; its history stays."""
    permissions.require(actor, MANAGE_SOURCES.name)
    source = get(uow, source_id)
    if source.disabled_at is None:
        source.disabled_at = uow.now
        record(uow, actor, Fact(facts.SOURCE_DISABLED, (_ref(source),), {"name": source.name}))
        uow.after_commit(known.forget)


def enable(uow: UnitOfWork, actor: Actor, source_id: UUID) -> None:
    """Take deliveries of a disabled source again."""
    permissions.require(actor, MANAGE_SOURCES.name)
    source = get(uow, source_id)
    if source.disabled_at is not None:
        source.disabled_at = None
        body = {"name": source.name, "changed": {"disabled": {"from": True, "to": False}}}
        record(uow, actor, Fact(facts.SOURCE_CHANGED, (_ref(source),), body))
        uow.after_commit(known.forget)


def get(session: Session, source: UUID | str) -> Source:
    """The source with this id or name. Raises NotFound."""
    row = (
        session.get(Source, source)
        if isinstance(source, UUID)
        else session.scalar(select(Source).where(Source.name == source))
    )
    if row is None:
        raise NotFound(f"There is no source {source}; `tocsin source list` shows those there are.")
    return row


def url_of(source: Source, secret: str | None = None) -> str:
    """The address the product posts to; with the token in it when that is the source's proof."""
    base = settings().base_url
    if source.proof == ProofKind.ROUTING_KEY:
        return f"{base}/v2/enqueue"
    if source.proof == ProofKind.URL_TOKEN:
        return f"{base}/ingest/{source.name}/{secret or '<token>'}"
    return f"{base}/ingest/{source.name}"


def _add_secret(uow: UnitOfWork, source: Source, given: str | None) -> str:
    kind = ProofKind(source.proof)
    # PagerDuty's integration keys have 32 characters, and some senders check that.
    secret = given or (random_secrets.token_hex(16) if kind is ProofKind.ROUTING_KEY else secret_token())
    if len(secret) < 16:
        raise Invalid("A source's secret needs at least 16 characters.", [Problem("secret", "too short")])
    kept = digest(secret)
    if uow.scalar(select(SourceSecret.id).where(SourceSecret.digest == kept)) is not None:
        raise Conflict("This secret is in use already, or was; leave it empty and one is made.")
    sealed = seal(secret, known.SEAL_PURPOSE) if kind in SEALED_PROOFS else None
    uow.add(SourceSecret(source_id=source.id, digest=kept, sealed=sealed, created_at=uow.now))
    return secret


_OTHER_NAMES = {"basic": ProofKind.BEARER, "github": ProofKind.HMAC}  # Basic's password is the token


def _proof(name: str) -> ProofKind:
    try:
        return _OTHER_NAMES.get(name) or ProofKind(name)
    except ValueError:
        kinds = ", ".join(ProofKind)
        raise Invalid(
            f"“{name}” is not a proof of origin; choose one of {kinds}.", [Problem("proof", name)]
        ) from None


def _trust(name: str | None) -> Trust | None:
    try:
        return Trust(name) if name is not None else None
    except ValueError:
        raise Invalid(
            f"“{name}” is not a trust level; choose low, normal or high.", [Problem("trust", name or "")]
        ) from None


def _plain(value: Any) -> Any:
    return (
        value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
    )


def _ref(source: Source) -> Ref:
    return Ref("source", str(source.id))
