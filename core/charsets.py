"""Text out of bytes in whatever charset a stranger names: never slower than the text is long, and never an error."""

import codecs

_NO_TEXT = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})
"""Python knows them as charsets, mail and HTTP do not: punycode's time grows with the square of the length."""


def decoded(content: bytes, charset: str | None) -> str:
    """The text; what is unknown, or no charset that mail or HTTP uses, is read as UTF-8."""
    return content.decode(usable(charset), "replace")


def usable(charset: str | None) -> str:
    """The charset to read with: the one that is named, or UTF-8."""
    try:
        found = codecs.lookup(charset or "utf-8")
    except (LookupError, ValueError):  # unknown, or a name that is none
        return "utf-8"
    text = getattr(found, "_is_text_encoding", True)  # how bytes.decode() itself tells base64, zip, rot13…
    return found.name if text and found.name.replace("_", "-") not in _NO_TEXT else "utf-8"
