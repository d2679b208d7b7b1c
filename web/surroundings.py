"""What the frame of every page needs to know, read in a few small queries."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, not_, select
from sqlalchemy.orm import Session

from connectors import rails
from core import clock
from core.actors import Actor
from core.auth import users
from incidents.alert_models import Alert
from incidents.models import Incident
from incidents.visibility import alerts_visible_to, visible_to
from ingest.queries import quarantined
from notify import inbox, queries
from notify.queries import OnCallNow
from playbooks.models import PlaybookRun
from web import needs


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


def look(session: Session, actor: Actor, known: Known | None = None) -> Surroundings:
    """What surrounds this person's pages just now."""
    user = users.get(session, actor.user_id) if actor.user_id else None
    return Surroundings(
        roles=tuple(user.roles) if user else (),
        needs=known.needs if known else len(needs.of(session, actor)),
        incidents=_some(session, select(Incident.id).where(Incident.closed_at.is_(None), visible_to(actor))),
        alerts=_some(session, select(Alert.id).where(Alert.ended_at.is_(None), alerts_visible_to(actor))),
        runs=_some(session, _live_runs(session, actor)),
        stuck=quarantined(session, most=MOST),
        held=_held(session),
        pages=len(queries.waiting(session, limit=100)),
        unread=inbox.unread(session, user.id) if user else 0,
        on_call=_on_call(session, known.rotas if known else queries.on_call_now(session, clock.now())),
    )


def _live_runs(session: Session, actor: Actor) -> Select[UUID]:
    """The runs that have not ended, without those for incidents that are restricted to others."""
    restricted = (Incident.restricted_to.is_not(None), Incident.closed_at.is_(None))
    hidden = session.scalars(select(Incident.id).where(*restricted, not_(visible_to(actor))).limit(MOST))
    others = PlaybookRun.subject_id.not_in([str(one) for one in hidden])
    return select(PlaybookRun.id).where(PlaybookRun.ended_at.is_(None), others)


def _some(session: Session, ids: Select[UUID]) -> int:
    """How many there are, counted to a thousand: the rail says no more, and stays fast with a million."""
    return session.scalar(select(func.count()).select_from(ids.limit(MOST).subquery())) or 0


def _held(session: Session) -> Held | None:
    switch = rails.held(session)
    return Held(since=switch.at, by=switch.by, reason=switch.reason) if switch is not None else None


def _on_call(session: Session, rotas: list[OnCallNow]) -> OnCall | None:
    """Who answers first: by the schedule that the default policy begins with, else the first that has somebody."""
    if all(rota.user_name is None for rota in rotas):
        return None
    leading = _leading_schedules(session)
    for rota in sorted(rotas, key=lambda rota: str(rota.schedule_id) not in leading):
        if rota.user_name is not None:
            return OnCall(name=rota.user_name, until=rota.until, next=rota.next_user_name)
    return None


def _leading_schedules(session: Session) -> set[str]:
    for policy, steps in queries.all_policies(session):
        if policy.is_default and steps:
            return {target["id"] for target in steps[0].targets if target["kind"] == "schedule"}
    return set()
