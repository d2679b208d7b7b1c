"""Remembers, in the data directory, when the outside heartbeat last got out."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

FILE = "heartbeat"


def remember(folder: Path, at: datetime) -> None:
    """Note that it got out at `at`. A directory that cannot be written costs the note, never the heartbeat."""
    new = folder / f"{FILE}.new"
    with suppress(OSError):
        new.write_text(at.astimezone(UTC).isoformat(timespec="seconds"), encoding="ascii")
        new.replace(folder / FILE)


def last(folder: Path) -> datetime | None:
    """When it last got out; None when it never did, or another directory knows."""
    with suppress(OSError, ValueError):
        at = datetime.fromisoformat((folder / FILE).read_text(encoding="ascii").strip())
        return at if at.tzinfo else None
    return None
