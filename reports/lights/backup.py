"""Whether everything could be brought back: how old the last backup is."""

from datetime import timedelta

from sqlalchemy import func, select

from core import facts, journal
from core.auth.models import User
from core.types import Ref
from reports.doctor import Finding, Light, Look, State

NIGHTLY = timedelta(hours=36)  # a night's backup, and half a day of patience
LONG = timedelta(days=7)
_TODO = "Make one every night and take it to another machine."
_COMMAND = "tocsin backup /elsewhere/$(date +%F).tocsin"


def look(at: Look) -> Finding:
    """The last `tocsin backup` that the journal knows."""
    made = journal.entries(
        at.session, ref=Ref("setting", "database"), verbs=[facts.BACKUP_MADE.name], limit=1
    )
    if not made:
        since = at.session.scalar(select(func.min(User.created_at)))
        new = since is None or at.now - since < NIGHTLY
        return Finding(
            State.yellow if new else State.red,
            "No backup has ever been made.",
            _TODO,
            command=_COMMAND,
        )
    age = at.now - made[0].at
    said = f"The last backup is of {made[0].at:%Y-%m-%d %H:%M} UTC."
    if age <= NIGHTLY:
        return Finding(State.green, said)
    return Finding(State.yellow if age <= LONG else State.red, said, _TODO, command=_COMMAND)


light = Light("backup", "Backup", 20, look)
