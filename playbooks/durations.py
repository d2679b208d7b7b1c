"""Durations as people write them: 30s, 5m, 1h, 3d, 2w, or several together (1h30m)."""

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+\Z")
LONGEST = 366 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds in a written duration; ValueError with a sentence when it is not one."""
    compact = text.strip().replace(" ", "")
    if not _WHOLE.match(compact):
        raise ValueError(f'"{text}" is not a duration; write for example 30s, 5m, 1h, 3d or 2w')
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(compact))
    if seconds > LONGEST:
        raise ValueError(f'"{text}" is longer than a year')
    return seconds


def say_duration(seconds: float) -> str:
    """A length of time in words: "90 s" reads "1 min 30 s"."""
    rest = round(seconds)
    if rest == 0:
        return f"{seconds:g} s"
    words = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, rest = divmod(rest, size)
        if amount:
            words.append(f"{amount} {unit}")
    return " ".join(words[:2])
