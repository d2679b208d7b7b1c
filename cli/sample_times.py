"""Moves the times inside a sample alert, so that it tells of now."""

import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(rb"(20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d)")
_EPOCH = re.compile(rb'(?<=["\s:])(1[6-9]\d{8})(?=["\s,.}])')


def moved_to(body: bytes, latest: datetime) -> bytes:
    """Shift every ISO time and every epoch in seconds so that the newest of them becomes `latest` (aware)."""
    told = [_iso(m) for m in _ISO.findall(body)] + [_epoch(m) for m in _EPOCH.findall(body)]
    if not told:
        return body
    shift = latest.astimezone(UTC).replace(tzinfo=None, microsecond=0) - max(told)
    body = _ISO.sub(
        lambda m: (_iso(m[1]) + shift).strftime(f"%Y-%m-%d{chr(m[1][10])}%H:%M:%S").encode(), body
    )
    return _EPOCH.sub(lambda m: str(int(m[1]) + int(shift / timedelta(seconds=1))).encode(), body)


def _iso(found: bytes) -> datetime:
    return datetime.fromisoformat(found.decode())


def _epoch(found: bytes) -> datetime:
    return datetime.fromtimestamp(int(found), UTC).replace(tzinfo=None)
