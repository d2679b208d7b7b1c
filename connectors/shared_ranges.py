"""Networks and names so widely shared that blocking one hurts everybody: resolvers, content networks, cloud mail.

Written from the operators' own publications (cloudflare.com/ips, fastly.com, learn.microsoft.com on Microsoft 365
endpoints, api.github.com/meta, RFC 6890), as of DATED. It is a safety net, not an inventory.
"""

import ipaddress
from functools import lru_cache

DATED = "2026-11"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPECIAL = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/4 240.0.0.0/4 "
    "::/128 ::1/128 fc00::/7 fe80::/10 ff00::/8"
)
_RESOLVERS = (
    "1.1.1.1 1.0.0.1 8.8.8.8 8.8.4.4 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 94.140.14.14 94.140.15.15 "
    "2606:4700:4700::1111 2606:4700:4700::1001 2001:4860:4860::8888 2001:4860:4860::8844 2620:fe::fe 2620:fe::9"
)
_CLOUDFLARE = (
    "173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20 "
    "188.114.96.0/20 197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13 "
    "131.0.72.0/22 2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29 "
    "2c0f:f248::/32"
)
_FASTLY = (
    "23.235.32.0/20 43.249.72.0/22 103.244.50.0/24 103.245.222.0/23 103.245.224.0/24 104.156.80.0/20 140.248.64.0/18 "
    "140.248.128.0/17 146.75.0.0/17 151.101.0.0/16 157.52.64.0/18 167.82.0.0/17 172.111.64.0/18 185.31.16.0/22 "
    "199.27.72.0/21 199.232.0.0/16 2a04:4e40::/32 2a04:4e42::/32"
)
_MICROSOFT_365 = (
    "13.107.6.152/31 13.107.18.10/31 13.107.128.0/22 23.103.160.0/20 40.92.0.0/15 40.96.0.0/13 40.104.0.0/15 "
    "40.107.0.0/16 52.96.0.0/14 52.100.0.0/14 104.47.0.0/17 131.253.33.215/32 132.245.0.0/16 150.171.32.0/22 "
    "204.79.197.215/32 2603:1006::/40 2603:1016::/36 2603:1026::/36 2603:1036::/36 2603:1046::/36"
)
_GITHUB = "140.82.112.0/20 143.55.64.0/20 185.199.108.0/22 192.30.252.0/22 2606:50c0::/32 2a0a:a440::/29"
_GOOGLE = (
    "74.125.0.0/16 142.250.0.0/15 172.217.0.0/16 216.58.192.0/19 2404:6800::/32 2607:f8b0::/32 2a00:1450::/32"
)

_NAMED = {
    "a private or special-purpose range (RFC 6890)": _SPECIAL,
    "a public DNS resolver": _RESOLVERS,
    "shared by the customers of Cloudflare": _CLOUDFLARE,
    "shared by the customers of Fastly": _FASTLY,
    "used by Microsoft 365": _MICROSOFT_365,
    "used by GitHub": _GITHUB,
    "used by Google's services": _GOOGLE,
}

_NAMES = (
    "akamaiedge.net amazonaws.com apple.com azure.com azureedge.net cloudflare.com cloudfront.net duckduckgo.com "
    "facebook.com fastly.net github.com githubusercontent.com google.com googleapis.com googleusercontent.com gstatic.com "
    "icloud.com linkedin.com live.com login.microsoftonline.com microsoft.com microsoftonline.com npmjs.org office.com "
    "office365.com okta.com outlook.com pypi.org sharepoint.com slack.com windows.com windows.net windowsupdate.com "
    "youtube.com zoom.us"
)
DOMAINS = frozenset(_NAMES.split())
"""Names under which everybody works: never blocked as a whole. Names below them may be."""


@lru_cache
def networks() -> tuple[tuple[Network, str], ...]:
    """Every shared network with what it is."""
    return tuple(
        (ipaddress.ip_network(text), what) for what, texts in _NAMED.items() for text in texts.split()
    )


def shared(network: Network) -> str | None:
    """What shared range this network touches, or None."""
    for known, what in networks():
        if known.version == network.version and known.overlaps(network):
            return what
    return None


def is_special(network: Network) -> bool:
    """Whether this is a private or special-purpose range: nothing an outside service knows."""
    what = shared(network)
    return what is not None and what.startswith("a private")
