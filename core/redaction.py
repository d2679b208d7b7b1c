"""Takes known values out of texts, nested values and bytes: what stays is how each begins, and a part of its hash."""

import hashlib
import html
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Characters; taking shorter values out would make other texts unreadable and hide nothing."""
LONG = 12
"""Characters; of shorter values nothing is shown: four characters and a hash would be enough to guess the rest."""

_MASK = re.compile(r".{4}…\[redacted, SHA-256 [0-9a-f]{12}\]|\[redacted\]", re.DOTALL)
_FEW = 50


def mask(value: str) -> str:
    """What stands where the value stood: its first 4 characters and 12 hex digits of the SHA-256 of its UTF-8."""
    if len(value) < LONG:
        return "[redacted]"
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{value[:4]}…[redacted, SHA-256 {digest[:12]}]"


def spellings(value: str) -> set[str]:
    """The value as texts, JSON, markup and forms write it."""
    plain = _as_text(value)
    markup = {html.escape(one, quote=quote) for one in plain for quote in (True, False)}
    sent = {step(one) for one in plain for step in (_sent, _sent_whole)}
    return {*_written(value, _WAYS), *markup, *sent}


def is_mask(text: str) -> bool:
    """Whether this is what `mask` leaves: read again after a replay, it is no new secret."""
    return _MASK.fullmatch(text.strip()) is not None


class Redactor:
    """Knows values that must not stay. False when there are none that are long enough."""

    def __init__(self, values: Iterable[str]) -> None:
        known = {value.strip() for value in values if not is_mask(value)}
        self.values = sorted((value for value in known if len(value) >= SHORTEST), key=len, reverse=True)
        self._texts = _Words(_together(_written(one, _IN_TEXT) for one in self.values))
        sent = [*_WAYS, *((*way, step) for way in _IN_TEXT for step in (_sent, _sent_whole))]
        bytewise = _together(_written(one, sent) for one in self.values)
        self._bytes = _Words({_latin(form): _latin(instead) for form, instead in bytewise.items()})

    def __bool__(self) -> bool:
        return bool(self.values)

    def text(self, text: str) -> str:
        """The text without the values."""
        return self._texts.replaced(text)

    def value(self, value: Any) -> Any:
        """The same in every text of nested lists and mappings; what holds none of the values stays the same object."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            told = {self.value(key): self.value(one) for key, one in value.items()}
            return value if told == value else told
        if isinstance(value, list | tuple):
            held = [self.value(one) for one in value]
            return value if held == list(value) else type(value)(held)
        return value

    def raw(self, body: bytes) -> bytes:
        """The bytes without the values, as they stand there or as JSON and forms write them."""
        return self._bytes.replaced(body.decode("latin-1")).encode("latin-1")


def _together(each: Iterable[dict[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in each:
        for form, instead in some.items():
            found.setdefault(form, instead)
    return found


class _Words:
    """Replaces many words at once; each place in a text is looked at once, however many there are."""

    def __init__(self, by_word: dict[str, str]) -> None:
        self._by_word = dict(sorted(by_word.items(), key=lambda pair: -len(pair[0])))
        self._by_start: dict[str, list[str]] = {}
        for word in self._by_word:
            self._by_start.setdefault(word[:SHORTEST], []).append(word)

    def replaced(self, text: str) -> str:
        if len(self._by_word) <= _FEW:
            for word, instead in self._by_word.items():
                text = text.replace(word, instead) if word in text else text
            return text
        told, at, kept = [], 0, 0
        while at < len(text):
            for word in self._by_start.get(text[at : at + SHORTEST], ()):
                if text.startswith(word, at):
                    told += [text[kept:at], self._by_word[word]]
                    at = kept = at + len(word)
                    break
            else:
                at += 1
        return "".join([*told, text[kept:]]) if told else text


def _as_text(value: str) -> set[str]:
    """As people and tools repeat it: on one line, with line ends of either kind."""
    lines = value.replace("\r\n", "\n")
    return {value, lines, lines.replace("\n", "\r\n"), " ".join(value.split()), lines.replace("\n", "\\n")}


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_as_it_is(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _slashes(text: str) -> str:
    return text.replace("/", "\\/")


def _sent(text: str) -> str:
    return quote(text.encode("utf-8", "replace"))


def _sent_whole(text: str) -> str:
    return quote_plus(text.encode("utf-8", "replace"))


_IN_TEXT = ((), (_json,), (_json_as_it_is,), (_json, _slashes), (_json_as_it_is, _slashes))
_WAYS = (*_IN_TEXT, (_json, _json), (_json_as_it_is, _json), (_json_as_it_is, _json_as_it_is))


def _written(value: str, ways: Iterable[tuple[Callable[[str], str], ...]]) -> dict[str, str]:
    """Each way to write the value, with the mask written the same way: a document stays readable."""
    found: dict[str, str] = {}
    for text in _as_text(value):
        for way in ways:
            form, instead = text, mask(value)
            for step in way:
                form, instead = step(form), step(instead)
            found.setdefault(form, instead)
    return found


def _latin(text: str) -> str:
    """The UTF-8 bytes of a text, one character each."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")
