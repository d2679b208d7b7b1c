"""Follows paths into events and makes safe text of what is found there.

A path is dotted (`rule.mitre.id`); `[]` takes every entry of a list, `[0]` one; a leading `^` starts at the whole body
instead of the event, `@headers.` and `@config.` at the request's headers (lower-case names) and the source's settings.
Where a key itself contains dots (`output_fields.proc.name`) the longest matching key is found by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

MAX_TEXT = 16_384
_SURROGATES = re.compile("[\x00\ud800-\udfff]")
_STEP = re.compile(r"\[(\d*|\"[^\"]*\")\]|\.?([^.\[\]]+)")


Steps = list[str | int | None]


class Frame:
    """What a pick can see: the event, the body it came in, the headers and the source's settings."""

    __slots__ = ("config", "headers", "item", "root")

    def __init__(self, item: Any, root: Any, headers: Mapping[str, str], config: Mapping[str, Any]) -> None:
        self.item = item
        self.root = root
        self.headers = headers
        self.config = config


Pick = Callable[[Frame], Any]


def text_of(value: Any, limit: int = MAX_TEXT) -> str | None:
    """A scalar as trimmed text that every database accepts; None for nothing, empty text, lists and mappings."""
    if isinstance(value, str):
        if len(value) > limit:
            value = value[:limit]
        if _SURROGATES.search(value):
            value = _SURROGATES.sub("\ufffd", value)
        return value.strip() or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() < 4096 else None
    return None


def texts_of(value: Any, limit: int = 100) -> list[str]:
    """Every scalar in a value or (nested) list of values, as text, in order, without repeats."""
    found: dict[str, None] = {}
    stack = [value]
    while stack and len(found) < limit:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(reversed(current[: limit * 4]))
        elif (text := text_of(current)) is not None:
            found[text] = None
    return list(found)


# -------------------------------------------------------------------------------------------------- paths


def compile_path(path: str) -> Pick:
    """Compile a path; raises ValueError with a sentence when it is malformed."""
    start, rest = "item", path.strip()
    if rest.startswith("^"):
        start, rest = "root", rest[1:].lstrip(".")
    elif rest.startswith(("@headers.", "@config.")):  # other names may begin with @, such as @timestamp
        start, _, rest = rest[1:].partition(".")
    steps = parse_steps(rest, path)
    if start == "item" and steps and all(isinstance(step, str) for step in steps):
        return _dotted(tuple(str(step) for step in steps))
    return lambda frame: walk(getattr(frame, start), steps)


def parse_steps(text: str, path: str) -> Steps:
    """The steps of a path: keys, places in lists, None for every entry. Raises ValueError with a sentence."""
    steps: Steps = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(f'"{path}" is not a path (near "{text[position : position + 10]}")')
        position = match.end()
        bracket, key = match.groups()
        if key is not None:
            steps.append(key)
        elif bracket == "":
            steps.append(None)
        elif bracket.startswith('"'):
            steps.append(bracket[1:-1])
        else:
            steps.append(int(bracket))
    return steps


def _dotted(keys: tuple[str, ...]) -> Pick:
    steps: Steps = list(keys)

    def pick(frame: Frame) -> Any:
        value = frame.item
        for key in keys:
            if type(value) is dict and key in value:
                value = value[key]
            else:
                return walk(frame.item, steps)
        return value

    return pick


def walk(value: Any, steps: Steps, position: int = 0) -> Any:
    """Follow steps through mappings and lists; None where the way ends."""
    while position < len(steps):
        step = steps[position]
        position += 1
        if step is None:
            if not isinstance(value, list):
                return walk(value, steps, position) if value is not None else None
            found: list[Any] = []
            for entry in value[:1000]:
                inner = walk(entry, steps, position)
                if isinstance(inner, list):
                    found.extend(inner)
                elif inner is not None:
                    found.append(inner)
            return found or None
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        elif not isinstance(value, dict):
            return None
        elif step in value:
            value = value[step]
        else:  # the key may contain dots itself
            joined = step
            for ahead in range(position, min(position + 6, len(steps))):
                following = steps[ahead]
                if not isinstance(following, str):
                    return None
                joined = f"{joined}.{following}"
                if joined in value:
                    value = value[joined]
                    position = ahead + 1
                    break
            else:
                return None
        if value is None:
            return None
    return value
