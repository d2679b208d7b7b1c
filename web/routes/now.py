"""Now: what needs me, before anything else; then how things stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from sqlalchemy import BindParameter, Integer, ScalarSelect, Select, bindparam, func, select
from sqlalchemy.orm import Session

from connectors import fetching
from connectors.models import HELD, UNKNOWN, ActionCall
from core import backlog, clock
from core.actors import Actor
from core.auth import users
from core.db import reading
from core.types import Instant
from incidents import queries as record
from incidents import rules
from incidents.alert_models import Alert
from incidents.filters import IncidentFilter
from incidents.models import Incident
from incidents.visibility import alerts_visible_to, visible_to
from ingest import queries as door
from ingest.models import Source
from notify import queries as paging
from notify.models import Page as PageSent
from notify.queries import OnCallNow
from playbooks.models import Playbook, PlaybookRun
from reports import doctor
from web import first_steps, needs, surroundings
from web.first_steps import Step
from web.hidden import hidden_from, not_hidden
from web.languages import gettext as _
from web.languages import ngettext
from web.needs import Need
from web.pages import Page, show
from web.security import Signed
from web.seen_calls import heard_of
from web.wording import up_to

router = APIRouter(include_in_schema=False)

HOURS = 24
MOST_PAGES = 20
MOST_AN_HOUR = 1000
"""The tile counts no further: a storm's hour is a full bar, and costs as much as any other full one."""


@dataclass(frozen=True)
class Light:
    """One line of system health: good, or what to do."""

    tone: str
    glyph: str
    says: str
    href: str


@dataclass(kw_only=True)
class NowPage(Page, template="now.html", rail="now"):
    """The first screen."""

    greeting: str
    needs: list[Need]
    by_severity: dict[str, int]
    open_total: int
    without_owner: int
    mine: int
    oldest: datetime | None
    waiting_pages: list[PageSent]
    hours: list[int]
    alerts_day: int
    alerts_day_more: bool
    opened_day: int
    runs_live: int
    runs_waiting: int
    calls_aside: int
    latest: list[Incident]
    owners: dict[object, str]
    rotas: list[OnCallNow]
    lights: list[Light]
    first_steps: list[Step]


def greeting(name: str, zone: str, at: datetime, number: int) -> str:
    """The greeting, "Good morning, Ana. 2 things need you.", by the hour in the reader's zone."""
    hour = at.astimezone(ZoneInfo(zone)).hour
    words = (
        _("Good morning") if 5 <= hour < 12 else _("Good afternoon") if 12 <= hour < 19 else _("Good evening")
    )
    first = next(iter(name.split()), name)
    then = (
        ngettext("%(num)s thing needs you.", "%(num)s things need you.", number) % {"num": number}
        if number
        else _("Nothing needs you.")
    )
    return f"{words}, {first}. {then}"


def rate(session: Session, actor: Actor, at: datetime) -> list[int]:
    """How many alerts began in each of the last 24 hours, the oldest first, each counted to MOST_AN_HOUR."""
    marks = {f"mark{number}": at - timedelta(hours=HOURS - number) for number in range(HOURS + 1)}
    return list(session.execute(_rate(actor), {**marks, "most": MOST_AN_HOUR}).one())


@lru_cache(maxsize=256)  # building it takes longer than asking it
def _rate(actor: Actor) -> Select[*tuple[int, ...]]:
    marks = [bindparam(f"mark{number}", type_=Instant) for number in range(HOURS + 1)]
    return select(*(_began(actor, marks[number], marks[number + 1]) for number in range(HOURS)))


def _began(actor: Actor, since: BindParameter[datetime], until: BindParameter[datetime]) -> ScalarSelect[int]:
    some = (
        select(Alert.id)
        .where(Alert.created_at >= since, Alert.created_at < until, alerts_visible_to(actor))
        .order_by(Alert.created_at)  # so that it walks along the index, and no further than the limit
        .limit(bindparam("most", type_=Integer))
    )
    return select(func.count()).select_from(some.subquery()).scalar_subquery()


@lru_cache(maxsize=256)
def _unheard(actor: Actor) -> Select[PageSent]:
    """The pages that wait, the oldest first: those about what the reader may see, and those that went to them."""
    ids = paging.unheard().where(heard_of(actor))
    return select(PageSent).where(PageSent.id.in_(ids)).order_by(PageSent.created_at, PageSent.id).limit(MOST_PAGES)


