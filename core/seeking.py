"""Looks for a value in the bytes of a file, in whatever encoding it stands there; memory is bounded, however large the file."""

import base64
import html
import quopri
import re
from collections.abc import Iterable, Iterator

from core.redaction import SHORTEST, spellings

OVERLAP = 128 * 1024
"""Bytes of a part that are looked at again with the next one: an encoded value may lie across both."""
_TAG = re.compile(r"<[^<>]{0,2000}>")
_SPACE = re.compile(r"\s+")
_BLANKS = b" \t\r\n>"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_CHARSETS = ("utf-8", "utf-16-le", "utf-16-be", "cp1252", "latin-1")


class Seeker:
    """Knows one value in every way it may be written: plainly, in UTF-16, base64, hex, quoted-printable, markup, on several lines."""

    def __init__(self, value: str) -> None:
        given = value.strip()
        texts = spellings(given)
        self._texts = {one for one in texts if len(one) >= SHORTEST}
        self._bytes = {form for one in self._texts for form in _encoded(one)}
        whole = {given, given.replace("\r\n", "\n"), given.replace("\r\n", "\n").replace("\n", "\r\n")}
        raw = {form for one in whole for form in _encoded(one)}
        self._packed = {form for one in raw for form in (*in_base64(one), one.hex().encode(), one.hex().upper().encode())}
        run = _SPACE.sub("", given)
        self._run = set(_encoded(run)) if len(run) >= SHORTEST else set()

    def text(self, text: str) -> bool:
        """Whether a text holds it."""
        return self.raw(text.encode("utf-8", "replace"))

    def raw(self, content: bytes) -> bool:
        """Whether these bytes hold it."""
        if _any(self._bytes, content) or _any(self._packed, content):
            return True
        run = content.translate(None, _BLANKS)
        if _any(self._run, run) or _any(self._packed, run) or _any(self._packed, run.translate(_URL_SAFE)):
            return True
        if b"\0" in content and self._read(content.replace(b"\0", b"")):
            return True
        unfolded = quopri.decodestring(content) if b"=" in content else b""
        return self._read(content) or bool(unfolded and (_any(self._bytes, unfolded) or self._read(unfolded)))

    def stream(self, parts: Iterable[bytes]) -> bool:
        """Whether a file that comes in parts holds it."""
        before = b""
        for part in parts:
            if self.raw(before + part):
                return True
            before = (before + part)[-OVERLAP:]
        return False

    def _read(self, content: bytes) -> bool:
        """As a browser would show it: without tags, references to letters resolved."""
        if b"<" not in content and b"&" not in content:
            return _any(self._bytes, content)
        shown = content.decode("utf-8", "replace")
        for one in (html.unescape(shown), html.unescape(_TAG.sub("", shown))):
            flat = _SPACE.sub(" ", one)
            if any(text in one or text in flat for text in self._texts):
                return True
        return False


def _any(needles: Iterable[bytes], content: bytes) -> bool:
    return any(one in content for one in needles)


def _encoded(text: str) -> Iterator[bytes]:
    for charset in _CHARSETS:
        try:
            yield text.encode(charset)
        except UnicodeEncodeError:
            continue


def in_base64(content: bytes) -> Iterator[bytes]:
    """How base64 writes these bytes in the middle of others: without the letters at both ends that others have a part in."""
    for before in range(3):
        written = base64.b64encode(b"\0" * before + content)
        begin = (before * 8 + 5) // 6
        yield written[begin : (before + len(content)) * 8 // 6]
