"""Turn our values into ones CEL accepts, within bounds."""

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

LIST_LIMIT = 1_000
TEXT_LIMIT = 64 * 1024
DEPTH_LIMIT = 24


def safe(value: Any, cut: list[str], path: str = "", depth: int = 0) -> Any:
    """`value` as CEL knows it: UUIDs and enums become texts, sets and tuples lists, naive times UTC.

    Lists keep their first 1,000 items and texts their first 64 KiB; the path of whatever was shortened is
    appended to `cut`. Raises TypeError for a value that has no form in CEL.
    """
    kind = type(value)
    if kind is str:
        return _text(value, cut, path)
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else _far(value)
    if depth > DEPTH_LIMIT:
        cut.append(path)
        return None
    if isinstance(value, Mapping):
        return {
            name if type(name) is str else str(name): safe(inner, cut, f"{path}.{name}", depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value) if isinstance(value, list | tuple) else sorted(value, key=str)
        if len(items) > LIST_LIMIT:
            cut.append(path)
            items = items[:LIST_LIMIT]
        return [safe(item, cut, path, depth + 1) for item in items]
    return _scalar(value, cut, path, depth)


def _scalar(value: Any, cut: list[str], path: str, depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return safe(value.value, cut, path, depth + 1)
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time.min, tzinfo=UTC)
    if isinstance(value, str):
        return _text(str(value), cut, path)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, timedelta | bytes):
        return value
    if isinstance(value, bool | int | float):
        return safe(float(value) if isinstance(value, float) else int(value), cut, path, depth + 1)
    raise TypeError(
        f"{path.lstrip('.') or 'the value'} is a {type(value).__name__}, which no expression can read"
    )


def _far(value: int) -> float:
    return float(value) if value.bit_length() < 1024 else (float("inf") if value > 0 else float("-inf"))


def _text(value: str, cut: list[str], path: str) -> str:
    if len(value) > TEXT_LIMIT:
        cut.append(path)
        value = value[:TEXT_LIMIT]
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode() if _has_surrogate(value) else value


def _has_surrogate(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
