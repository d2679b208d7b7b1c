"""Reads a moment however a product writes it, or says it cannot."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r"\s?(?:(Z|UTC|GMT|z)|([+-])(\d{2}):?(\d{2})?(?: UTC)?)?$"
)
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,9})?$")
_CEF = re.compile(
    r"(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +(\d{1,2}) (\d{4}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?(?: (GMT|UTC|Z))?$"
)
_DOTTED = re.compile(
    r"(\d{4})[./](\d{2})[./](\d{2}) (\d{2}):(\d{2}):(\d{2})$"
)  # Zabbix {EVENT.DATE} {EVENT.TIME}
_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1)}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def parse_time(value: Any, zone: tzinfo = UTC) -> datetime | None:
    """An aware UTC moment, or None when absent or not a time.

    Takes RFC 3339 and its relatives (space for T, `+0100`, no zone: `zone` applies, up to nanoseconds), epoch numbers in
    seconds (also fractional), milliseconds, microseconds or nanoseconds told apart by size, as numbers or digits in
    text, and CEF's `Nov 15 2019 15:52:28`. Times outside 1990-2200 (the zero times of Go and of epoch) are no times.
    """
    try:
        at = _parse(value, zone)
    except (ValueError, OverflowError):
        return None
    return at if at is not None and _EARLIEST <= at < _LATEST else None


def _parse(value: Any, zone: tzinfo) -> datetime | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return _epoch(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text or len(text) > 64:
        return None
    if match := _ISO.match(text):
        year, month, day, hour, minute, second, fraction, utc, sign, hours, minutes = match.groups()
        offset: tzinfo = zone
        if utc:
            offset = UTC
        elif sign:
            delta = timedelta(hours=int(hours), minutes=int(minutes or 0))
            offset = timezone(-delta if sign == "-" else delta)
        micros = int((fraction or "0")[:6].ljust(6, "0"))
        leap = second == "60"
        at = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            59 if leap else int(second or 0),
            micros,
            offset,
        )
        return at.astimezone(UTC)
    if _NUMBER.match(text):
        return _epoch(float(text) if "." in text else int(text))
    if match := _CEF.match(text):
        name, day, year, hour, minute, second, fraction, utc = match.groups()
        micros = int((fraction or "0").ljust(6, "0"))
        at = datetime(
            int(year),
            _MONTHS.get(name, 0),
            int(day),
            int(hour),
            int(minute),
            int(second),
            micros,
            UTC if utc else zone,
        )
        return at.astimezone(UTC)
    if match := _DOTTED.match(text):
        year, month, day, hour, minute, second = (int(part) for part in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    return None


def _epoch(number: float) -> datetime | None:
    size = abs(number)
    if size < 1e11:  # seconds until the year 5138
        micros = round(number * 1_000_000)
    elif size < 1e14:
        micros = round(number * 1000)
    elif size < 1e17:
        micros = round(number)
    else:
        micros = int(number) // 1000
    return _EPOCH + timedelta(microseconds=micros)
