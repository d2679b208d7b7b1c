"""Filters that take what may be blocked or looked up out of a list: addresses that are nobody's own, URLs without names."""

import pytest

from core.expressions import render


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["203.0.113.9", "10.0.0.7", "172.16.3.4", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1"], ["203.0.113.9"]),
        (["2001:db8::1", "fe80::1", "fd00::1", "::1", "ff02::1"], ["2001:db8::1"]),
        (["172.32.0.1", "not an address", "224.0.0.1", "255.255.255.255"], ["172.32.0.1"]),
        ([], []),
    ],
)  # fmt: skip
def test_addresses_of_a_private_range_are_left_out(given: list[str], kept: list[str]) -> None:
    assert render("{{ found | outside | list }}", {"found": given}) == kept


def test_urls_lose_what_may_name_a_person() -> None:
    urls = ["https://a.example/x?for=ana", "https://a.example/x#ana", "https://a.example/x"]
    assert render("{{ urls | map('without_query') | unique | list }}", {"urls": urls}) == ["https://a.example/x"]
