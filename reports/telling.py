"""Tells a journal entry, the same in timelines, reports and exports: its parts, or one sentence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.journal import Entry

_LONGEST = 240
# What an entry tells, in the order in which it is said; the first ones found are enough.
_SUBJECTS = ("title", "name", "playbook", "step", "action", "verb", "channel", "rule", "file")
_OBJECTS = ("target", "to_whom", "to", "user", "value", "address", "observable", "item")
_ENDS = ("state", "result", "decision", "disposition", "outcome", "change", "answer", "via", "error", "by")
_REASONS = ("reason", "because", "why", "summary", "note", "question", "message", "body", "text")
# Words of our own among the values.
ENGLISH = {"none": "none", "times": "times"}

Names = Mapping[UUID, str]


@dataclass(frozen=True)
class Told:
    """What an entry says beside its verb. Values are plain text as recorded, clipped; whoever shows them escapes them.

    details: (what it is called, value); a move from one value to another is called "" when the verb says of what.
    reason: why, or what somebody wrote; "" for none.
    """

    details: tuple[tuple[str, str], ...]
    reason: str


def tell(entry: Entry, names: Names | None = None, words: Mapping[str, str] = ENGLISH) -> Told:
    """An entry's parts; `names` gives the names behind users' ids, where an entry holds only those.

    words: the few words of our own among the values, in the reader's language.
    """
    facts: dict[str, Any] = {**entry.body, **(entry.data or {})}
    reason = next((str(facts[name]) for name in _REASONS if _is_word(facts.get(name))), "")
    if entry.verb == "task.ticked":
        return Told((("item", f"{'☑' if facts.get('done') else '☐'} {facts.get('text', '')}"),), "")

    def plain(value: object, longest: int = 120) -> str:
        return clipped(_named(value, names or {}) or words["none"], longest)

    details = [*_changes(facts, plain), *_parts(facts, plain)]
    if isinstance(facts.get("count"), int) and facts["count"] > 1:
        details.append(("count", f"{facts['count']} {words['times']}"))
    return Told(tuple(details), reason)


def told(entry: Entry, names: Names | None = None) -> str:
    """One sentence without its subject: “moved the incident to another stage: triage → contain”."""
    found = tell(entry, names)
    parts = [
        f"{name.replace('_', ' ')} {value}" if name and " → " in value else value
        for name, value in found.details
    ]
    if found.reason:
        parts.append(f"“{clipped(found.reason)}”")
    if entry.redacted:
        parts.append("(details redacted)")
    return f"{entry.says}: {', '.join(parts)}" if parts else entry.says


def clipped(text: object, longest: int = _LONGEST) -> str:
    """Text on one line, cut with an ellipsis."""
    line = " ".join(str(text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _changes(facts: Mapping[str, Any], plain: Callable[[object], str]) -> list[tuple[str, str]]:
    if set(facts) >= {"from", "to"} and not isinstance(facts["from"], Mapping):
        return [("", f"{plain(facts['from'])} → {plain(facts['to'])}".replace("_", " "))]
    changed = facts["changed"] if isinstance(facts.get("changed"), Mapping) else facts
    return [
        (name, f"{plain(move['from'])} → {plain(move['to'])}")
        for name, move in changed.items()
        if isinstance(move, Mapping) and set(move) >= {"from", "to"}
    ]


def _parts(facts: Mapping[str, Any], plain: Callable[..., str]) -> list[tuple[str, str]]:
    def first(names: Sequence[str], most: int, longest: int = 120) -> list[tuple[str, str]]:
        return [(name, plain(facts[name], longest)) for name in names if _is_word(facts.get(name))][:most]

    found = first(_SUBJECTS, 1, 160)
    if not set(facts) >= {"from", "to"}:
        found += first(_OBJECTS, 1)
    found += [(name, value.replace("_", " ")) for name, value in first(_ENDS, 2)]
    return list({value: (name, value) for name, value in reversed(found)}.values())[::-1]  # nothing twice


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _named(value: object, names: Names) -> str:
    """A value in words: a person's name for their id, a list's entries after each other."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_named(one, names) for one in value)
    text = str(value)
    if len(text) == 36 and text.count("-") == 4:
        try:
            return names.get(UUID(text), text)
        except ValueError:
            return text
    return text
