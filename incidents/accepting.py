"""What people do to ignore alerts for a time: say so with a reason, extend it, end it, read what it hid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from core import journal
from core.actors import SYSTEM, Actor
from core.auth import permissions, users
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact
from core.types import Ref, Severity
from incidents import facts, hiding, notices, queries
from incidents.acceptance_models import Acceptance
from incidents.filters import AlertFilter
from incidents.models import Alert, Incident
from incidents.paging import Page, page
from incidents.permissions import ACCEPT
from incidents.visibility import acceptances_visible_to, as_id

DAYS = (7, 30, 90)
"""For how many days something may be ignored before somebody has to say so again."""
NOTICE = timedelta(days=3)
"""So long before it ends its owner is told."""
BATCH = 100
_MOST_BESIDE = 20
_FIRST = {"host": 0, "user": 1}


@dataclass(frozen=True)
class AcceptanceDraft:
    """What is to be ignored: the alerts of this one's rule that name `entity` (type, value, role) and come from its
    source. `owner` is a user's id, None for whoever says it; `criticals` confirms that critical ones are meant, too.
    """

    entity: tuple[str, str, str]
    days: int
    reason: str
    owner: UUID | None = None
    criticals: bool = False


def entities_of(alert: Alert) -> list[tuple[str, str, str]]:
    """What of an alert can be ignored, the likeliest first: its host, then its user, then the others as they came."""
    named = [(entity["type"], entity["value"], entity["role"]) for entity in alert.entities]
    return sorted(dict.fromkeys(named), key=lambda entity: _FIRST.get(entity[0], len(_FIRST)))


def accept(uow: UnitOfWork, actor: Actor, alert_id: UUID, draft: AcceptanceDraft) -> Acceptance:
    """Ignore what is like this alert for 7, 30 or 90 days. Raises Invalid with every problem, NotFound, Conflict.

    Alerts that come while an incident about them is open still belong to it; this alert itself is ignored at once when
    it has none.
    """
    permissions.require(actor, ACCEPT.name)
    alert = queries.alert(uow, actor, alert_id)
    incident = uow.get(Incident, alert.incident_id) if alert.incident_id else None
    readers = _readers(alert, incident)
    problems = _problems(uow, alert, draft, readers)
    if draft.owner is None and actor.user_id is None:
        problems.append(Problem("owner", "Say who answers for it: a program cannot."))
    if problems:
        raise Invalid(f"This cannot be ignored like that: {problems[0].message}", problems)
    kind, value, role = draft.entity
    rule = hiding.rule_of(alert.rule_id, alert.rule_name, alert.title)
    same = and_(
        Acceptance.source_id == alert.source_id, Acceptance.rule == rule, Acceptance.entity_type == kind,
        Acceptance.entity_value == value, Acceptance.entity_role == role, Acceptance.ended_at.is_(None),
        Acceptance.until > uow.now,
    )  # fmt: skip
    for known in uow.scalars(select(Acceptance).where(same, acceptances_visible_to(actor))):
        if Severity(known.severity).rank >= Severity(alert.severity).rank:
            raise Conflict(f"This is ignored already, until {known.until:%Y-%m-%d}: extend that instead.")
    row = Acceptance(
        id=new_id(), created_at=uow.now, source_id=alert.source_id, source=alert.source, rule=rule,
        rule_name=(alert.rule_name or alert.title)[:500], entity_type=kind, entity_value=value, entity_role=role,
        beside=_beside(alert, draft.entity), severity=alert.severity,
        criticals=draft.criticals and alert.severity == Severity.critical, reason=draft.reason.strip()[:2000],
        owner_id=draft.owner or actor.user_id, made_by=actor.name, restricted_to=readers,
        alert_id=alert.id, incident_id=alert.incident_id, until=uow.now + timedelta(days=draft.days), hidden=0,
    )  # fmt: skip
    uow.add(row)
    if alert.incident_id is None and alert.ended_at is None:
        alert.acceptance_id = row.id
    uow.flush()
    refs = [row.ref, alert.ref, Ref("source", str(alert.source_id))]
    if incident is not None:
        refs.append(incident.ref)
    body = {
        "days": draft.days, "until": row.until.isoformat(), "severity": row.severity, "criticals": row.criticals,
        "owner": str(row.owner_id) if row.owner_id else None, "source": row.source,
    }  # fmt: skip
    told = {"rule": row.rule_name, "entity": value, "reason": row.reason}
    journal.record(uow, actor, Fact(facts.ALERTS_ACCEPTED, tuple(refs), body, told))
    return row


def _problems(
    uow: UnitOfWork, alert: Alert, draft: AcceptanceDraft, readers: list[str] | None
) -> list[Problem]:
    problems = []
    if draft.entity not in entities_of(alert):
        problems.append(Problem("entity", "Choose one of the things that the alert names."))
    if draft.days not in DAYS:
        problems.append(Problem("days", "It is 7, 30 or 90 days; then somebody looks at it again."))
    if not draft.reason.strip():
        problems.append(
            Problem("reason", "Say why it may be ignored: whoever reads the list later wants to know.")
        )
    if alert.severity == Severity.critical and not draft.criticals:
        problems.append(
            Problem("criticals", "It is critical: confirm that even critical ones are to be ignored.")
        )
    if draft.owner is not None:
        try:
            if users.get(uow, draft.owner).disabled_at is not None:
                problems.append(Problem("owner", "This person does not work here any more."))
        except NotFound:
            problems.append(Problem("owner", "There is no such person."))
        if readers is not None and str(draft.owner) not in readers:
            problems.append(Problem("owner", "It is restricted, and this person may not see it."))
    return problems


def _beside(alert: Alert, entity: tuple[str, str, str]) -> list[str]:
    kind, value, role = entity
    others = [v for k, v, r in entities_of(alert) if (k, r) == (kind, role) and v != value]
    return others[:_MOST_BESIDE]


def _readers(alert: Alert, incident: Incident | None) -> list[str] | None:
    """Who may see it: those who may see both the alert and the incident it was in."""
    both = [
        one for one in (alert.restricted_to, incident.restricted_to if incident else None) if one is not None
    ]
    return sorted(set(both[0]).intersection(*both[1:])) if both else None


def extend(uow: UnitOfWork, actor: Actor, acceptance_id: UUID, days: int) -> Acceptance:
    """Ignore it for 7, 30 or 90 days from now on. Raises Invalid, NotFound, Conflict when it has ended."""
    permissions.require(actor, ACCEPT.name)
    if days not in DAYS:
        raise Invalid("It is 7, 30 or 90 days.", [Problem("days", "It is 7, 30 or 90 days.")])
    row = _live(uow, actor, acceptance_id)
    was, row.until, row.told_at = row.until, uow.now + timedelta(days=days), None
    body = {"from": was.isoformat(), "until": row.until.isoformat()}
    journal.record(uow, actor, Fact(facts.ACCEPTANCE_EXTENDED, _refs(row), body, {"rule": row.rule_name}))
    return row


def end(uow: UnitOfWork, actor: Actor, acceptance_id: UUID) -> Acceptance:
    """Look at such alerts again from now on. Raises NotFound, Conflict when it has ended."""
    permissions.require(actor, ACCEPT.name)
    row = _live(uow, actor, acceptance_id)
    _end(uow, actor, row, by=actor.name)
    return row


def expire(uow: UnitOfWork) -> int:
    """End what has had its time, and tell owners what ends within three days; returns how many of both."""
    live = select(Acceptance).where(Acceptance.ended_at.is_(None)).order_by(Acceptance.until).limit(BATCH)
    over = uow.scalars(live.where(Acceptance.until <= uow.now).with_for_update(skip_locked=True)).all()
    for row in over:
        _end(uow, SYSTEM, row, by=None)
    soon = Acceptance.until <= uow.now + NOTICE
    ending = live.where(soon, Acceptance.until > uow.now, Acceptance.told_at.is_(None))
    rows = uow.scalars(ending.with_for_update(skip_locked=True)).all()
    for row in rows:
        row.told_at = uow.now
        _warn(uow, row)
    return len(over) + len(rows)


def _warn(uow: UnitOfWork, row: Acceptance) -> None:
    if row.owner_id is None:
        return
    title = f"Ends {row.until:%d %b}: {row.rule_name} from {row.entity_value} is ignored"
    text = f"It has hidden {row.hidden} so far ({row.reason}). Extend it, or let it end: then such alerts open incidents again."
    notices.tell(uow, row.owner_id, title=title, text=text, subject=row.ref, path="/ignored")


def _end(uow: UnitOfWork, actor: Actor, row: Acceptance, *, by: str | None) -> None:
    row.ended_at, row.ended_by = (uow.now if by else row.until), by
    body = {"hidden": row.hidden, "expired": by is None}
    journal.record(uow, actor, Fact(facts.ACCEPTANCE_ENDED, _refs(row), body, {"rule": row.rule_name}))


def _refs(row: Acceptance) -> tuple[Ref, ...]:
    return (row.ref, Ref("source", str(row.source_id)))


def _live(uow: UnitOfWork, actor: Actor, acceptance_id: UUID) -> Acceptance:
    query = select(Acceptance).where(Acceptance.id == acceptance_id, acceptances_visible_to(actor))
    row = uow.scalar(query.with_for_update())
    if row is None:
        raise NotFound("There is no such thing that is ignored, or you may not see it.")
    if row.ended_at is not None or row.until <= uow.now:
        raise Conflict("Its time is over; say it anew from an alert if it is to be ignored again.")
    return row


# ------------------------------------------------------------------------------------------------ reading


def listed(
    session: Session,
    actor: Actor,
    *,
    live: bool | None = True,
    source_id: UUID | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Page[Acceptance]:
    """A page of what is ignored (live), was (False) or either (None), newest first. Raises Invalid for a foreign cursor."""
    query = select(Acceptance).where(acceptances_visible_to(actor))
    if live is not None:
        query = query.where(Acceptance.ended_at.is_(None) if live else Acceptance.ended_at.is_not(None))
    if source_id is not None:
        query = query.where(Acceptance.source_id == source_id)
    return page(session, query, Acceptance, before=before, limit=limit)


def get(session: Session, actor: Actor, acceptance_id: UUID | str) -> Acceptance:
    """One acceptance. Raises NotFound."""
    of = as_id(acceptance_id)
    query = select(Acceptance).where(Acceptance.id == of, acceptances_visible_to(actor))
    row = session.scalar(query) if of else None
    if row is None:
        raise NotFound("There is no such thing that is ignored, or you may not see it.")
    return row


def number_live(session: Session, actor: Actor) -> int:
    """How many things are ignored now."""
    query = select(func.count()).select_from(Acceptance)
    return session.scalar(query.where(Acceptance.ended_at.is_(None), acceptances_visible_to(actor))) or 0


@dataclass(frozen=True)
class Loud:
    """A detection that rang often about one thing: its newest alert, and how often within the time looked at."""

    alert: Alert
    entity: tuple[str, str, str]
    times: int


def loudest(session: Session, actor: Actor, source_id: UUID, *, most: int = 8) -> Sequence[Loud]:
    """What of a source rang most, rule by rule and thing by thing, among its newest alerts; ignored ones left out."""
    rows = queries.alerts(session, actor, AlertFilter(source_id=source_id), limit=200).items
    ignored = {
        (row.rule, (row.entity_type, row.entity_value, row.entity_role))
        for row in listed(session, actor, source_id=source_id, limit=200).items
    }
    found: dict[tuple[str, tuple[str, str, str]], tuple[Alert, int]] = {}
    for alert in rows:
        named = entities_of(alert)
        if alert.acceptance_id is not None or not named:
            continue
        key = (hiding.rule_of(alert.rule_id, alert.rule_name, alert.title), named[0])
        if key in ignored:
            continue
        newest, times = found.get(key, (alert, 0))
        found[key] = (newest, times + alert.count)
    ranked = sorted(found.items(), key=lambda item: -item[1][1])
    return [Loud(alert, key[1], times) for key, (alert, times) in ranked[:most]]
