"""Tells somebody what the watch has found, by a way that Tocsin's own paging has no part in, once and not again and again."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from cli.watching import Finding
from core import heartbeat, logs
from core.errors import Invalid
from core.net import NetError, http, smtp

log = logs.get(__name__)

AGAIN_AFTER = timedelta(hours=1)
"""What goes on is told again after this long."""
OVER_AFTER = timedelta(minutes=5)
"""What has not been found for this long is over; what comes and goes is told once."""
BETWEEN = timedelta(seconds=60)
"""Two notifications are at least this far apart; what is found meanwhile goes into the next one."""


@dataclass
class Memory:
    """What was told and when (unix time), kept in a file so that a restart tells nothing twice."""

    path: Path
    told: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)  # when what was told was last found
    last: float = 0.0

    @classmethod
    def load(cls, path: Path) -> "Memory":
        """What the file remembers; nothing when there is none or it cannot be read."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            told, seen = ({str(k): float(at) for k, at in kept[name].items()} for name in ("told", "seen"))
            return cls(path, told, seen, float(kept["last"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(path)

    def save(self) -> None:
        """Write it down, whole or not at all; a directory that cannot be written costs the memory, never the alarm."""
        new = self.path.with_suffix(".new")
        try:
            kept = {"told": self.told, "seen": self.seen, "last": self.last}
            new.write_text(json.dumps(kept), encoding="utf-8")
            new.replace(self.path)
        except OSError as error:
            log.warning("the watch cannot keep what it has told", extra={"reason": str(error)})


def round_of(
    memory: Memory, found: Sequence[Finding], ways: Sequence[str], sender: str, base_url: str
) -> bool:
    """Tell what is new, what has gone on for an hour, and what is over; True when something was told.

    A notification that got out by one way counts as told; one that got out by none is tried again next time.
    """
    now = time.time()
    keys = {one.key for one in found}
    memory.seen |= dict.fromkeys(keys & set(memory.told), now)
    fresh = [one for one in found if not _within(AGAIN_AFTER, memory.told.get(one.key, 0.0), now)]
    over = sorted(key for key in memory.told if not _within(OVER_AFTER, memory.seen.get(key, 0.0), now))
    if not (fresh or over) or _within(BETWEEN, memory.last, now):
        return False
    for one in fresh:
        log.error("the watch has found something", extra={"finding": one.key, "says": one.says})
    lines = [one.says for one in fresh] + ([f"Over: {', '.join(over)}."] if over else [])
    title = f"Tocsin's watch: {fresh[0].says}" if fresh else "Tocsin's watch: all that was wrong is over"
    if fresh and len(fresh) > 1:
        title = f"Tocsin's watch: {len(fresh)} things are wrong"
    out = [_tell(way, title, lines, fresh, sender, base_url) for way in ways]
    if ways and not any(out):
        return False
    kept = {key: at for key, at in memory.told.items() if key not in over}
    memory.told = kept | {one.key: now for one in fresh}
    memory.seen = {key: memory.seen.get(key, now) for key in memory.told}
    memory.last = now
    memory.save()
    return True


def _within(span: timedelta, since: float, now: float) -> bool:
    """Whether `since` is less than `span` ago; an instant ahead of us is a clock that jumped, not a recent one."""
    return 0 <= now - since < span.total_seconds()


def checked(way: str) -> str:
    """An address the watch can tell: smtp[s]://…?to=… or http[s]://…. Raises Invalid, never repeating it."""
    parts = urlsplit(way)
    if parts.scheme in ("smtp", "smtps"):
        if not dict(parse_qsl(parts.query)).get("to"):
            raise Invalid(
                "TOCSIN_WATCH_NOTIFY: a mail server needs somebody to write to: smtp://host:25?to=soc@example.org"
            )
        smtp.read_url(_server(way)[0])
    elif parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(
            "TOCSIN_WATCH_NOTIFY is written smtp://host:25?to=soc@example.org or https://…, several with commas."
        )
    return way


def beat(url: str) -> bool:
    """Say to a dead man's switch outside that all is well; what it answers is its own affair."""
    try:
        heartbeat.send(url)
    except (NetError, Invalid) as error:
        log.warning("the heartbeat did not get out", extra={"reason": error.message})
        return False
    return True


def _tell(way: str, title: str, lines: list[str], fresh: list[Finding], sender: str, base_url: str) -> bool:
    try:
        if way.startswith("smtp"):
            _mail(way, title, lines, sender, base_url)
        else:
            body = {
                "text": "\n".join([title, *lines]),
                "title": title,
                "findings": [{"key": one.key, "says": one.says} for one in fresh],
                "url": base_url,
            }
            answer = http.send(
                http.Request(method="POST", url=way, json=body, timeout=heartbeat.LIMIT), egress=heartbeat.towards(way)
            )
            if not answer.ok:
                log.error("the watch was not heard", extra={"status": answer.status})
                return False
    except (NetError, Invalid) as error:
        log.error("the watch was not heard", extra={"reason": error.message})
        return False
    return True


def _mail(way: str, title: str, lines: list[str], sender: str, base_url: str) -> None:
    server, options = _server(way)
    mail = EmailMessage()
    mail["From"] = options.get("from", sender)
    mail["To"] = options["to"]
    mail["Subject"] = title[:200]
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=urlsplit(base_url).hostname or "tocsin.invalid")
    mail["Auto-Submitted"] = "auto-generated"
    mail["Importance"] = "high"
    mail.set_content(
        "\n".join(lines) + f"\n\nThis comes from Tocsin's watch, not from its paging.\n{base_url}\n"
    )
    smtp.send(server, mail, timeout=10.0, egress=heartbeat.towards(server))


def _server(way: str) -> tuple[str, dict[str, str]]:
    """The mail server's own URL, and what was said beside it (to, from)."""
    parts = urlsplit(way)
    options = dict(parse_qsl(parts.query))
    own = {name: value for name, value in options.items() if name not in ("to", "from")}
    return urlunsplit(parts._replace(query=urlencode(own))), options
