"""The only way out to the network."""

import core.net._lean  # noqa: F401  # first: it decides what `import httpx` brings along
from core.net.egress import Egress, current
from core.net.errors import (
    LoginRefused,
    NetError,
    NetFailed,
    NetRefused,
    NetTimeout,
    ResponseTooLarge,
    SmtpRefused,
)

__all__ = [
    "Egress",
    "LoginRefused",
    "NetError",
    "NetFailed",
    "NetRefused",
    "NetTimeout",
    "ResponseTooLarge",
    "SmtpRefused",
    "current",
]
