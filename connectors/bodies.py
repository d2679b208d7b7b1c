"""Turns the bytes of a delivery into events: JSON, arrays, lines, JSON behind a syslog header, wrappers taken off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from connectors.contract import Unreadable
from connectors.paths import Steps, walk

MAX_EVENTS = 5_000
_PREFIX = 1_024  # a syslog header before a JSON object is shorter than this

LineParser = Callable[[str], dict[str, Any] | None]


def decode_json(data: bytes | str) -> Any:
    """Decode leniently: invalid UTF-8 and lone surrogates are replaced later, NaN is null. Raises ValueError."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        try:
            return json.loads(text, parse_constant=lambda _name: None)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def events_of_json(body: bytes) -> tuple[list[Any], list[str]]:
    """The top-level values in a body: one document, or one per line (also behind a syslog header).

    Returns them with a sentence for each line that could not be read; raises Unreadable when nothing could.
    """
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not body:
        raise Unreadable("The body is empty.")
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        body = body.decode("utf-16", "replace").encode("utf-8", "replace").strip()
    try:
        return [decode_json(body)], []
    except ValueError as error:
        whole = _why(error)
    values: list[Any] = []
    problems: list[str] = []
    for number, line in enumerate(body.splitlines(), start=1):
        if not (line := line.strip()):
            continue
        if len(values) >= MAX_EVENTS:
            problems.append(
                f"Only the first {MAX_EVENTS} events of a delivery are read; the rest is kept, unread."
            )
            break
        try:
            values.append(_decode_line(line))
        except ValueError as error:
            problems.append(f"Line {number} is not JSON: {_why(error)}")
            if len(problems) > 20 and not values:
                break
    if not values:
        raise Unreadable(f"The body is not JSON: {whole}")
    return values, problems


def _decode_line(line: bytes) -> Any:
    try:
        return decode_json(line)
    except ValueError:
        brace = line.find(b"{", 0, _PREFIX)
        if brace <= 0:
            raise
        return decode_json(line[brace:])


def _why(error: Exception) -> str:
    return str(error)[:200].rstrip(".") + "."


def events_of_lines(body: bytes, parse: LineParser) -> tuple[list[Any], list[str]]:
    """The events in lines of text, with a sentence for each line that is none; raises Unreadable when all are none."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    values: list[Any] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if len(values) >= MAX_EVENTS:
            problems.append(
                f"Only the first {MAX_EVENTS} events of a delivery are read; the rest is kept, unread."
            )
            break
        event = parse(line)
        if event is None:
            problems.append(f"Line {number} could not be read: {line[:80]!r}")
        else:
            values.append(event)
    if not values:
        raise Unreadable(problems[0] if problems else "The body is empty.")
    return values, problems


def unwrap(value: Any, wrappers: list[Steps], depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """The events inside a top-level value, each with the body it came in (`^` in paths).

    A wrapper is a path to an object, a list, or JSON in a string; wrappers are taken off until none is left.
    """
    if isinstance(value, list):
        for entry in value[:MAX_EVENTS]:
            yield from unwrap(entry, wrappers, depth + 1) if depth < 4 else ((entry, value),)
        return
    for inner in _peel(value, wrappers, depth):
        yield inner, value


def _peel(value: Any, wrappers: list[Steps], depth: int) -> Iterator[Any]:
    if isinstance(value, list):
        for entry in value[:MAX_EVENTS]:
            yield from _peel(entry, wrappers, depth + 1)
        return
    if isinstance(value, dict) and depth < 8:
        for wrapper in wrappers:
            inner = walk(value, wrapper)
            if isinstance(inner, str) and inner[:1] in "{[":
                try:
                    inner = decode_json(inner)
                except ValueError:
                    continue
            if isinstance(inner, dict) or (
                isinstance(inner, list) and (not inner or isinstance(inner[0], (dict, str)))
            ):
                yield from _peel(inner, wrappers, depth + 1)
                return
    yield value
