"""What somebody says on the phone names hosts, addresses and accounts, and sounds like a kind of incident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.named import MOST, category_of, value_of, values_in


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Ana called: LAPTOP-7 talks to 203.0.113[.]9", [("ipv4-addr", "203.0.113.9"), ("host", "laptop-7")]),
        (
            "CORP\\m.ortiz clicked hxxps://login.evil.example/a on FS-ZRH-01",
            [
                ("url", "https://login.evil.example/a"),
                ("domain", "login.evil.example"),
                ("user", "corp\\m.ortiz"),
                ("host", "fs-zrh-01"),
            ],
        ),
        ("CVE-2026-1234, INC-2026-000042, TLP-1 and SHA-256 are no hosts", [("cve", "CVE-2026-1234")]),
        ("The CEO and the CFO got an SMS at 9-10", []),
        ("", []),
    ],
)
def test_values(said: str, found: list[tuple[str, str]]) -> None:
    assert sorted(
        (one.type, one.value.lower() if one.type != "cve" else one.value) for one in values_in(said)
    ) == sorted(found)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("203.0.113.9", "ipv4-addr"),
        ("laptop-7", "host"),
        ("m.ortiz@example.org", "email"),
        ("hello", "host"),
        ("!!", None),
    ],
)
def test_a_word_that_is_said_to_be_a_value(word: str, kind: str | None) -> None:
    found = value_of(word)
    assert (found.type if found else None) == kind


@pytest.mark.parametrize(
    ("said", "category"),
    [
        ("She clicked a link in a mail", "phishing"),
        ("Todos los archivos cifrados", "malware"),
        ("Laptop stolen from the Madrid office", "policy"),
        ("The shop is down", "availability"),
        ("He gave his password to a caller", "login"),
        ("Something is odd", None),
    ],
)
def test_what_it_sounds_like(said: str, category: str | None) -> None:
    assert category_of(said) == category


@given(st.text(max_size=2000))
def test_any_words_are_read(text: str) -> None:
    assert len(values_in(text)) <= MOST
    category_of(text)
