"""What the frame of every page needs to know, read in a few small queries."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from core.actors import Actor
from core.auth import users


@dataclass(frozen=True, kw_only=True)
class OnCall:
    """Who answers now, until when, and who follows."""

    name: str
    until: datetime | None = None
    next: str | None = None


@dataclass(frozen=True, kw_only=True)
class Held:
    """The hold on all automation: since when, by whom and why."""

    since: datetime | None = None
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Counts for the rail and the states every page shows."""

    roles: tuple[str, ...]
    needs: int = 0
    incidents: int = 0
    alerts: int = 0
    runs: int = 0
    pages: int = 0
    stuck: int = 0
    unread: int = 0
    on_call: OnCall | None = None
    held: Held | None = None


def look(session: Session, actor: Actor) -> Surroundings:
    """What surrounds this person's pages just now."""
    user = users.get(session, actor.user_id) if actor.user_id else None
    return Surroundings(roles=tuple(user.roles) if user else ())
