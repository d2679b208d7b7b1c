"""What a mail's style attributes say of letters and colours, as far as it tells whether words can be read."""

import re

_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})\b")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})")
_NAMED = {"white": (255, 255, 255), "black": (0, 0, 0), "transparent": None, "none": None}
_NUMBER = re.compile(r"-?\d{0,6}(?:\.\d{1,4})?")

Colour = tuple[int, int, int] | None


def declared(style: str) -> dict[str, str]:
    """The declarations of a style attribute, in small letters; the last of a name counts."""
    found = {}
    for one in style[:4000].split(";")[:60]:
        name, colon, value = one.partition(":")
        if colon:
            found[name.strip().casefold()] = value.replace("!important", "").strip().casefold()
    return found


def letters(style: dict[str, str], before: float) -> float:
    """How high the letters are, in pixels; `before` is how high they are around it."""
    short = style.get("font", "")
    given = style.get("font-size") or (short.split("/")[0] if short[:1].isdigit() else "")
    found = number(given)
    if found is None:
        return 14.0 if given else before
    if given.endswith("rem"):
        return 14.0 * found
    if given.endswith(("em", "%")):
        return before * found / (100 if given.endswith("%") else 1)
    return found


def colour(text: str, before: Colour) -> Colour:
    """A colour as red, green and blue; None when it is not known, a picture for example."""
    text = text.strip().casefold()
    if "url(" in text or "gradient" in text:
        return None
    if found := _HEX.search(text):
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if found := _RGB.search(text):
        return min(int(found[1]), 255), min(int(found[2]), 255), min(int(found[3]), 255)
    if text in ("inherit", "transparent", "none", "initial"):
        return before
    return _NAMED.get(text)


def number(text: str) -> float | None:
    """The number that a length begins with; None for none."""
    found = _NUMBER.match(text.strip())
    try:
        return float(found[0]) if found and found[0] else None
    except ValueError:
        return None
