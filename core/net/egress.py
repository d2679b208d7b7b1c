"""Where connections may go: a name is resolved once, judged, and the judged address is the one connected to."""

import contextlib
import ipaddress
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as ResolverTimeout
from dataclasses import dataclass

from core.net.errors import NetFailed, NetRefused, NetTimeout
from core.settings import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Cloud metadata and host agents: AWS (both), Azure's wire server, Alibaba, Oracle classic.
_METADATA = tuple(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192")
)
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_resolver = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolver")


@dataclass(frozen=True)
class Egress:
    """The rules for one request.

    allow: networks (10.0.0.0/8), addresses, names (siem.lan) or name patterns (*.lan), each with an optional :port;
    these may be reached whatever else is said, and are all that may be reached when muzzled.
    allow_private: private ranges may be reached (a product inside the own network).
    """

    allow: tuple[str, ...] = ()
    allow_private: bool = False
    muzzled: bool = False


def current(*, allow_private: bool = False) -> Egress:
    """The rules of this installation."""
    known = settings()
    return Egress(tuple(known.egress_allow), allow_private=allow_private, muzzled=known.muzzled)


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, compatible, 6to4, Teredo, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _COMPATIBLE and int(address) > 0xFFFF:
        return ipaddress.IPv4Address(int(address))
    return address


def judge(address: Address, port: int, rules: Egress) -> str | None:
    """Why this address may not be connected to, or None when it may."""
    real = unwrapped(address)
    if _listed(address, port, rules) or _listed(real, port, rules):
        return None
    if rules.muzzled:
        return "this installation is muzzled: nothing leaves it but to addresses in TOCSIN_EGRESS_ALLOW"
    for kind, hit in (
        ("a cloud metadata address", real in _METADATA),
        ("an unspecified address", real.is_unspecified),
        ("a loopback address", real.is_loopback),
        ("a link-local address", real.is_link_local),
        ("a multicast address", real.is_multicast),
        ("a reserved address", real.is_reserved),
        ("the broadcast address", str(real) == "255.255.255.255"),
    ):
        if hit:
            return f"{kind} is reached only when TOCSIN_EGRESS_ALLOW names it"
    if not real.is_global and not rules.allow_private:
        return "a private address is reached only when the product's settings or TOCSIN_EGRESS_ALLOW allow it"
    return None


def screen(host: str, port: int, rules: Egress) -> None:
    """Refuse what can be refused without resolving: a literal address, or any unlisted name when muzzled.

    Raises NetRefused.
    """
    literal = _literal(host)
    reason = None
    if literal is not None:
        reason = judge(literal, port, rules)
    elif rules.muzzled and host.lower() != "localhost" and not _named(host, port, rules):
        reason = "this installation is muzzled: nothing leaves it but to addresses in TOCSIN_EGRESS_ALLOW"
    if reason:
        raise NetRefused(f"{host}:{port} was not contacted: {reason}")


def resolve(host: str, port: int, rules: Egress, timeout: float) -> list[Address]:
    """The addresses of `host` that may be connected to, in the resolver's order; at least one.

    Raises NetRefused when every address is refused, NetFailed when the name is unknown, NetTimeout.
    """
    screen(host, port, rules)
    literal = _literal(host)
    found = [literal] if literal is not None else _look_up(host, port, timeout)
    if _named(host, port, rules):
        return found
    reasons = [judge(address, port, rules) for address in found]
    allowed = [address for address, reason in zip(found, reasons, strict=True) if reason is None]
    if not allowed:
        shown = host if literal is not None else f"{host} ({found[0]})"
        raise NetRefused(f"{shown}:{port} was not contacted: {reasons[0]}")
    return allowed


def connect(host: str, port: int, rules: Egress, timeout: float) -> socket.socket:
    """A TCP connection to one judged address of `host`, tried in order within `timeout` seconds altogether.

    Raises NetRefused, NetTimeout or NetFailed, all before anything was sent.
    """
    deadline = time.monotonic() + timeout
    problem: NetFailed | None = None
    for address in resolve(host, port, rules, timeout):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((str(address), port), timeout=left)
        except TimeoutError:
            problem = NetTimeout(f"{host}:{port} did not accept a connection within {timeout:g} s")
        except OSError as error:
            problem = NetFailed(f"{host}:{port} cannot be reached: {error.strerror or error}")
    raise problem or NetTimeout(f"{host}:{port} did not accept a connection within {timeout:g} s")


def _look_up(host: str, port: int, timeout: float) -> list[Address]:
    """Resolve in a thread: the system's resolver knows no timeout."""
    task = _resolver.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        answers = task.result(timeout)
    except ResolverTimeout:
        task.cancel()
        raise NetTimeout(f"the name {host} was not resolved within {timeout:g} s") from None
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or "it is no host name"
        raise NetFailed(f"the name {host} cannot be resolved: {said}") from None
    texts = dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers)
    return [ipaddress.ip_address(text) for text in texts]


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001 and 2130706433 are addresses to the system's resolver
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _split(entry: str) -> tuple[str, int | None]:
    """`host:port` → (host, port); an IPv6 entry with a port is written [::1]:8080."""
    name, colon, port = entry.strip().rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.startswith("[")):
        return name.strip("[]").lower(), int(port)
    return entry.strip().strip("[]").lower(), None


def _listed(address: Address, port: int, rules: Egress) -> bool:
    for entry in rules.allow:
        name, only = _split(entry)
        with contextlib.suppress(ValueError):
            network = ipaddress.ip_network(name, strict=False)
            if address.version == network.version and address in network and only in (None, port):
                return True
    return False


def _named(host: str, port: int, rules: Egress) -> bool:
    wanted = host.lower().rstrip(".")
    for entry in rules.allow:
        name, only = _split(entry)
        fits = wanted.endswith(name[1:]) if name.startswith("*.") else wanted == name
        if fits and only in (None, port) and _literal(name) is None:
            return True
    return False
