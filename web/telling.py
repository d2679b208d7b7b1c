"""How an entry of the journal is told on a page: its mark, its tone, its words and what it links to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.journal import Entry
from web.languages import gettext as _

# The icon and tone of a verb, by its first word or whole name; whole names win.
MARKS: dict[str, tuple[str, str]] = {
    "incident": ("plain", "flame"),
    "alert": ("accent", "bell-ringing"),
    "comment": ("plain", "message"),
    "task": ("plain", "checkbox"),
    "run": ("accent", "git-branch"),
    "playbook": ("plain", "git-branch"),
    "step": ("plain", "git-branch"),
    "setting": ("warn", "settings"),
    "approval": ("wait", "hand-stop"),
    "action": ("accent", "bolt"),
    "page": ("warn", "phone"),
    "message": ("plain", "send"),
    "countermeasure": ("good", "shield-check"),
    "observable": ("plain", "fingerprint"),
    "source": ("plain", "plug"),
    "delivery": ("plain", "inbox"),
    "user": ("plain", "user"),
    "session": ("plain", "login"),
    "token": ("plain", "key"),
    "automation": ("warn", "hand-stop"),
    "incident.opened": ("accent", "flame"),
    "incident.closed": ("good", "circle-check"),
    "incident.severity_raised": ("bad", "trending-up"),
    "incident.stage_changed": ("accent", "arrow-right"),
    "alert.containment_doubted": ("bad", "alert-triangle"),
    "page.acknowledged": ("good", "phone-check"),
    "page.exhausted": ("bad", "phone-off"),
    "task.completed": ("good", "check"),
    "action.refused": ("bad", "ban"),
}

# Which members of a body tell something to a reader, in this order, with how they are called.
_TOLD = (
    "why", "reason", "title", "rule", "action", "outcome", "state", "error", "policy", "channel", "via", "answer", "change",
    "playbook", "step", "disposition", "count", "name", "value", "says", "question", "message", "connector",
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """One line of a timeline, ready for the page."""

    id: str
    at: datetime
    who: str
    kind: str
    says: str
    verb: str
    tone: str
    glyph: str
    details: tuple[tuple[str, str], ...]
    quote: str
    day: str
    redacted: bool
    comment: str


def tell(entry: Entry, names: Mapping[str, str] | None = None) -> Told:
    """An entry as a line; `names` gives the names behind ids (users), where an entry holds only those."""
    tone, glyph = MARKS.get(entry.verb) or MARKS.get(entry.verb.partition(".")[0]) or ("plain", "point")
    merged: dict[str, Any] = {**entry.body, **(entry.data or {})}

    def named(value: Any) -> Any:
        return names.get(value, value) if names and isinstance(value, str) else value

    if (outcome := str(merged.get("state", merged.get("outcome", "")))) in ("failed", "unknown", "refused"):
        tone = "bad" if outcome == "failed" else "warn"
    change = [
        (str(name), f"{_plain(named(merged['from']))} → {_plain(named(merged['to']))}")
        for name in ("",)
        if _moved(merged)
    ]
    if entry.verb == "incident.opened":
        merged.pop("title", None)
    if entry.verb == "task.ticked":
        merged["title"] = f"{'☑' if merged.get('done') else '☐'} {merged.get('text', '')}"
    if merged.get("why"):
        merged.pop("rule", None)
    if entry.verb.startswith(("run.", "step.")):
        merged.pop("playbook", None)
    details = change + [
        (name, _plain(merged[name])) for name in _TOLD if merged.get(name) not in (None, "", [], {})
    ]
    return Told(
        id=str(entry.id),
        at=entry.at,
        who=_("Tocsin") if entry.actor_kind == "system" else entry.actor_name,
        kind=entry.actor_kind,
        says=_(entry.says),
        verb=entry.verb,
        tone=tone,
        glyph=glyph,
        details=tuple(details[:4]),
        quote=str(merged.get("text") or merged.get("body") or ""),
        day=entry.at.strftime("%Y-%m-%d"),
        redacted=entry.redacted,
        comment=(entry.ref("comment") or "") if entry.verb == "comment.added" else "",
    )


def tell_all(entries: Sequence[Entry], names: Mapping[str, str] | None = None) -> list[Told]:
    """Entries as lines, in the same order."""
    return [tell(entry, names) for entry in entries]


def _moved(merged: dict[str, Any]) -> bool:
    return "from" in merged and "to" in merged


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(inner)}" for name, inner in list(value.items())[:6])
    if isinstance(value, list | tuple):
        return ", ".join(_plain(inner) for inner in value[:8])
    if value is None:
        return _("nothing")
    return str(value).replace("_", " ")[:300]
