"""How an entry of the journal stands on a page: its mark and tone beside what reports.telling says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.journal import Entry
from reports import telling
from web.languages import gettext as _

# The icon and tone of a verb, by its first word or whole name; whole names win.
MARKS: dict[str, tuple[str, str]] = {
    "incident": ("plain", "flame"),
    "acceptance": ("wait", "clock-x"),
    "alert": ("accent", "bell-ringing"),
    "comment": ("plain", "message"),
    "attachment": ("plain", "paperclip"),
    "reporter": ("accent", "message"),
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
    "finding": ("bad", "fingerprint"),
    "review": ("plain", "book"),
    "follow_up": ("plain", "checkbox"),
    "source": ("plain", "plug"),
    "delivery": ("plain", "inbox"),
    "user": ("plain", "user"),
    "session": ("plain", "login"),
    "token": ("plain", "key"),
    "automation": ("warn", "hand-stop"),
    "incident.opened": ("accent", "flame"),
    "incident.closed": ("good", "circle-check"),
    "incident.severity_raised": ("bad", "trending-up"),
    "incident.storm_gathered": ("warn", "bell-ringing"),
    "incident.stage_changed": ("accent", "arrow-right"),
    "alert.containment_doubted": ("bad", "alert-triangle"),
    "alert.watched_seen": ("bad", "alert-triangle"),
    "page.acknowledged": ("good", "phone-check"),
    "page.lapsed": ("bad", "alert-triangle"),
    "page.exhausted": ("bad", "phone-off"),
    "task.completed": ("good", "check"),
    "action.refused": ("bad", "ban"),
    "automation.let_go": ("good", "player-play"),
}

# What the page that shows an entry has in its heading: an incident its title, a run its playbook.
_BESIDE: dict[str, tuple[str, ...]] = {"incident": ("title",), "run": ("playbook",), "step": ("playbook",)}


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
    day: str
    redacted: bool
    comment: str

    @property
    def beside(self) -> list[tuple[str, str]]:
        """The details that stand on one line: neither what moved nor why."""
        return [(name, value) for name, value in self.details if name not in ("", "why")]


def tell(entry: Entry, names: telling.Names | None = None) -> Told:
    """An entry as a line: what reports.telling tells of it, less what a page shows beside it anyway."""
    tone, glyph = MARKS.get(entry.verb) or MARKS.get(entry.verb.partition(".")[0]) or ("plain", "point")
    facts = {**entry.body, **(entry.data or {})}
    outcome = str(facts.get("state", facts.get("outcome", "")))
    if outcome in ("failed", "unknown", "refused"):
        tone = "bad" if outcome == "failed" else "warn"
    told = telling.tell(entry, names, {"none": _("none"), "times": _("times")})
    beside = _BESIDE.get(entry.verb.partition(".")[0], ())
    comment = (entry.ref("comment") or "") if entry.verb == "comment.added" else ""
    details = [(name, value) for name, value in told.details if name not in beside]
    if told.reason and not comment:
        details.append(("why", telling.clipped(told.reason, 300)))
    return Told(
        id=str(entry.id),
        at=entry.at,
        who=_("Tocsin") if entry.actor_kind == "system" else entry.actor_name,
        kind=entry.actor_kind,
        says=_(entry.says),
        verb=entry.verb,
        tone=tone,
        glyph=glyph,
        details=tuple(details),
        day=entry.at.strftime("%Y-%m-%d"),
        redacted=entry.redacted,
        comment=comment,
    )


def tell_all(entries: Sequence[Entry], names: telling.Names | None = None) -> list[Told]:
    """Entries as lines, in the same order."""
    return [tell(entry, names) for entry in entries]
