"""Moves the times inside a sample alert, so that it tells of now."""

import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(
    rb"(?P<wall>20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?P<rest>(?:[.,]\d+)?(?P<zone>Z|[+-]\d\d:?\d\d)?)"
)
_EPOCH = re.compile(rb'(?<=["\s:])(1[6-9]\d{8})(?=["\s,.}])')


def moved_to(body: bytes, latest: datetime) -> bytes:
    """Shift every ISO time and every epoch in seconds so that the newest of them becomes `latest` (aware).

    Times keep the offset they are written with; without one they are taken as UTC.
    """
    told = [_moment(m) for m in _ISO.finditer(body)] + [_epoch(m) for m in _EPOCH.findall(body)]
    if not told:
        return body
    shift = timedelta(seconds=int((latest - max(told)).total_seconds()))
    body = _ISO.sub(lambda m: _shifted(m, shift), body)
    return _EPOCH.sub(lambda m: str(int(m[1]) + int(shift.total_seconds())).encode(), body)


def _shifted(match: re.Match[bytes], shift: timedelta) -> bytes:
    wall = match["wall"].decode()
    moved = datetime.fromisoformat(wall) + shift
    return moved.strftime(f"%Y-%m-%d{wall[10]}%H:%M:%S").encode() + match["rest"]


def _moment(match: re.Match[bytes]) -> datetime:
    zone = (match["zone"] or b"Z").decode()
    return datetime.fromisoformat(match["wall"].decode() + zone).astimezone(UTC)


def _epoch(found: bytes) -> datetime:
    return datetime.fromtimestamp(int(found), UTC)
