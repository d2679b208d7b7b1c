"""Identifiers: time-ordered ids and unguessable tokens."""

import hashlib
import os
import secrets
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562), strictly increasing within this process."""
    global _last  # noqa: PLW0603 - one counter for the process, under its lock
    with _lock:
        # 48 bits of milliseconds and 12 bits of sub-millisecond count make one growing number.
        stamp = (time.time_ns() * 4096) // 1_000_000
        _last = stamp = max(stamp, _last + 1)
    millis, fraction = stamp >> 12, stamp & 0xFFF
    value = (millis & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76 | fraction << 64
    value |= 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=value)


def secret_token(nbytes: int = 32) -> str:
    """An unguessable URL-safe token of `nbytes` random bytes."""
    return secrets.token_urlsafe(nbytes)


def token_digest(token: str) -> bytes:
    """SHA-256 of a token: what is stored instead of a token that has enough entropy of its own."""
    return hashlib.sha256(token.encode()).digest()
