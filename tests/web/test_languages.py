"""The reader's language is their own choice first, then the browser's order."""

import pytest

from web.languages import choose


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
