"""Where connections may go."""

import ipaddress
import socket

import pytest

from core.net import Egress, NetFailed, NetRefused
from core.net.egress import connect, judge, resolve, screen

OPEN = Egress()
PRIVATE = Egress(allow_private=True)


def refused(address: str, rules: Egress = OPEN, port: int = 443) -> str | None:
    return judge(ipaddress.ip_address(address), port, rules)


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "169.254.169.254", "169.254.1.1", "fe80::1", "224.0.0.1",
    "ff02::1", "255.255.255.255", "240.0.0.1", "fd00:ec2::254", "168.63.129.16", "100.100.100.200",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "2002:a9fe:a9fe::1", "::127.0.0.1", "2001:0:0:0:0:0:80ff:fffe",
])  # fmt: skip
def test_never_unless_named(address: str) -> None:
    assert refused(address, PRIVATE)
    assert refused(address, Egress(allow=(f"{address}",))) is None


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fc00::1", "::ffff:10.0.0.1"]
)
def test_private_ranges_when_the_product_says_so(address: str) -> None:
    assert refused(address)
    assert refused(address, PRIVATE) is None
    assert (
        refused(
            address,
            Egress(allow=("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")),
        )
        is None
    )


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_the_internet_is_open(address: str) -> None:
    assert refused(address) is None
    assert "muzzled" in (refused(address, Egress(muzzled=True, allow=("10.0.0.0/8",))) or "")


def test_an_entry_may_name_a_port() -> None:
    rules = Egress(allow=("127.0.0.1:8080", "[::1]:25"))
    assert refused("127.0.0.1", rules, 8080) is None
    assert refused("127.0.0.1", rules, 8081)
    assert refused("::1", rules, 25) is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "[::1]", "169.254.169.254"]
)
def test_literal_addresses_are_seen_in_every_spelling(host: str) -> None:
    with pytest.raises(NetRefused):
        screen(host, 80, Egress(allow_private=True))


def test_a_muzzled_installation_does_not_even_resolve() -> None:
    rules = Egress(muzzled=True, allow=("siem.lan", "*.corp.lan", "127.0.0.1"))
    for host in ("siem.lan", "a.corp.lan", "SIEM.LAN.", "127.0.0.1", "localhost"):
        screen(host, 443, rules)
    for host in ("example.com", "notsiem.lan", "corp.lan", "8.8.8.8"):
        with pytest.raises(NetRefused, match="muzzled"):
            screen(host, 443, rules)


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_is_resolved_once_and_its_address_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, "127.0.0.1", "8.8.8.8")
    assert [str(address) for address in resolve("rebind.example", 443, Egress(), 1)] == ["8.8.8.8"]
    assert asked == ["rebind.example"]
    answers(monkeypatch, "169.254.169.254")
    with pytest.raises(NetRefused, match=r"rebind\.example \(169\.254\.169\.254\)"):
        resolve("rebind.example", 80, Egress(allow_private=True), 1)


def test_a_named_host_may_resolve_to_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "127.0.0.1")
    assert resolve("agent.lan", 80, Egress(allow=("agent.lan",)), 1)


def test_what_cannot_be_resolved_or_reached_was_surely_not_sent() -> None:
    with pytest.raises(NetFailed, match="cannot be resolved") as caught:
        resolve("no-such-host.invalid", 80, Egress(), 5)
    assert caught.value.before_send
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        with pytest.raises(NetFailed, match="cannot be reached") as caught:
            connect("127.0.0.1", held.getsockname()[1], Egress(allow=("127.0.0.1",)), 1)
    assert not caught.value.sent
