"""A stranger's charset: the text in the time of its length, whatever is named."""

import time

import pytest

from core.charsets import decoded, usable


@pytest.mark.parametrize(
    ("charset", "content", "text"),
    [
        ("utf-8", "año".encode(), "año"), ("ISO-8859-1", b"a\xf1o", "año"), ("windows-1252", b"\x80", "€"), (None, b"a", "a"),
        ("", b"a", "a"), ("koi8-r", "да".encode("koi8-r"), "да"), ("no-such", "año".encode(), "año"), ("utf-8\0", b"a", "a"),
        ("hex", b"61", "61"), ("zip", b"x", "x"), ("undefined", b"x", "x"), ("idna", b"\xff", "\ufffd"),
        ("unicode_escape", b"\\x41", "\\x41"), ("UTF-16", "año".encode("utf-16"), "año"),
    ],
)  # fmt: skip
def test_the_charset_of_the_text_else_utf_8(charset: str | None, content: bytes, text: str) -> None:
    assert decoded(content, charset) == text


def test_no_charset_takes_longer_than_its_text() -> None:
    began = time.process_time()
    assert len(decoded(b"a1b2" * 500_000, "punycode")) == 2_000_000
    assert time.process_time() - began < 2, "two minutes as punycode"
    assert usable("Punycode") == "utf-8"
