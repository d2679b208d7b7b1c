"""The only way out to the network."""

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
