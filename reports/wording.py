"""Durations and moments in words, for every format alike."""

import re
from datetime import UTC, datetime

RSIT = {
    "malware": "Malicious Code", "phishing": "Fraud: Phishing", "intrusion": "Intrusions", "login": "Intrusion Attempts: Login Attempts",
    "secret": "Information Content Security: Unauthorised access to information", "availability": "Availability",
    "web_attack": "Intrusion Attempts: Exploitation of known vulnerabilities", "policy": "Other", "other": "Other",
}  # fmt: skip
"""Categories in the words of the Reference Security Incident Taxonomy (github.com/enisaeu/Reference-Security-Incident-Taxonomy-Task-Force)."""
_TRICKS = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(seconds: float | None) -> str:
    """The two largest units, as “3 h 12 min”; “not known” for None, milliseconds below a second."""
    if seconds is None:
        return "not known"
    if abs(seconds) < 1:
        return f"{round(seconds * 1000)} ms"
    left, parts = round(abs(seconds)), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return ("−" if seconds < 0 else "") + " ".join(parts[:2])


def moment(at: datetime | None) -> str:
    """An instant as “2026-11-03 14:00:07 UTC”, or “not known”."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else "not known"


def listed(items: list[str]) -> str:
    """Items as “a, b and c”."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def unseen(text: str) -> str:
    """A text in which what steers or cannot be seen stands as its code, so that nothing hides."""
    return _TRICKS.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)
