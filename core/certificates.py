"""The certificate Tocsin serves HTTPS with: made and renewed by itself when asked to, read to say what it is."""

import hashlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core import clock
from core.errors import Invalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import GeneralName

LIFE = timedelta(days=397)  # what browsers take of a server's certificate at most
RENEW_BEFORE = timedelta(days=30)
_BEFORE = timedelta(hours=1)  # for readers whose clock is behind


@dataclass(frozen=True)
class Shown:
    """A certificate as people compare it: SHA-256 of its DER bytes in colon-separated hexadecimal, names, validity.

    `key` is the SHA-256 of its public key (SubjectPublicKeyInfo), 64 hexadecimal digits: a renewal of ours keeps it, so tools
    pin that.
    """

    fingerprint: str
    key: str
    names: tuple[str, ...]
    starts: datetime
    ends: datetime
    self_signed: bool

    def covers(self, names: Sequence[str]) -> bool:
        """Whether it is for every one of these names and addresses."""
        return set(names) <= set(self.names)


def read(path: Path) -> Shown:
    """The first certificate in a PEM file. Raises Invalid, naming the file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise Invalid(f"The certificate {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Invalid(f"{path} holds no certificate in PEM form.") from error
    try:
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [
            *named.get_values_for_type(x509.DNSName),
            *map(str, named.get_values_for_type(x509.IPAddress)),
        ]
    except x509.ExtensionNotFound:
        names = []
    public = found.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Shown(
        fingerprint=found.fingerprint(hashes.SHA256()).hex(":").upper(),
        key=hashlib.sha256(public).hexdigest(),
        names=tuple(names),
        starts=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
        self_signed=found.issuer == found.subject,
    )


def to_trust(path: Path | None) -> str | None:
    """The certificate as PEM, never what else stands in its file, where nobody else signed it: who trusts us needs it.

    None without one, where somebody else signed it, and where the file cannot be used.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        if path is None or not read(path).self_signed:
            return None
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (Invalid, OSError, ValueError):
        return None
    return found.public_bytes(serialization.Encoding.PEM).decode("ascii")


def ensure(certificate: Path, key: Path, names: Sequence[str]) -> bool:
    """Have a certificate of our own for these names and addresses there; True when a new one was made.

    It is made anew with the same key when it ends within a month or lacks one of the names: whoever pinned the key goes on.
    """
    if certificate.exists() and key.exists():
        try:
            present = read(certificate)
        except Invalid:
            pass  # cut off while it was written: made anew
        else:
            if present.covers(names) and present.ends - clock.now() > RENEW_BEFORE:
                return False
            names = [*names, *(name for name in present.names if name not in names)]
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make(certificate, key, list(names)[:100])
    return True


def _make(certificate: Path, key: Path, names: Sequence[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = _own_key(key)
    if private is None:
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(key, pem, 0o600)
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tocsin, signed by itself")])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - _BEFORE)
        .not_valid_after(clock.now() - _BEFORE + LIFE)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(certificate, built.public_bytes(serialization.Encoding.PEM), 0o644)


def _own_key(path: Path) -> "EllipticCurvePrivateKey | None":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        held = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    return held if isinstance(held, ec.EllipticCurvePrivateKey) else None


def _name(text: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Appears whole or not at all, whatever reads it meanwhile."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
