"""The reader's language is their own choice first, then the browser's order."""

import re

import pytest
from babel.messages.pofile import read_po

from web.languages import CATALOGUES, choose, gettext, use

_PLACE = re.compile(r"%\(\w+\)s")


@pytest.mark.parametrize(
    ("cookie", "header", "chosen"),
    [
        (None, None, "en"),
        (None, "es-MX,es;q=0.9,en;q=0.8", "es"),
        (None, "de,fr;q=0.9,es;q=0.5,en;q=0.4", "es"),
        (None, "en;q=0.1, es;q=0.2", "es"),
        ("en", "es", "en"),
        ("xx", "es", "es"),
        (None, "es;q=nonsense,en", "en"),
    ],
)
def test_choose(cookie: str | None, header: str | None, chosen: str) -> None:
    assert choose(cookie, header) == chosen


def test_translations_keep_every_placeholder() -> None:
    with (CATALOGUES / "es.po").open("rb") as file:
        spanish = read_po(file)
    for message in spanish:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        for text in texts:
            assert sorted(_PLACE.findall(str(text))) == sorted(_PLACE.findall(str(ids[-1]))), ids


def test_a_word_that_is_not_translated_stays_english() -> None:
    use("es")
    try:
        assert gettext("Now") == "Ahora"
        assert gettext("nobody has translated this") == "nobody has translated this"
    finally:
        use("en")
