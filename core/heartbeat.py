"""The outside heartbeat: tells a dead man's switch that all is well, and remembers in the data directory when it did."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from core.net import Egress, current, http

FILE = "heartbeat"
LIMIT = http.Timeout(connect=5.0, read=10.0, total=15.0)


def send(url: str) -> int:
    """Say to a dead man's switch outside that all is well; the HTTP status that it answered. Raises NetError, Invalid."""
    return http.send(http.Request(url=url, timeout=LIMIT), egress=towards(url)).status


def towards(url: str) -> Egress:
    """The operator named this address, so it may be reached wherever it is; a muzzled Tocsin reaches nobody."""
    rules = current(allow_private=True)
    host = urlsplit(url).hostname or ""
    if rules.muzzled or not host:
        return rules
    return replace(rules, allow=(*rules.allow, f"[{host}]" if ":" in host else host))


def remember(folder: Path, at: datetime) -> None:
    """Note that it got out at `at`. A directory that cannot be written costs the note, never the heartbeat."""
    new = folder / f"{FILE}.new"
    with suppress(OSError):
        new.write_text(at.astimezone(UTC).isoformat(timespec="seconds"), encoding="ascii")
        new.replace(folder / FILE)


def forget(folder: Path) -> None:
    """It goes elsewhere now, or nowhere: what is remembered says nothing of that."""
    with suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)


def last(folder: Path) -> datetime | None:
    """When it last got out; None when it never did, or another directory knows."""
    with suppress(OSError, ValueError):
        at = datetime.fromisoformat((folder / FILE).read_text(encoding="ascii").strip())
        return at if at.tzinfo else None
    return None
