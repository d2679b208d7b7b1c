"""PagerDuty's Events API v2 as senders know it: what an event must hold, and what is wrong with one.

Source: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from dataclasses import dataclass
from typing import Any

import msgspec

MOST_BYTES = 512 * 1024
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(frozen=True)
class Event:
    """A valid event: who sent it, and the key that later events about the same thing carry."""

    routing_key: str
    dedup_key: str | None


def read(body: bytes) -> tuple[Event | None, list[str]]:
    """The event in a body, or the sentences that say what is wrong with it (PagerDuty's `errors`)."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ["The body is not JSON"]
    if not isinstance(found, dict):
        return None, ["The body is not a JSON object"]
    problems = []
    key = found.get("routing_key")
    if not isinstance(key, str) or not key:
        problems.append("'routing_key' is missing or blank")
    action = found.get("event_action")
    if action not in _ACTIONS:
        problems.append("'event_action' must be one of trigger, acknowledge, resolve")
    dedup = found.get("dedup_key")
    if dedup is not None and (not isinstance(dedup, str) or len(dedup) > 255):
        problems.append("'dedup_key' must be text of at most 255 characters")
    if action in ("acknowledge", "resolve") and not dedup:
        problems.append(f"'dedup_key' is missing or blank: {action} must say which event it is about")
    if action == "trigger":
        problems += _payload_problems(found.get("payload"))
    if problems:
        return None, problems
    return Event(str(key), dedup or None), []


def _payload_problems(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    problems = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if not payload.get(name)
    ]
    if payload.get("severity") and payload["severity"] not in _SEVERITIES:
        problems.append("'payload.severity' must be one of critical, error, warning, info")
    return problems


def with_dedup_key(body: bytes, dedup_key: str) -> bytes:
    """The same event with the key that was made for it: the sender will resolve by this key."""
    found = msgspec.json.decode(body)
    found["dedup_key"] = dedup_key
    return msgspec.json.encode(found)
