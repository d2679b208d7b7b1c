"""The reader's language is their own choice first, then the browser's order."""

import io
import re

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from web.languages import CATALOGUES, COMPLETE, KNOWN, choose, gettext, use

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
    assert choose(cookie, header, {"en", "es"}) == chosen


def test_a_language_is_offered_when_it_is_complete() -> None:
    folder = CATALOGUES.parent
    ours: set[str] = set()
    methods, options = parse_mapping_cfg(io.StringIO((CATALOGUES / "babel.cfg").read_text()))
    for _, _, message, _, _ in extract_from_dir(folder, methods, options, callback=None):
        ours.add(message[0] if isinstance(message, tuple) else message)
    assert len(ours) > 500
    for code in KNOWN:
        if code == "en":
            continue
        with (CATALOGUES / f"{code}.po").open("rb") as file:
            told = {
                m.id[0] if isinstance(m.id, tuple) else m.id
                for m in read_po(file)
                if m.string and any(m.string)
            }
        assert (code in COMPLETE) == ours.issubset(told), (
            f"{code} lacks {len(ours - told)} of {len(ours)} messages"
        )


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
