"""Values read well, and hostile text cannot hide."""

from datetime import UTC, datetime, timedelta

import pytest

from core import clock
from web import wording

NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3660, "1 h 1 min"),
        (86400, "1 d"),
        (273600, "3 d 4 h"),
    ],
)
def test_span(seconds: int, text: str) -> None:
    assert wording.span(timedelta(seconds=seconds)) == text


def test_ago() -> None:
    with clock.frozen(NOON):
        assert wording.ago(NOON - timedelta(minutes=12)) == "12 min ago"
        assert wording.ago(NOON + timedelta(minutes=5)) == "in 5 min"
        assert wording.ago(NOON) == "just now"


def test_nothing_hides_in_hostile_text() -> None:
    assert wording.visible("invoice\u202efdp.exe") == "invoice[U+202E]fdp.exe"
    assert wording.visible("pay\u200bpal") == "pay[U+200B]pal"
    assert wording.visible("ñandú 😀\n") == "ñandú 😀\n"


def test_observables_are_defanged() -> None:
    assert wording.defanged("evil.example", "domain") == "evil[.]example"
    assert "://" not in wording.defanged("http://evil.example/a", "url") or "hxxp" in wording.defanged(
        "http://evil.example/a", "url"
    )


@pytest.mark.parametrize(("name", "letters"), [("Ana Ferrer", "AF"), ("ana@example.org", "AE"), ("", "?")])
def test_initials(name: str, letters: str) -> None:
    assert wording.initials(name) == letters
