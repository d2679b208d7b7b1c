"""What a machine knows of its network is read from /proc as Linux writes it, and from resolv.conf."""

from pathlib import Path

import pytest

from core import host

ROUTE = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	FE01A8C0	0003	0	0	100	00000000	0	0	0
eth0	0001A8C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
wg0	0000080A	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	0000FEA9	00000000	0001	0	0	1000	0000FFFF	0	0	0
old	00000A0A	00000000	0000	0	0	0	0000FFFF	0	0	0
"""
TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 192.168.1.7
           /32 host LOCAL
        |-- 192.168.1.255
           /32 link BROADCAST
Local:
        |-- 10.8.0.1
           /32 host LOCAL
        |-- 192.168.1.7
           /32 host LOCAL
"""
IF6 = """fe8000000000000000fc00fffe000001 04 40 20 80     eth0
20010db8000000000000000000000007 04 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""
ROUTE6 = """20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 1 1 00000001 eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 2 2 00000001 eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000000000000000000000001 00000400 1 1 00000003 eth0
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 3 1 00000001 eth0
20010db8000000000000000000000007 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 3 1 80200001 eth0
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for name, text in (("route", ROUTE), ("fib_trie", TRIE), ("if_inet6", IF6), ("ipv6_route", ROUTE6)):
        (tmp_path / name).write_text(text, encoding="ascii")
    return tmp_path


def test_networks_and_gateways_are_those_of_the_routes(proc: Path) -> None:
    assert [str(one) for one in host.networks(proc)] == ["192.168.1.0/24", "10.8.0.0/16", "2001:db8::/64"]
    assert [str(one) for one in host.gateways(proc)] == ["192.168.1.254", "2001:db8::1"]


def test_addresses_are_those_that_others_reach(proc: Path) -> None:
    assert [str(one) for one in host.addresses(proc)] == ["192.168.1.7", "10.8.0.1", "2001:db8::7"]


def test_where_there_is_no_proc_nothing_is_made_up(tmp_path: Path) -> None:
    assert host.addresses(tmp_path) == []
    assert host.networks(tmp_path) == []
    assert host.gateways(tmp_path) == []
    assert host.resolvers(tmp_path / "none") == []


def test_resolvers_and_domains_are_those_of_resolv_conf(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# made by hand\nsearch Corp.Example. lan.example localdomain\nnameserver 192.168.1.254 # router\n"
        "nameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver garbage\noptions edns0\n",
        encoding="ascii",
    )
    assert [str(one) for one in host.resolvers(file)] == ["192.168.1.254", "fe80::1"]
    assert host.domains(file) == ["corp.example", "lan.example"]


@pytest.mark.parametrize(
    ("listens", "loopback", "every"),
    [
        ("127.0.0.1", True, False), ("127.8.8.8", True, False), ("::1", True, False), ("localhost", True, False),
        ("0.0.0.0", False, True), ("::", False, True), ("", False, True), ("10.0.0.5", False, False),
        ("soc.example", False, False),
    ],
)  # fmt: skip
def test_whether_others_reach_what_listens(listens: str, loopback: bool, every: bool) -> None:
    assert (host.is_loopback(listens), host.is_any(listens)) == (loopback, every)


def test_this_very_machine_is_read_without_an_error() -> None:
    usual = host.primary()
    assert usual is None or usual in host.addresses()
    assert all(name == name.lower() for name in host.names())
