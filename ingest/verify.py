"""Who sent this: the proofs of origin a source may give, decided on bytes alone."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class ProofKind(StrEnum):
    """How a source proves that a delivery is its own."""

    URL_TOKEN = "url_token"  # noqa: S105 the name of a proof, not a secret
    BEARER = "bearer"
    HMAC = "hmac"
    SNS = "sns"
    ROUTING_KEY = "routing_key"


class Trust(StrEnum):
    """How far a source may be believed; a low one never starts a disruptive step without a person."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return ("low", "normal", "high").index(self.value)


TRUST_OF_PROOF: Mapping[ProofKind, Trust] = {
    ProofKind.URL_TOKEN: Trust.LOW,  # URLs end up in logs and in other people's tickets
    ProofKind.BEARER: Trust.NORMAL,
    ProofKind.ROUTING_KEY: Trust.NORMAL,
    ProofKind.HMAC: Trust.HIGH,
    ProofKind.SNS: Trust.HIGH,
}

SEALED_PROOFS = frozenset({ProofKind.HMAC})  # the only one whose check needs the secret itself

MENDING: Mapping[ProofKind, str] = {
    ProofKind.URL_TOKEN: "Post to the full URL that was shown when the source was made: /ingest/<source>/<token>.",
    ProofKind.BEARER: "Send the header `Authorization: Bearer <token>` with one of the source's two live tokens.",
    ProofKind.HMAC: "Sign the raw body with HMAC-SHA256 and the source's secret, and send it in the header {header} as "
    "`{prefix}<hex>`; nothing on the way may change the body.",
    ProofKind.SNS: "Only messages signed by Amazon SNS are taken here; leave raw message delivery off.",
    ProofKind.ROUTING_KEY: "Post to /v2/enqueue with the source's `routing_key` in the body.",
}

HMAC_HEADER, HMAC_PREFIX = "x-hub-signature-256", "sha256="  # GitHub's form


def trust_of(proof: ProofKind, wanted: Trust | None = None) -> Trust:
    """The trust of a source with this proof; an operator may lower it, never raise it."""
    most = TRUST_OF_PROOF[proof]
    return most if wanted is None or wanted.rank > most.rank else wanted


def digest(secret: str) -> bytes:
    """SHA-256 of a secret, the form in which it is kept. Secrets are 32 random bytes, so no salt is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def secret_matches(presented: str, digests: Iterable[bytes]) -> bool:
    """Whether the presented token is one of the live ones, without telling by time which byte differed."""
    mine = digest(presented)
    found = False
    for known in digests:
        found |= hmac.compare_digest(mine, known)
    return found


def bearer_token(authorization: str | None) -> str | None:
    """The token in an Authorization header: `Bearer t`, `Token t`, `GenieKey t`, the password of `Basic`, or `t` alone."""
    if not authorization:
        return None
    scheme, _, rest = authorization.strip().partition(" ")
    rest = rest.strip()
    if not rest:
        return scheme  # Okta sends what its form was given, and that may be the secret alone
    if scheme.lower() in ("bearer", "token", "splunk", "geniekey"):
        return rest
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(rest, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return decoded.partition(":")[2] or None
    return None


def hmac_matches(body: bytes, presented: str, secrets: Iterable[str], *, prefix: str = HMAC_PREFIX) -> bool:
    """Whether the header carries HMAC-SHA256 (hex, or base64 as some vendors send it) of the raw bytes."""
    given = presented.strip()
    if prefix and not given.lower().startswith(prefix.lower()):
        return False
    given = given[len(prefix) :]
    found = False
    for secret in secrets:
        mac = hmac.new(secret.encode(), body, hashlib.sha256).digest()
        found |= hmac.compare_digest(given.lower().encode(), mac.hex().encode())
        found |= hmac.compare_digest(given.encode(), base64.b64encode(mac))
    return found


# Amazon SNS: docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html

_SNS_HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-\d+\.amazonaws\.com(\.cn)?")
_SNS_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SNS_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SNS_HASHES: Mapping[str, type[hashes.SHA1] | type[hashes.SHA256]] = {"1": hashes.SHA1, "2": hashes.SHA256}


def sns_url_problem(url: object, *, certificate: bool) -> str | None:
    """Why this address may not be fetched: only https at sns.<region>.amazonaws.com, or None when it may."""
    if not isinstance(url, str):
        return "the message names no address"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the address cannot be read"
    if parts.scheme != "https" or port not in (None, 443):
        return "the address is not plain https"
    if parts.username is not None or parts.password is not None:
        return "the address carries a user name"
    if not _SNS_HOST.fullmatch(parts.hostname or ""):
        return f"{parts.hostname or 'nothing'} is not sns.<region>.amazonaws.com"
    if certificate and (not parts.path.endswith(".pem") or parts.query):
        return "the address does not name a .pem certificate"
    return None


def sns_canonical(message: Mapping[str, Any]) -> bytes:
    """The text Amazon SNS signs: a line each for name and value, in byte order, Subject only when present."""
    names = _SNS_NOTIFICATION if message.get("Type") == "Notification" else _SNS_CONFIRMATION
    lines = [f"{name}\n{message[name]}\n" for name in names if isinstance(message.get(name), str)]
    return "".join(lines).encode("utf-8", "surrogatepass")


def sns_signature_problem(message: Mapping[str, Any], certificate_pem: bytes, at: datetime) -> str | None:
    """Why Amazon's signature does not hold for this message at this time, or None when it holds."""
    from cryptography import x509  # only Amazon's notifications need it

    algorithm = _SNS_HASHES.get(str(message.get("SignatureVersion")))
    if algorithm is None:
        return f"signature version {message.get('SignatureVersion')!r} is neither 1 nor 2"
    try:
        signature = base64.b64decode(str(message.get("Signature") or "").encode(), validate=True)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except binascii.Error:
        return "the signature is not base64"
    except ValueError:
        return "the signing certificate cannot be read"
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        return f"the signing certificate is not valid at {at:%Y-%m-%d %H:%M} UTC"
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return "the signing certificate holds no RSA key"
    try:
        key.verify(signature, sns_canonical(message), padding.PKCS1v15(), algorithm())
    except InvalidSignature:
        return "the signature does not match the message"
    return None
