"""How values read on a page: times, durations, counts and hostile text."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors import entities
from core import clock
from notify.wording import disarmed
from web.languages import gettext as _

# Characters that reorder, hide or join text (Unicode TR36 §2.3, TR9 explicit formatting characters).
_TRICKS = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def visible(value: Any) -> str:
    """The text with invisible and direction-changing characters replaced by their code, so that nothing hides."""
    return _TRICKS.sub(lambda found: f"[U+{ord(found.group()):04X}]", str(value))


def defanged(value: Any, kind: str = "") -> str:
    """An observable as it may be shown: never clickable, nothing hidden."""
    return visible(entities.defang(kind, str(value)) if kind else value)


def span(length: timedelta | float) -> str:
    """A duration in its two largest units: "3 d 4 h", "12 min", "40 s"."""
    seconds = int(abs(length.total_seconds() if isinstance(length, timedelta) else length))
    if seconds < 60:
        return _("%(n)s s") % {"n": seconds}
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return _("%(n)s min") % {"n": minutes}
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        text = _("%(n)s h") % {"n": hours}
        return text + (" " + _("%(n)s min") % {"n": minutes} if minutes and hours < 10 else "")
    days, hours = divmod(hours, 24)
    text = _("%(n)s d") % {"n": days}
    return text + (" " + _("%(n)s h") % {"n": hours} if hours and days < 4 else "")


def ago(at: datetime) -> str:
    """How long ago or ahead: "12 min ago", "in 5 min", "just now"."""
    gone = clock.now() - at
    if abs(gone) < timedelta(seconds=5):
        return _("just now")
    if gone < timedelta(0):
        return _("in %(span)s") % {"span": span(gone)}
    return _("%(span)s ago") % {"span": span(gone)}


def iso(at: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(at: datetime) -> str:
    """The same instant for a person: "2026-11-03 14:00:05 UTC"."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock_time(at: datetime) -> str:
    """Hours and minutes in UTC; the browser rewrites them in the reader's zone."""
    return at.astimezone(UTC).strftime("%H:%M")


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(at: datetime) -> str:
    """The time of day to the millisecond, in UTC; the browser rewrites it in the reader's zone."""
    return instant(at)[11:23]


def day_key(at: datetime) -> str:
    """The UTC day an instant falls on."""
    return at.astimezone(UTC).strftime("%Y-%m-%d")


def when(at: datetime) -> str:
    """A moment of the coming or past days: "Mon 09:00", in UTC; the browser rewrites it in the reader's zone."""
    return at.astimezone(UTC).strftime(
        "%a %H:%M" if abs(at - clock.now()) < timedelta(days=6) else "%d %b %H:%M"
    )


def milliseconds(value: int) -> str:
    """How long something took: "412 ms", "1.8 s", "3 min"."""
    if abs(value) < 1000:
        return _("%(n)s ms") % {"n": value}
    return _("%(n)s s") % {"n": f"{value / 1000:.1f}"} if abs(value) < 60_000 else span(value / 1000)


def number(value: int) -> str:
    """1204 → "1,204"."""
    return f"{value:,}"


def up_to(value: int, most: int) -> str:
    """A number that was counted to `most` only: "1,000+" when it was reached."""
    return f"{number(value)}+" if value >= most else number(value)


def count(value: int) -> str:
    """A number that fits a badge: 7, 99, 1.2k."""
    if value < 1000:
        return str(value)
    return f"{value / 1000:.1f}k" if value < 10_000 else f"{value // 1000}k"


def size(value: int) -> str:
    """How large a file is: "812 B", "34 KiB", "1.2 MiB"."""
    if value < 1024:
        return f"{value} B"
    return f"{value / 1024:.0f} KiB" if value < 1024 * 1024 else f"{value / 1024 / 1024:.1f} MiB"


def words(name: str) -> str:
    """An identifier as words: "on_call" → "on call"."""
    return str(name).replace("_", " ").replace("-", " ")


def initials(name: str) -> str:
    """Up to two letters for a person's mark."""
    parts = [part for part in re.split(r"[\s.@_-]+", name) if part]
    return "".join(part[0] for part in parts[:2]).upper() or "?"


def pretty(value: Any) -> str:
    """A structure as indented JSON, nothing hidden in it."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False, default=str))


FILTERS: dict[str, Callable[..., Any]] = {
    "visible": visible,
    "defanged": defanged,
    "span": span,
    "ago": ago,
    "iso": iso,
    "utc": utc,
    "clock": clock_time,
    "day": day_key,
    "when": when,
    "ms": milliseconds,
    "instant": instant,
    "exact": exact,
    "number": number,
    "up_to": up_to,
    "count": count,
    "bytes": size,
    "words": words,
    "initials": initials,
    "pretty": pretty,
    "disarmed": disarmed,
    "first_word": lambda text: text.split(" ")[0],
}
