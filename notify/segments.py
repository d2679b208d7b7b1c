"""Fits a text into one or two segments of SMS: in the telephone network's own alphabet where it can be said in it."""

import unicodedata

# 3GPP TS 23.038 §6.2.1: the basic characters count once, those behind the escape twice.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("^{}\\[~]|€")
_LIKE = str.maketrans(
    {"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "...", "▒": "*", "\t": " "}
)
MOST = 2
"""Segments at most: a longer one is dear, and arrives in pieces."""


def plain(text: str) -> str:
    """The text with signs and accents that the basic alphabet lacks written as it can; other scripts stay as they are."""
    text = text.translate(_LIKE)
    return "".join(_nearest(letter) for letter in text)


def _nearest(letter: str) -> str:
    if letter in _BASIC or letter in _ESCAPED:
        return letter
    bare = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    return bare if bare and all(part in _BASIC or part in _ESCAPED for part in bare) else letter


def segments(text: str) -> int:
    """How many segments a text takes: 160 basic characters or 70 others in one, 153 or 67 in each of several."""
    if all(letter in _BASIC or letter in _ESCAPED for letter in text):
        size, alone, each = sum(1 + (letter in _ESCAPED) for letter in text), 160, 153
    else:
        size, alone, each = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if size <= alone else -(-size // each)


def fit(head: str, tail: str, most: int = MOST) -> str:
    """`head`, cut where it must be, and the whole `tail`, in at most `most` segments.

    A tail that is too long by itself is left out: it would not be of use in part.
    """
    head, tail = plain(head), plain(tail)
    whole = " ".join(part for part in (head, tail) if part)
    if segments(whole) <= most:
        return whole
    end = f"... {tail}" if tail and segments(f"... {tail}") <= most else "..."
    low, high = 0, len(head)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if segments(head[:middle].rstrip() + end) <= most else (low, middle - 1)
    return head[:low].rstrip() + end
