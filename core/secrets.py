"""Secrets: sealed at rest, hidden when printed, and signed values that can travel in a link."""

import base64
import hmac
import time
from functools import lru_cache
from typing import Any, NoReturn

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import Invalid, TocsinError
from core.ids import secret_token
from core.settings import settings


class Unsealable(TocsinError):
    """A sealed value cannot be opened: TOCSIN_SECRET_KEY differs from the one it was sealed with."""

    code, status = "unsealable", 500


class Secret:
    """A secret held in memory: shows dots wherever it is printed; `reveal()` gives the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "••••"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@lru_cache(maxsize=64)
def _key(master: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=b"tocsin", info=purpose.encode()).derive(master)


def seal(plaintext: str, purpose: str) -> str:
    """Encrypt (AES-256-GCM) for storage; `purpose` must be the same when it is opened."""
    nonce = secret_token(9).encode()[:12]
    sealed = AESGCM(_key(settings().secret_key, "seal:" + purpose)).encrypt(
        nonce, plaintext.encode(), purpose.encode()
    )
    return "v1." + base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(sealed: str, purpose: str) -> str:
    """Open what `seal` made. Raises Unsealable."""
    try:
        raw = base64.urlsafe_b64decode(sealed.removeprefix("v1."))
        opened = AESGCM(_key(settings().secret_key, "seal:" + purpose)).decrypt(
            raw[:12], raw[12:], purpose.encode()
        )
    except (InvalidTag, ValueError) as error:
        raise Unsealable(
            "A stored secret cannot be opened: TOCSIN_SECRET_KEY is not the key it was stored with. "
            "Start with the former key, or enter the secret again."
        ) from error
    return opened.decode()


def proof(purpose: str, data: bytes, key: bytes | None = None) -> bytes:
    """32 bytes that only this installation (or who has this `key`) can make of `data`: the same ones each time."""
    return hmac.digest(_key(key or settings().secret_key, "proof:" + purpose), data, "sha256")


def sign(purpose: str, payload: dict[str, Any], expires_in: int) -> str:
    """A URL-safe signed token of `payload` that expires after `expires_in` seconds; readable by whoever holds it."""
    body = msgspec.json.encode({**payload, "exp": int(time.time()) + expires_in})
    mac = hmac.digest(_key(settings().secret_key, "sign:" + purpose), body, "sha256")[:20]
    return base64.urlsafe_b64encode(mac + body).decode().rstrip("=")


def unsign(purpose: str, token: str) -> dict[str, Any]:
    """The payload of a token made by `sign`. Raises Invalid when it is altered, expired or for another purpose."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        mac, body = raw[:20], raw[20:]
        if not hmac.compare_digest(
            mac, hmac.digest(_key(settings().secret_key, "sign:" + purpose), body, "sha256")[:20]
        ):
            raise ValueError("altered")
        payload: dict[str, Any] = msgspec.json.decode(body)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Invalid("This link is not valid: it may have been cut off when it was copied.") from error
    if payload.pop("exp", 0) < time.time():
        raise Invalid("This link has expired; ask for a new one.")
    return payload
