"""Web Push: a payload that only the subscribed browser can read, and the proof of who sends it."""

import base64
import json
import os
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_RECORD = 4096
MOST = _RECORD - 86 - 17
"""Bytes that fit in the one record which push services take (RFC 8291 §4, RFC 8030 §7.2)."""


def encrypted(
    plain: bytes,
    browser: bytes,
    auth: bytes,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body in aes128gcm (RFC 8188) for a browser's public key (65 bytes) and secret (16 bytes), by RFC 8291.

    Key and salt are made afresh each time; only a test gives them. Raises ValueError for keys that are none.
    """
    key, salt = key or ec.generate_private_key(ec.SECP256R1()), salt or os.urandom(16)
    ours = point(key)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), browser)
    material = _hkdf(key.exchange(ec.ECDH(), theirs), auth, b"WebPush: info\0" + browser + ours, 32)
    secret = _hkdf(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(material, salt, b"Content-Encoding: nonce\0", 12)
    record = AESGCM(secret).encrypt(nonce, plain + b"\x02", None)
    return salt + _RECORD.to_bytes(4, "big") + bytes([len(ours)]) + ours + record


def authorization(private: str, endpoint: str, subject: str, at: int) -> str:
    """The Authorization header by which a push service knows us (VAPID, RFC 8292); good for twelve hours from `at`."""
    key = from_text(private)
    parts = urlsplit(endpoint)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": at + 12 * 3600, "sub": subject}
    said = f"{_json({'typ': 'JWT', 'alg': 'ES256'})}.{_json(claims)}"
    r, s = decode_dss_signature(key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
    signature = text(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={said}.{signature}, k={text(point(key))}"


def new_key() -> tuple[str, str]:
    """A private key and its public one, as texts."""
    key = ec.generate_private_key(ec.SECP256R1())
    return text(key.private_numbers().private_value.to_bytes(32, "big")), text(point(key))


def from_text(private: str) -> ec.EllipticCurvePrivateKey:
    """A private key from its text."""
    return ec.derive_private_key(int.from_bytes(data(private), "big"), ec.SECP256R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key of a key, uncompressed: 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def text(raw: bytes) -> str:
    """Base64 for URLs without padding, as all of Web Push writes bytes."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def data(written: str) -> bytes:
    """The bytes of such a text. Raises ValueError."""
    return base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))


def _hkdf(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=salt, info=info).derive(material)


def _json(value: object) -> str:
    return text(json.dumps(value, separators=(",", ":")).encode())
