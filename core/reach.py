"""How others reach this installation, read from the environment: its address, its certificate, the proxies in front."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core import host as machine
from core.errors import Invalid


def base_url(env: Mapping[str, str], host: str, port: int, *, tls: bool) -> str:
    """The address people and tools are told: TOCSIN_BASE_URL, else that of the interface which is listened on.

    Raises Invalid for what is no http(s) address, or says http where we speak TLS ourselves.
    """
    given = env.get("TOCSIN_BASE_URL", "").strip().rstrip("/")
    if not given:
        name = shown_host(host)
        return f"{'https' if tls else 'http'}://{f'[{name}]' if ':' in name else name}:{port}"
    try:
        parts = urlsplit(given)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise Invalid(
            f"TOCSIN_BASE_URL must be an address such as https://tocsin.example.com, not {given[:100]!r}"
        )
    if tls and parts.scheme == "http":
        raise Invalid(
            "TOCSIN_BASE_URL begins with http://, but Tocsin speaks TLS: write https://, or leave TOCSIN_TLS and "
            "TOCSIN_TLS_CERTIFICATE out"
        )
    return given


def shown_host(host: str) -> str:
    """What others call the interface `host`: where that is every one, the address this machine is known by elsewhere."""
    if not machine.is_any(host):
        return host
    usual = machine.primary()
    return str(usual) if usual else next(iter(machine.names()), "127.0.0.1")


def certificate(env: Mapping[str, str], data_dir: Path) -> tuple[Path | None, Path | None, bool]:
    """The files of the certificate and its key, and whether they are our own to make. Raises Invalid."""
    wanted = env.get("TOCSIN_TLS", "").strip().lower()
    file, key = env.get("TOCSIN_TLS_CERTIFICATE"), env.get("TOCSIN_TLS_KEY")
    if wanted not in ("", "generate"):
        raise Invalid(
            f"TOCSIN_TLS must be `generate` or unset, not {wanted[:40]!r}; a certificate that you have goes into "
            "TOCSIN_TLS_CERTIFICATE and TOCSIN_TLS_KEY"
        )
    if wanted and (file or key):
        raise Invalid("TOCSIN_TLS=generate and TOCSIN_TLS_CERTIFICATE are both set: keep one of them")
    if key and not file:
        raise Invalid("TOCSIN_TLS_KEY is set without TOCSIN_TLS_CERTIFICATE: name the certificate's file too")
    if wanted:
        folder = data_dir / "tls"
        return folder / "certificate.pem", folder / "key.pem", True
    return (Path(file) if file else None), (Path(key) if key else None), False


def proxies(env: Mapping[str, str]) -> tuple[str, ...]:
    """TOCSIN_TRUSTED_PROXIES as networks: whose word on the client's address is believed. Raises Invalid."""
    found = []
    for word in filter(None, (part.strip() for part in env.get("TOCSIN_TRUSTED_PROXIES", "").split(","))):
        try:
            network = ipaddress.ip_network(word, strict=False)
        except ValueError as error:
            raise Invalid(
                f"TOCSIN_TRUSTED_PROXIES holds addresses and networks such as 127.0.0.1,10.0.0.0/24, not {word[:60]!r}"
            ) from error
        if network.prefixlen == 0:
            raise Invalid(f"TOCSIN_TRUSTED_PROXIES must not hold {word}: anybody could then say who they are")
        found.append(str(network))
    return tuple(found)


def neighbours(address: str) -> str:
    """Whom an address stands for where tries are counted: itself, or its /64 in IPv6, of which one machine has every address.

    An IPv4 address in IPv6's spelling is that address; what is no address stays as it is.
    """
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))
    return str(known)


@dataclass(frozen=True)
class Place:
    """Where something listens: a name or an address, and a port."""

    host: str
    port: int

    @property
    def beyond(self) -> bool:
        """Whether other machines may reach it."""
        return not machine.is_loopback(self.host)


def mail_place(text: str) -> Place:
    """TOCSIN_MAIL_LISTEN: host:port, [::1]:2525 or a port alone, which is on loopback. Raises Invalid."""
    host, _colon, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Invalid(f"TOCSIN_MAIL_LISTEN must be host:port such as 127.0.0.1:2525, not {text[:60]!r}")
    return Place(host.strip("[]") or "127.0.0.1", int(port))


def own_names(host: str, url: str) -> list[str]:
    """Every name and address under which a reader may ask for us: what a certificate of our own is for."""
    named = [urlsplit(url).hostname or "", "" if machine.is_any(host) else host]
    if not machine.is_loopback(host):
        named += [*machine.names(), *map(str, machine.addresses())]
    return list(dict.fromkeys(_spelled(name) for name in [*named, "localhost", "127.0.0.1", "::1"] if name))


def _spelled(name: str) -> str:
    """An address in its one spelling, a name as certificates hold it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower().encode("idna").decode() if not name.isascii() else name.lower()
