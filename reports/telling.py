"""Says a journal entry as one sentence, the same in timelines, reports and exports."""

from collections.abc import Mapping
from typing import Any

from core.journal import Entry

_LONGEST = 240
# What an entry tells, in the order in which it is said; the first ones found are enough.
_SUBJECTS = ("title", "name", "playbook", "step", "action", "verb", "channel", "rule", "file")
_OBJECTS = ("target", "to_whom", "to", "user", "value", "address", "observable", "item")
_ENDS = ("state", "result", "decision", "disposition", "outcome", "answer", "error", "by")
_REASONS = ("reason", "because", "why", "summary", "note", "body", "text")


def told(entry: Entry) -> str:
    """A sentence without its subject: “moved the incident to another stage: triage → contain”.

    Values are plain text as they were recorded, clipped; whoever shows them escapes them.
    """
    facts: dict[str, Any] = {**entry.body, **(entry.data or {})}
    parts = [*_changes(facts), *_named(facts)]
    reason = next(
        (clipped(facts[name]) for name in _REASONS if isinstance(facts.get(name), str) and facts[name]), None
    )
    if reason:
        parts.append(f"“{reason}”")
    if entry.redacted:
        parts.append("(details redacted)")
    return f"{entry.says}: {', '.join(parts)}" if parts else entry.says


def clipped(text: object, longest: int = _LONGEST) -> str:
    """Text on one line, cut with an ellipsis."""
    line = " ".join(str(text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _changes(facts: Mapping[str, Any]) -> list[str]:
    if set(facts) >= {"from", "to"} and not isinstance(facts["from"], Mapping):
        return [f"{_plain(facts['from'])} → {_plain(facts['to'])}"]
    changed = facts["changed"] if isinstance(facts.get("changed"), Mapping) else facts
    return [
        f"{name.replace('_', ' ')} {_plain(move['from'])} → {_plain(move['to'])}"
        for name, move in changed.items()
        if isinstance(move, Mapping) and set(move) >= {"from", "to"}
    ]


def _named(facts: Mapping[str, Any]) -> list[str]:
    said: list[str] = []
    subject = next((clipped(facts[n], 160) for n in _SUBJECTS if _is_word(facts.get(n))), None)
    if subject:
        said.append(subject)
    if not set(facts) >= {"from", "to"}:
        said += [clipped(facts[n], 120) for n in _OBJECTS if _is_word(facts.get(n))][:1]
    said += [_plain(facts[n]) for n in _ENDS if _is_word(facts.get(n))][:2]
    if isinstance(facts.get("count"), int) and facts["count"] > 1:
        said.append(f"{facts['count']} times")
    return said


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _plain(value: object) -> str:
    if value in (None, "", []):
        return "none"
    if isinstance(value, list):
        return clipped(", ".join(str(v) for v in value), 120)
    return clipped(str(value).replace("_", " "), 120)
