"""The address that others are told, whose word on addresses is believed, and the certificate's files."""

from pathlib import Path

import pytest

from core import host, reach
from core.errors import Invalid
from core.settings import Settings


def load(tmp_path: Path, **env: str) -> Settings:
    return Settings.load({"TOCSIN_DATA_DIR": str(tmp_path), **env})


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"TOCSIN_HOST": "10.0.0.5", "TOCSIN_PORT": "8443", "TOCSIN_TLS": "generate"}, "https://10.0.0.5:8443"),
        ({"TOCSIN_HOST": "::1"}, "http://[::1]:8000"),
        ({"TOCSIN_HOST": "0.0.0.0"}, "http://192.0.2.7:8000"),
        ({"TOCSIN_HOST": "::", "TOCSIN_TLS_CERTIFICATE": "c.pem"}, "https://192.0.2.7:8000"),
        ({"TOCSIN_HOST": "0.0.0.0", "TOCSIN_BASE_URL": "https://soc.example/"}, "https://soc.example"),
    ],
)  # fmt: skip
def test_others_are_told_an_address_that_they_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], url: str
) -> None:
    monkeypatch.setattr(host, "primary", lambda: "192.0.2.7")
    assert load(tmp_path, **env).base_url == url


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"TOCSIN_BASE_URL": "soc.example"}, "TOCSIN_BASE_URL must be an address"),
        ({"TOCSIN_BASE_URL": "http://[::1"}, "TOCSIN_BASE_URL must be an address"),
        ({"TOCSIN_BASE_URL": "http://soc.example", "TOCSIN_TLS": "generate"}, "write https://"),
        ({"TOCSIN_TLS": "yes"}, "TOCSIN_TLS must be `generate`"),
        ({"TOCSIN_TLS": "generate", "TOCSIN_TLS_KEY": "k.pem"}, "keep one of them"),
        ({"TOCSIN_TLS_KEY": "k.pem"}, "name the certificate's file too"),
        ({"TOCSIN_TRUSTED_PROXIES": "127.0.0.1, nginx"}, "not 'nginx'"),
        ({"TOCSIN_TRUSTED_PROXIES": "0.0.0.0/0"}, "anybody could then say who they are"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path, env: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        load(tmp_path, **env)


def test_proxies_are_networks_in_one_spelling(tmp_path: Path) -> None:
    given = load(tmp_path, TOCSIN_TRUSTED_PROXIES="127.0.0.1, 10.0.0.7/24,,fd00::1")
    assert given.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/24", "fd00::1/128")
    assert load(tmp_path).trusted_proxies == ()


def test_a_certificate_is_for_every_name_that_a_reader_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "names", lambda: ["soc-1", "soc-1.corp.example"])
    monkeypatch.setattr(host, "addresses", lambda: ["192.0.2.7", "2001:db8::7"])
    assert reach.own_names("0.0.0.0", "https://Soc.Example:8443") == [
        "soc.example", "soc-1", "soc-1.corp.example", "192.0.2.7", "2001:db8::7", "localhost", "127.0.0.1", "::1",
    ]  # fmt: skip
    assert reach.own_names("127.0.0.1", "https://127.0.0.1:8000") == ["127.0.0.1", "localhost", "::1"]
    assert reach.own_names("fd00:0::5", "https://wärme.example")[:2] == ["xn--wrme-loa.example", "fd00::5"]


@pytest.mark.parametrize(
    ("address", "stands_for"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:0:7::1", "2001:db8:0:7::/64"),
        ("2001:db8:0:7:ffff::1%eth0", "2001:db8:0:7::/64"), ("+34600000001", "+34600000001"), ("", ""),
    ],
)  # fmt: skip
def test_an_address_of_ipv6_stands_for_its_network(address: str, stands_for: str) -> None:
    assert reach.neighbours(address) == stands_for
