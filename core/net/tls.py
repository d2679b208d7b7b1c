"""Whom to trust and who we are, in TLS."""

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from core.errors import Invalid


@dataclass(frozen=True)
class Tls:
    """TLS settings of one product.

    ca: PEM of an additional authority (a company's own). verify=False accepts any certificate.
    certificate, key: PEM of our own certificate, for products that ask for one (mTLS).
    """

    ca: str | None = None
    verify: bool = True
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)


@lru_cache(maxsize=64)
def context(settings: Tls) -> ssl.SSLContext:
    """The SSL context for these settings; raises Invalid for a PEM that cannot be read."""
    made = ssl.create_default_context()
    try:
        if settings.ca:
            made.load_verify_locations(cadata=settings.ca)
        if settings.certificate:
            _load_chain(made, settings.certificate, settings.key or "")
    except (ssl.SSLError, ValueError):
        raise Invalid(
            "the certificate, its key or the authority is no valid PEM, or they do not belong together"
        ) from None
    if not settings.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _load_chain(made: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL reads keys from files only: a private one that lives for a moment."""
    handle, name = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{certificate}\n{key}\n")
        made.load_cert_chain(name)
    finally:
        Path(name).unlink()
