"""Fetch what Amazon SNS asks its receivers to fetch: its signing certificate, the confirmation of a subscription."""

import re
import threading
import time
from urllib.parse import urlsplit

from core.net.egress import Egress
from core.net.errors import NetFailed, NetRefused
from core.net.http import Request, Timeout, send

# docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html: only Amazon's own hosts are to be trusted.
_HOST = re.compile(r"sns\.[a-z0-9-]{3,30}\.amazonaws\.com(\.cn)?", re.ASCII)
_KEPT_SECONDS = 24 * 3600.0
_kept: dict[str, tuple[bytes, float]] = {}
_lock = threading.Lock()


def is_amazon(url: str) -> bool:
    """Is this an https URL of an SNS endpoint, with nothing else in it that could lead elsewhere?"""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https" and parts.netloc == parts.hostname and bool(_HOST.fullmatch(parts.netloc))
        )
    except ValueError:
        return False


def certificate(url: str, *, egress: Egress | None = None) -> bytes:
    """The PEM that `SigningCertURL` names; kept for a day. Raises NetRefused for any other host, NetFailed…"""
    if not is_amazon(url) or not urlsplit(url).path.endswith(".pem"):
        raise NetRefused("the signing certificate is not at Amazon SNS")
    with _lock:
        kept = _kept.get(url)
    if kept is not None and kept[1] > time.monotonic():
        return kept[0]
    pem = _get(url, egress)
    if b"BEGIN CERTIFICATE" not in pem:
        raise NetFailed("what Amazon SNS sent is no certificate", sent=True)
    with _lock:
        if len(_kept) > 100:
            _kept.clear()
        _kept[url] = (pem, time.monotonic() + _KEPT_SECONDS)
    return pem


def confirm(url: str, *, egress: Egress | None = None) -> None:
    """Confirm a subscription by its `SubscribeURL`; raises NetRefused for any other host, NetFailed…"""
    if not is_amazon(url):
        raise NetRefused("the confirmation is not at Amazon SNS")
    _get(url, egress)


def _get(url: str, egress: Egress | None) -> bytes:
    response = send(
        Request(url=url, timeout=Timeout(connect=3, read=5, total=8), max_response=64 * 1024), egress=egress
    )
    if not response.ok:
        raise NetFailed(f"Amazon SNS answered {response.status}", sent=True)
    return response.content
