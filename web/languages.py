"""The reader's language: English as written, others from their catalogues in web/i18n once these are complete."""

import io
from collections.abc import Container
from contextvars import ContextVar
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

CATALOGUES = Path(__file__).parent / "i18n"
KNOWN = {"en": "English", "es": "Español"}
COMPLETE = ("en",)  # a test compares: a language is offered when every message of ours has its translation
LANGUAGES = {code: KNOWN[code] for code in COMPLETE}

_current: ContextVar[str] = ContextVar("language", default="en")


@lru_cache(maxsize=16)
def catalogue(language: str) -> NullTranslations:
    """The translations of a language, compiled in memory from its .po file when first asked for."""
    source = CATALOGUES / f"{language}.po"
    if language == "en" or not source.exists():
        return NullTranslations()
    from babel.messages.mofile import write_mo  # only readers of another language pay for babel
    from babel.messages.pofile import read_po

    compiled = io.BytesIO()
    with source.open("rb") as po:
        write_mo(compiled, read_po(po))
    compiled.seek(0)
    return GNUTranslations(compiled)


def choose(cookie: str | None, accept_language: str | None, offered: Container[str] = LANGUAGES) -> str:
    """The first language on offer: the reader's own choice, else the browser's order (RFC 9110 §12.5.4)."""
    if cookie is not None and cookie in offered:
        return cookie
    wanted: list[tuple[float, str]] = []
    for part in (accept_language or "").split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        quality = 1.0
        name, _, value = parameter.strip().partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
        wanted.append((-quality, tag.split("-")[0].lower()))
    for _, tag in sorted(wanted, key=lambda pair: pair[0]):
        if tag in offered:
            return tag
    return "en"


def use(language: str) -> None:
    """Speak this language for the rest of the request."""
    _current.set(language)


def current() -> str:
    """The code of the language in use."""
    return _current.get()


def gettext(message: str) -> str:
    """The message in the reader's language."""
    return catalogue(_current.get()).gettext(message)


def ngettext(singular: str, plural: str, number: int) -> str:
    """The right plural of the message in the reader's language."""
    return catalogue(_current.get()).ngettext(singular, plural, number)
