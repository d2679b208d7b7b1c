"""Posts a body to the ingest door as the source's product would, with the source's proof."""

import hashlib
import hmac
from collections.abc import Mapping

from core.net import http
from core.net.egress import Egress
from core.net.tls import Tls
from core.settings import settings
from ingest.verify import HMAC_HEADER, HMAC_PREFIX, ProofKind

OURSELVES = Egress(allow=("127.0.0.0/8", "::1/128", "0.0.0.0/0", "::/0"))
"""Whatever address Tocsin itself is configured to have may be reached."""


def ourselves() -> Tls:
    """Whom to trust when Tocsin speaks with itself: a certificate that it has signed itself, too."""
    given = settings()
    own = given.tls_certificate if given.tls_generated else None
    return Tls(ca=own.read_text(encoding="ascii") if own is not None and own.exists() else None)


def post(url: str, proof: str, secret: str, body: bytes, headers: Mapping[str, str]) -> http.Response:
    """Send and return the answer. Raises what `core.net.http.send` raises."""
    sent = {"Content-Type": "application/json", **headers}
    if proof == ProofKind.BEARER:
        sent["Authorization"] = f"Bearer {secret}"
    elif proof == ProofKind.HMAC:
        sent[HMAC_HEADER] = HMAC_PREFIX + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    request = http.Request(method="POST", url=url, headers=sent, content=body, tls=ourselves())
    return http.send(request, egress=OURSELVES)
