"""Which lines are sent, and when they say that they happened."""

import calendar
import json
import os
import re
import sys
import time
from typing import Any, List, Optional, Tuple

STAMPS = ("timestamp", "@timestamp", "time", "ts")


def say(text: str) -> None:
    """One line for the log; systemd writes the time itself."""
    at = "" if os.environ.get("JOURNAL_STREAM") else time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime())
    sys.stderr.write(at + text.replace("\n", " ") + "\n")
    sys.stderr.flush()


def size_of(count: int) -> str:
    """A number of bytes as people read it."""
    return (
        "{} B".format(count)
        if count < 1000
        else "{:.1f} kB".format(count / 1e3)
        if count < 1e6
        else "{:.1f} MB".format(count / 1e6)
    )


def epoch_of(value: Any) -> Optional[float]:
    """Seconds since 1970 of a time as log lines write it: RFC 3339, an offset without its colon, or a number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) / (1000.0 if value > 1e11 else 1.0)
    if not isinstance(value, str):
        return None
    found = re.match(
        r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?\s*(Z|[+-]\d\d:?\d\d)?$", value.strip()
    )
    if not found:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        at = float(calendar.timegm(time.strptime(day + " " + clock, "%Y-%m-%d %H:%M:%S")))
    except ValueError:
        return None
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        at -= (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
    return at + float("0." + fraction if fraction else 0)


def stamp_of(event: Any) -> Optional[float]:
    """When an event happened, in seconds since 1970, if it says so."""
    for name in STAMPS:
        at = epoch_of(event.get(name)) if isinstance(event, dict) else None
        if at is not None:
            return at
    return None


class Filter:
    """Conditions on members of a line, all of which must hold: `event_type=alert`, `rule.level>=7`, `host!=lab,test`."""

    def __init__(self, conditions: List[str]) -> None:
        self.conditions: List[Tuple[List[str], str, List[str]]] = []
        for text in conditions:
            found = re.match(r"([\w@.-]+)\s*(>=|<=|!=|=)\s*(.+)$", text)
            if not found:
                raise SystemExit(
                    "--filter {!r}: write member=value, such as event_type=alert or rule.level>=7".format(
                        text
                    )
                )
            name, operator, value = found.groups()
            if operator in (">=", "<="):
                try:
                    float(value)
                except ValueError:
                    raise SystemExit("--filter {!r}: {} is not a number".format(text, value)) from None
            self.conditions.append(
                (name.split("."), operator, value.split(",") if operator in ("=", "!=") else [value])
            )
        self.needed = [
            [value.encode() for value in values] for _, operator, values in self.conditions if operator == "="
        ]

    def takes(self, line: bytes, since: Optional[float] = None) -> bool:
        """Whether to send a line. One that cannot be read is sent: Tocsin shows it to somebody."""
        for values in self.needed:  # most lines of eve.json end here, unread
            if not any(value in line for value in values):
                return False
        if not self.conditions and since is None:
            return True
        try:
            event = json.loads(line.decode("utf-8", "replace"))
        except ValueError:
            return True
        if not all(self._holds(event, *condition) for condition in self.conditions):
            return False
        at = stamp_of(event) if since is not None else None
        return since is None or at is None or at >= since

    @staticmethod
    def _holds(event: Any, path: List[str], operator: str, values: List[str]) -> bool:
        for name in path:
            event = event.get(name) if isinstance(event, dict) else None
        if operator in (">=", "<="):
            try:
                return (
                    float(event) >= float(values[0]) if operator == ">=" else float(event) <= float(values[0])
                )
            except (TypeError, ValueError):
                return False
        said = event if isinstance(event, str) else json.dumps(event)
        return (said in values) == (operator == "=")
