"""The key that signs checkpoints: made from the installation's secret key, or given; never in the database."""

import base64
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import secrets
from core.checkpoints import PublicKey
from core.errors import Invalid
from core.settings import settings


def private_key() -> Ed25519PrivateKey:
    """The signing key: TOCSIN_SIGNING_KEY (32 bytes in base64), else derived from the secret key. Raises Invalid.

    Every process that shares the secret key signs with the same one, and a restored installation goes on with it.
    """
    given = settings().signing_key
    return _key(given or base64.b64encode(secrets.proof("journal checkpoints", b"ed25519")).decode())


def public_key() -> PublicKey:
    """What checks this installation's signatures; shown by `tocsin audit checkpoint`."""
    return PublicKey(origin(), private_key().public_key().public_bytes_raw())


def origin() -> str:
    """The journal's name in checkpoints: the host under which people know this installation."""
    host = (urlsplit(settings().base_url).hostname or "tocsin").replace("+", "-")
    return f"{host}/journal"


@lru_cache(maxsize=8)
def _key(encoded: str) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(encoded, validate=True))
    except ValueError as error:
        raise Invalid(
            "TOCSIN_SIGNING_KEY must be 32 bytes in base64: try `openssl rand -base64 32`."
        ) from error
