"""What the door knows of every source without asking the database for each request."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from core import logs
from core.db import engine, reading
from core.errors import Unavailable
from core.secrets import Unsealable, unseal
from ingest.models import Source, SourceSecret
from ingest.verify import ProofKind

log = logs.get(__name__)

SEAL_PURPOSE = "ingest.source"
LEAST_SECONDS = 0.2
REFRESH_SECONDS = 2.0  # a change made by another process is known here after this long


@dataclass(frozen=True)
class KnownSource:
    """A source as the door needs it; `secrets` only where the proof is computed with them."""

    id: UUID
    name: str
    connector: str
    proof: ProofKind
    disabled: bool
    config: Mapping[str, Any]
    digests: tuple[bytes, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class _Directory:
    by_name: Mapping[str, KnownSource]
    by_digest: Mapping[bytes, KnownSource]
    read_at: float
    database: object  # whose sources these are


_lock = threading.Lock()
_held: list[_Directory] = []
_changes = [0]  # counts forget(), so that a reading begun before a change is not kept after it


def forget() -> None:
    """Read the sources again at the next request."""
    _changes[0] += 1
    _held.clear()


def fresh() -> bool:
    """Whether looking up needs no database now."""
    return _fresh() is not None


def look_again() -> bool:
    """Forget what is known unless it was read a moment ago: what is not found may have been added by another process.

    Strangers asking for what does not exist cost five readings a second at most.
    """
    if _held and time.monotonic() - _held[-1].read_at < LEAST_SECONDS:
        return False
    forget()
    return True


def named(name: str) -> KnownSource | None:
    """The source with this name. Raises Unavailable when nothing is known and the database is away."""
    return _directory().by_name.get(name)


def with_secret(digest: bytes) -> KnownSource | None:
    """The source one of whose live secrets has this digest. Raises Unavailable as `named` does."""
    return _directory().by_digest.get(digest)


def _fresh() -> _Directory | None:
    for held in _held[-1:]:
        if time.monotonic() - held.read_at < REFRESH_SECONDS and held.database is engine():
            return held
    return None


def _directory() -> _Directory:
    held = _fresh()
    if held is not None:
        return held
    with _lock:
        held = _fresh()
        if held is not None:
            return held
        former, change = _held[-1:], _changes[0]
        try:
            read = _read()
        except OperationalError as error:
            if former and former[0].database is engine():
                log.warning("the sources could not be read again; going on with those known")
                return former[0]
            raise Unavailable("The database cannot be reached; send this again in a moment.") from error
        if change == _changes[0]:
            _held[:] = [read]
        return read


def _read() -> _Directory:
    with reading() as session:
        sources = session.scalars(select(Source)).all()
        live = session.scalars(select(SourceSecret).where(SourceSecret.retired_at.is_(None))).all()
    held: dict[UUID, list[SourceSecret]] = {}
    for secret in live:
        held.setdefault(secret.source_id, []).append(secret)
    by_name: dict[str, KnownSource] = {}
    by_digest: dict[bytes, KnownSource] = {}
    for source in sources:
        kept = held.get(source.id, [])
        known = KnownSource(
            id=source.id, name=source.name, connector=source.connector, proof=ProofKind(source.proof),
            disabled=source.disabled_at is not None, config=source.config,
            digests=tuple(s.digest for s in kept), secrets=tuple(_opened(kept)),
        )  # fmt: skip
        by_name[source.name] = known
        by_digest.update(dict.fromkeys(known.digests, known))
    return _Directory(by_name, by_digest, time.monotonic(), engine())


def _opened(kept: list[SourceSecret]) -> list[str]:
    opened = []
    for secret in kept:
        if secret.sealed is not None:
            try:
                opened.append(unseal(secret.sealed, SEAL_PURPOSE))
            except Unsealable as error:
                log.error("a source's secret cannot be opened", extra={"reason": error.message})
    return opened
