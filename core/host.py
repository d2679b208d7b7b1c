"""What this machine knows of its own place in the network: its names, addresses, networks, gateways and resolvers."""

import ipaddress
import re
import socket
from contextlib import suppress
from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PROC = Path("/proc/net")
RESOLV = Path("/etc/resolv.conf")
# RFC 5737, RFC 3849: asked for the way there only, connecting UDP sends nothing.
_ELSEWHERE = ((socket.AF_INET, "203.0.113.1"), (socket.AF_INET6, "2001:db8::1"))
_HOST = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_UP, _GATEWAY = 0x1, 0x2  # flags of a route


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() in ("localhost", "ip6-localhost")


def cannot_listen(host: str, port: int) -> OSError | None:
    """Why this process could not listen there just now, as when somebody does already; None when it could."""
    try:
        places = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _name, address in places:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind(address)
    except OSError as error:
        return error
    return None


def is_any(host: str) -> bool:
    """Whether `host` stands for every interface."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return host == ""


def names(resolv: Path = RESOLV) -> list[str]:
    """The names this machine calls itself, without asking anybody: its host name, and that in its search domains."""
    own = socket.gethostname().strip().rstrip(".").lower()
    if not own or own.partition(".")[0] == "localhost":
        return []
    return [own] if "." in own else [own, *(f"{own}.{domain}" for domain in domains(resolv))]


def domains(resolv: Path = RESOLV) -> list[str]:
    """The domains in which short names are looked for."""
    found = [word.rstrip(".").lower() for word in _words(resolv, "search", "domain")]
    return list(dict.fromkeys(name for name in found if name not in ("", "localdomain", "localhost")))


def resolvers(resolv: Path = RESOLV) -> list[Address]:
    """The name servers it asks, itself left out."""
    found: list[Address] = []
    for word in _words(resolv, "nameserver"):
        with suppress(ValueError):
            found.append(ipaddress.ip_address(word.partition("%")[0]))
    return [one for one in dict.fromkeys(found) if not one.is_loopback]


def primary() -> Address | None:
    """The address with which it speaks to machines elsewhere; None without a way out."""
    for family, elsewhere in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((elsewhere, 9))
            return ipaddress.ip_address(asked.getsockname()[0])
    return None


def addresses(proc: Path = PROC) -> list[Address]:
    """Every address of this machine that others may reach, the usual one first; that alone where there is no /proc."""
    found: list[Address] = [ipaddress.ip_address(text) for text in _HOST.findall(_read(proc / "fib_trie"))]
    found += [
        ipaddress.IPv6Address(int(line.split()[0], 16)) for line in _read(proc / "if_inet6").splitlines()
    ]
    usual = primary() if proc == PROC else None
    known = dict.fromkeys([*([usual] if usual else []), *found])
    return [one for one in known if not (one.is_loopback or one.is_link_local)]


def networks(proc: Path = PROC) -> list[Network]:
    """The networks it is directly in."""
    found: list[Network] = []
    for target, _via, mask, flags in _routes(proc):
        if flags & _UP and not flags & _GATEWAY and int(target):
            with suppress(ValueError):
                found.append(ipaddress.IPv4Network((int(target), str(mask))))
    for line in _read(proc / "ipv6_route").splitlines():
        part = line.split()
        network = ipaddress.IPv6Network((int(part[0], 16), int(part[1], 16)), strict=False)
        if not int(part[8], 16) & _GATEWAY and 0 < network.prefixlen < 128:
            found.append(network)
    return [
        one for one in dict.fromkeys(found) if not (one.is_link_local or one.is_multicast or one.is_loopback)
    ]


def gateways(proc: Path = PROC) -> list[Address]:
    """The routers on its way to other networks."""
    found: list[Address] = [via for _to, via, _mask, flags in _routes(proc) if flags & _GATEWAY]
    for line in _read(proc / "ipv6_route").splitlines():
        part = line.split()
        if int(part[8], 16) & _GATEWAY:
            found.append(ipaddress.IPv6Address(int(part[4], 16)))
    return [one for one in dict.fromkeys(found) if not one.is_unspecified]


def _routes(
    proc: Path,
) -> list[tuple[ipaddress.IPv4Address, ipaddress.IPv4Address, ipaddress.IPv4Address, int]]:
    """Target, gateway, mask and flags of each IPv4 route: /proc/net/route has addresses in the machine's byte order."""
    found = []
    for line in _read(proc / "route").splitlines()[1:]:
        part = line.split()
        target, via, mask = (
            ipaddress.IPv4Address(socket.ntohl(int(part[column], 16))) for column in (1, 2, 7)
        )
        found.append((target, via, mask, int(part[3], 16)))
    return found


def _words(path: Path, *wanted: str) -> list[str]:
    lines = [line.split("#")[0].split() for line in _read(path).splitlines()]
    return [word for line in lines if line and line[0] in wanted for word in line[1:]]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