@router.get("/")
def now(request: Request, actor: Signed) -> Response:
    """The first screen."""
    at = clock.now()
    day = at - timedelta(hours=HOURS)
    with reading() as session:
        user = users.get(session, actor.user_id) if actor.user_id else None
        found = needs.of(session, actor)
        counted = record.standing(session, actor)
        hours = rate(session, actor, at)
        leaving = {"hidden": hidden_from(session, actor)}
        running = session.execute(
            select(PlaybookRun.state, func.count())
            .where(PlaybookRun.ended_at.is_(None), not_hidden(PlaybookRun.subject_id))
            .group_by(PlaybookRun.state),
            leaving,
        )
        live = {row.state: row[1] for row in running}
        seen = visible_to(actor)
        calls = select(func.count(ActionCall.id)).where(ActionCall.state.in_([HELD, UNKNOWN]), not_hidden(ActionCall.subject_id))
        oldest = select(func.min(Incident.opened_at)).where(Incident.closed_at.is_(None), seen)
        fresh = select(func.count()).select_from(Incident).where(Incident.created_at >= day, seen)
        three = select(*(one.scalar_subquery() for one in (calls, oldest, fresh)))
        aside, since, opened_day = session.execute(three, leaving).one()
        sources = door.every_source(session)
        rotas = paging.on_call_now(session, at)
        request.state.known = surroundings.Known(needs=len(found), rotas=rotas, hidden=leaving["hidden"])
        page = NowPage(
            greeting=greeting(actor.name, user.timezone if user else "UTC", at, len(found)),
            needs=found,
            by_severity={name: number for name, number in counted.by_severity.items() if number},
            open_total=sum(counted.by_severity.values()),
            without_owner=counted.unowned,
            mine=counted.mine,
            oldest=since,
            waiting_pages=list(session.scalars(_unheard(actor), leaving)),
            hours=hours,
            alerts_day=sum(hours),
            alerts_day_more=max(hours) >= MOST_AN_HOUR,
            opened_day=opened_day,
            runs_live=sum(live.values()),
            runs_waiting=live.get("waiting", 0),
            calls_aside=aside,
            latest=record.incidents(session, actor, IncidentFilter(), limit=8).items,
            owners=dict(users.names(session).items()),
            rotas=rotas,
            lights=[*_endangered(session, actor), *_lights(session, actor, at, sources)],
            first_steps=first_steps.of(session, actor),
        )
    return show(request, page)


def _endangered(session: Session, actor: Actor) -> list[Light]:
    """One line for those who can mend it, only when the doctor sees red."""
    if not actor.may("doctor.read"):
        return []
    red = [one for one in doctor.lately(session) if one.finding.state is doctor.State.red]
    if not red:
        return []
    said = _("Act now: %(what)s") % {"what": ", ".join(_(one.light.title) for one in red)}
    return [Light("bad", "alert-triangle", red[0].finding.says if len(red) == 1 else said, "/doctor")]


def _lights(session: Session, actor: Actor, at: datetime, sources: Sequence[Source]) -> list[Light]:
    """What is not as it should be, each with where to go; good news in one line."""
    lights: list[Light] = []
    for count in backlog.glance(session):
        if count.parked:
            said = ngettext("%(num)s stuck: %(what)s", "%(num)s stuck: %(what)s", count.parked)
            told = {"num": up_to(count.parked, backlog.MOST), "what": count.name}
            lights.append(Light("bad", "alert-triangle", said % told, "/settings/work"))
        elif count.oldest_due is not None and at - count.oldest_due > timedelta(seconds=30):
            said = _("%(what)s is %(n)s behind") % {"what": count.name, "n": up_to(count.due, backlog.MOST)}
            lights.append(Light("warn", "clock-x", said, "/settings/work"))
    if aside := door.quarantined(session, actor, most=backlog.MOST):
        said = ngettext("%(num)s delivery could not be read", "%(num)s deliveries could not be read", aside)
        lights.append(Light("warn", "inbox", said % {"num": up_to(aside, backlog.MOST)}, "/quarantine"))
    for rule in rules.failing(session):
        said = _("The grouping rule “%(name)s” fails") % {"name": rule.name}
        lights.append(Light("warn", "alert-triangle", said, "/settings/rules"))
    for name in fetching.silent_feeds(session):
        said = _("The block list “%(name)s” is no longer fetched") % {"name": name}
        lights.append(Light("bad", "ban", said, "/settings/guardrails#feeds"))
    listening = [source for source in sources if source.disabled_at is None]
    day = at - timedelta(days=1)
    silent = [source for source in listening if (source.last_seen_at or source.created_at) < day]
    alive = sum(source.last_seen_at is not None and source.last_seen_at >= day for source in listening)
    if silent:
        said = ngettext(
            "%(num)s source has been silent for a day",
            "%(num)s sources have been silent for a day",
            len(silent),
        )
        lights.append(Light("warn", "plug", said % {"num": len(silent)}, "/settings/sources"))
    if alive:
        said = ngettext("%(num)s source is alive", "%(num)s sources are alive", alive)
        lights.append(Light("good", "check", said % {"num": alive}, "/settings/sources"))
    if session.scalar(select(Playbook.id).where(Playbook.removed_at.is_(None)).limit(1)) is None:
        said = _("No playbook is published: nothing is answered by itself")
        lights.append(Light("bad", "git-branch", said, "/playbooks"))
    if not any(light.href == "/settings/work" for light in lights):
        lights.append(Light("good", "check", _("All work is up to date"), "/settings/work"))
    return lights
