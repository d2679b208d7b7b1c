"""What the frame of every page needs to know, read in a few queries."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Row, ScalarSelect, Select, func, select
from sqlalchemy.orm import Session

from connectors import rails
from core import clock
from core.actors import Actor
from incidents.alert_models import Alert
from incidents.models import Incident
from incidents.visibility import alerts_visible_to, visible_to
from ingest.queries import set_aside
from notify import inbox, queries
from notify.queries import OnCallNow
from playbooks.models import PlaybookRun
from web import needs
from web.hidden import hidden_from, not_hidden
from web.seen_calls import heard_of


MOST = 1000


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


@dataclass(frozen=True)
class Known:
    """What the page itself has read already and need not be read again."""

    needs: int
    rotas: list[OnCallNow]
    hidden: list[str]


def look(session: Session, actor: Actor, known: Known | None = None) -> Surroundings:
    """What surrounds this person's pages just now."""
    hidden = known.hidden if known else hidden_from(session, actor)
    incidents, alerts, runs, stuck, pages, unread = _counted(session, actor, hidden)
    return Surroundings(
        roles=actor.roles,
        needs=known.needs if known else len(needs.of(session, actor)),
        incidents=incidents,
        alerts=alerts,
        runs=runs,
        stuck=stuck,
        held=_held(session),
        pages=pages,
        unread=unread,
        on_call=_on_call(session, known.rotas if known else queries.on_call_now(session, clock.now())),
    )


def _counted(session: Session, actor: Actor, hidden: list[str]) -> Row[int, int, int, int, int, int]:
    """Open incidents and alerts, live runs, what is stuck, pages nobody has heard, unread items; each to MOST."""
    return session.execute(_counts(actor), {"hidden": hidden}).one()


@lru_cache(maxsize=256)  # building it takes longer than asking it
def _counts(actor: Actor) -> Select[int, int, int, int, int, int]:
    """One question for all; runs and pages for incidents that are restricted to others are left out."""
    return select(
        _some(select(Incident.id).where(Incident.closed_at.is_(None), visible_to(actor))),
        _some(select(Alert.id).where(Alert.ended_at.is_(None), alerts_visible_to(actor))),
        _some(select(PlaybookRun.id).where(PlaybookRun.ended_at.is_(None), not_hidden(PlaybookRun.subject_id))),
        _some(set_aside(actor)),
        _some(queries.unheard().where(heard_of(actor))),
        _some(inbox.unread_of(actor.user_id)),
    )


def _some(ids: Select[UUID]) -> ScalarSelect[int]:
    """How many there are, counted to a thousand: the rail says no more, and stays fast with a million."""
    return select(func.count()).select_from(ids.limit(MOST).subquery()).scalar_subquery()


def _held(session: Session) -> Held | None:
    switch = rails.held(session)
    return Held(since=switch.at, by=switch.by, reason=switch.reason) if switch is not None else None


def _on_call(session: Session, rotas: list[OnCallNow]) -> OnCall | None:
    """Who answers first: by the schedule that the default policy begins with, else the first that has somebody."""
    if all(rota.user_name is None for rota in rotas):
        return None
    leading = queries.leading_schedules(session)
    for rota in sorted(rotas, key=lambda rota: str(rota.schedule_id) not in leading):
        if rota.user_name is not None:
            return OnCall(name=rota.user_name, until=rota.until, next=rota.next_user_name)
    return None
