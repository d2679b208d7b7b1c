"""The small language that picks values out of an event and tests them: compiled once, run for every alert.

A pick is a path (see `connectors.paths`), a list of picks (the first that yields something), or a mapping with one of
`from`, `const`, `join` and, in this order, `json` (decode text, go on by path), `match` (regular expression: its first
group), `split`, `values`, `else`; with `when` it yields nothing unless the condition holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from connectors.located import At
from connectors.paths import Frame, Pick, compile_path, parse_steps, text_of, texts_of, walk

_regex_parser: Any = getattr(
    re, "_parser", None
)  # no public way to inspect a pattern; None where a Python has moved it
MAX_REGEX_INPUT = 4_096
Condition = Callable[[Frame], bool]


_PICK_NAMES = ("from", "const", "join", "with", "json", "match", "split", "values", "else", "when")


def compile_pick(at: At) -> Pick:
    """Compile a pick, complaining into the document about what is wrong with it."""
    if isinstance(at.data, str):
        return _path(at)
    if isinstance(at.data, list):
        picks = [compile_pick(entry) for entry in at.entries()]
        return picks[0] if len(picks) == 1 else _first(picks)
    if not isinstance(at.data, dict):
        at.complain("must be a path, a list of alternatives, or a mapping with from, const or join")
        return lambda _frame: None
    members = dict(at.members(_PICK_NAMES))
    starts = [name for name in ("from", "const", "join") if name in members]
    if len(starts) != 1:
        at.complain("needs exactly one of from, const and join")
        return lambda _frame: None
    pick = _start(starts[0], members)
    if (part := members.get("json")) is not None:
        pick = _json(pick, part)
    if (part := members.get("match")) is not None:
        pick = _match(pick, part)
    if (part := members.get("split")) is not None:
        pick = _split(pick, part.text(","))
    if (part := members.get("values")) is not None:
        pick = _values(pick, part)
    if (part := members.get("else")) is not None:
        pick = _first(
            [pick, compile_pick(part) if isinstance(part.data, (list, dict)) else _constant(part.data)]
        )
    if (part := members.get("when")) is not None:
        pick = _guarded(pick, compile_condition(part))
    return pick


def _path(at: At) -> Pick:
    try:
        return compile_path(at.text())
    except ValueError as error:
        at.complain(str(error))
        return lambda _frame: None


def _constant(value: Any) -> Pick:
    return lambda _frame: value


def _start(name: str, members: dict[str, At]) -> Pick:
    if name == "const":
        return _constant(members["const"].data)
    if name == "from":
        return compile_pick(members["from"])
    parts = [compile_pick(entry) for entry in members["join"].entries()]
    glue = str(members["with"].data) if "with" in members else " "

    def join(frame: Frame) -> Any:
        texts = [text for part in parts for text in texts_of(part(frame))]
        return glue.join(texts) if len(texts) >= len(parts) else None

    return join


def _first(picks: list[Pick]) -> Pick:
    def first(frame: Frame) -> Any:
        for pick in picks:
            value = pick(frame)
            if value is not None and value not in ("", []):
                return value
        return None

    return first


def _json(pick: Pick, at: At) -> Pick:
    path = at.data if isinstance(at.data, str) else ""
    try:
        steps = parse_steps(path, path)
    except ValueError as error:
        at.complain(str(error))
        steps = []

    def decode(frame: Frame) -> Any:
        value = pick(frame)
        if isinstance(value, str):
            try:
                value = json.loads(value[:262_144])
            except (ValueError, RecursionError):
                return None
        return walk(value, steps)

    return decode


def compile_regex(at: At) -> re.Pattern[str] | None:
    """A regular expression that cannot run away: no repeat inside a repeat, no backreference, at most three open repeats."""
    try:
        pattern = re.compile(at.text())
        danger = _danger(_regex_parser.parse(at.text())) if _regex_parser else None
    except (re.error, RecursionError, OverflowError) as error:
        at.complain(f"is not a regular expression: {error}")
        return None
    if danger:
        at.complain(f"could run away on hostile text: it has {danger}")
        return None
    return pattern


def _danger(tree: Any) -> str | None:
    opened = 0

    def visit(node: Any, inside: bool) -> str | None:
        nonlocal opened
        if not isinstance(node, (list, tuple)) and not hasattr(node, "data"):
            return None
        for entry in node.data if hasattr(node, "data") else node:
            if (
                isinstance(entry, tuple)
                and len(entry) == 2
                and str(entry[0]) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
            ):
                low, high, body = entry[1]
                wide = int(high) - int(low) > 64
                if wide and inside:
                    return "a repeat inside a repeat"
                opened += wide
                if problem := visit(body, inside or wide):
                    return problem
            elif isinstance(entry, tuple) and entry and str(entry[0]).startswith("GROUPREF"):
                return "a backreference"
            elif problem := visit(entry, inside):
                return problem
        return None

    return visit(tree, False) or ("more than three open repeats" if opened > 3 else None)


def _match(pick: Pick, at: At) -> Pick:
    pattern = compile_regex(at)
    if pattern is None:
        return pick
    group = 1 if pattern.groups else 0

    def capture(frame: Frame) -> Any:
        value = pick(frame)
        found = [
            hit[group]
            for text in texts_of(value)
            if (hit := pattern.search(text[:MAX_REGEX_INPUT])) and hit[group]
        ]
        return (found if isinstance(value, list) else found[0]) if found else None

    return capture


def _split(pick: Pick, separator: str) -> Pick:
    def split(frame: Frame) -> Any:
        parts = [part.strip() for text in texts_of(pick(frame)) for part in text.split(separator)]
        return [part for part in parts if part] or None

    return split


def _values(pick: Pick, at: At) -> Pick:
    table = {text_of(key): member.data for key, member in at.members()}
    table = {str(key).casefold(): value for key, value in table.items()}

    def translate(frame: Frame) -> Any:
        for text in texts_of(pick(frame)):
            if (value := table.get(text.casefold())) is not None:
                return value
        return None

    return translate


def _guarded(pick: Pick, condition: Condition) -> Pick:
    return lambda frame: pick(frame) if condition(frame) else None


# -------------------------------------------------------------------------------------------------- conditions

_TESTS = ("equals", "in", "exists", "starts", "contains", "matches")


def compile_condition(at: At) -> Condition:
    """A list (all must hold) or a mapping: `all`, `any`, `not`, or `from` with one test.

    Tests: equals, in, exists, starts, contains, matches. Text is compared without case; a list holds when one entry does.
    """
    if isinstance(at.data, list):
        return _all([compile_condition(entry) for entry in at.entries()])
    if not isinstance(at.data, dict):
        at.complain("must be a condition: a mapping with all, any, not, or from and a test")
        return lambda _frame: False
    members = dict(at.members(("all", "any", "not", "from", *_TESTS)))
    if "all" in members:
        return _all([compile_condition(entry) for entry in members["all"].entries()])
    if "any" in members:
        parts = [compile_condition(entry) for entry in members["any"].entries()]
        return lambda frame: any(part(frame) for part in parts)
    if "not" in members:
        inner = compile_condition(members["not"])
        return lambda frame: not inner(frame)
    tests = [name for name in _TESTS if name in members]
    if "from" not in members or len(tests) != 1:
        at.complain(f"needs from and exactly one test of {', '.join(_TESTS)}")
        return lambda _frame: False
    return _test(compile_pick(members["from"]), tests[0], members[tests[0]])


def _all(parts: list[Condition]) -> Condition:
    return lambda frame: all(part(frame) for part in parts)


def _test(pick: Pick, test: str, at: At) -> Condition:
    if test == "exists":
        wanted = at.flag()
        return lambda frame: (pick(frame) not in (None, "", [])) is wanted
    if test == "matches":
        pattern = compile_regex(at)
        if pattern is None:
            return lambda _frame: False
        return lambda frame: any(pattern.search(text[:MAX_REGEX_INPUT]) for text in texts_of(pick(frame)))
    words = tuple(str(text_of(entry.data)).casefold() for entry in at.entries())
    if test in ("equals", "in"):
        wanted_words = frozenset(words)
        return lambda frame: any(text.casefold() in wanted_words for text in texts_of(pick(frame)))
    if test == "starts":
        return lambda frame: any(text.casefold().startswith(words) for text in texts_of(pick(frame)))
    return lambda frame: any(word in text.casefold() for text in texts_of(pick(frame)) for word in words)
