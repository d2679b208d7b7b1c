"""What people and playbooks read of the record: lists, one incident, counts, a timeline, the facts for expressions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, exists, func, or_, select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth.models import User
from core.errors import NotFound
from core.journal import Entry
from core.types import Ref, Severity
from incidents import host_history, keys
from incidents.alert_models import AlertDelivery
from incidents.filters import (
    AlertFilter,
    IncidentFilter,
    Narrowed,
    narrowed_alerts,
    narrowed_incidents,
    seeing,
)
from incidents.models import Alert, Constituency, Incident, Observable, Sighting, Task, Team
from incidents.paging import Page, page, page_of
from incidents.schema import observed
from incidents.visibility import (
    alerts_visible_to,
    as_id,
    belongs_to_visible,
    hidden_from,
    visible_refs,
    visible_to,
)

MOST_COUNTED = 1000
"""Open incidents are counted so far: "1,000+" says all that a reader needs."""


def incidents(
    session: Session, actor: Actor, wanted: IncidentFilter, *, before: str | None = None, limit: int = 50
) -> Page[Incident]:
    """A page of incidents, newest first. Raises Invalid for a foreign cursor."""
    query = select(Incident).where(visible_to(actor))
    narrowed = narrowed_incidents(actor, wanted)
    return _listed(session, query, Incident, narrowed, wanted.observable, before=before, limit=limit)


def incident(session: Session, actor: Actor, key_or_id: str | UUID) -> Incident:
    """One incident by its key (INC-2026-000042, in any spelling) or its id. Raises NotFound."""
    query = select(Incident).where(visible_to(actor))
    found = None
    if (of := as_id(key_or_id)) is not None:
        found = session.scalar(query.where(Incident.id == of))
    elif key := keys.read(str(key_or_id)):
        found = session.scalar(query.where(Incident.key == key))
    if found is None:
        raise NotFound(f"There is no incident {str(key_or_id)[:60]}, or you may not see it.")
    return found


def incidents_by_ids(session: Session, actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Incident]:
    """Of these incidents, those the actor may see, by id: for lists of other things that name their incident."""
    wanted = list(ids)
    if not wanted:
        return {}
    query = select(Incident).where(Incident.id.in_(wanted), visible_to(actor))
    return {found.id: found for found in session.scalars(query)}


def alerts(
    session: Session, actor: Actor, wanted: AlertFilter, *, before: str | None = None, limit: int = 50
) -> Page[Alert]:
    """A page of alerts, newest first. Raises Invalid for a foreign cursor."""
    query = select(Alert).where(alerts_visible_to(actor))
    narrowed = narrowed_alerts(wanted)
    return _listed(session, query, Alert, narrowed, wanted.observable, before=before, limit=limit)


def _listed(
    session: Session,
    query: Select[Any],
    model: Any,
    narrowed: Narrowed,
    value: str | None,
    *,
    before: str | None,
    limit: int,
) -> Page[Any]:
    if value:
        seen = seeing(session, model, value)
        if seen.ids is not None:
            query = query.where(*narrowed.led, *narrowed.rest)
            return page_of(session, query, model, seen.ids, before=before, limit=limit)
        narrowed = Narrowed(narrowed.led, [*narrowed.rest, seen.condition])
    return page(session, query, model, before=before, limit=limit, narrowed=narrowed)


def alert(session: Session, actor: Actor, alert_id: str | UUID) -> Alert:
    """One alert by id. Raises NotFound."""
    of = as_id(alert_id)
    found = session.scalar(select(Alert).where(Alert.id == of, alerts_visible_to(actor))) if of else None
    if found is None:
        raise NotFound("There is no such alert, or you may not see it.")
    return found


def deliveries_of(session: Session, actor: Actor, alert_id: UUID) -> list[UUID]:
    """The ids of the deliveries an alert came in that are remembered, newest first."""
    alert(session, actor, alert_id)
    query = select(AlertDelivery.delivery_id).where(AlertDelivery.alert_id == alert_id)
    return list(
        dict.fromkeys(
            session.scalars(query.order_by(AlertDelivery.received_at.desc(), AlertDelivery.slot.desc()))
        )
    )


def alerts_of_delivery(session: Session, actor: Actor, delivery_id: UUID) -> list[Alert]:
    """The alerts that a delivery is known to have brought."""
    brought = exists().where(AlertDelivery.alert_id == Alert.id, AlertDelivery.delivery_id == delivery_id)
    return list(session.scalars(select(Alert).where(alerts_visible_to(actor), brought).order_by(Alert.id)))


def tasks(
    session: Session,
    actor: Actor,
    *,
    incident: UUID | None = None,
    status: str | None = "open",
    mine: bool = False,
    roles: Sequence[str] = (),
    before: str | None = None,
    limit: int = 50,
) -> Page[Task]:
    """A page of tasks, newest first. mine: given to the actor, to one of `roles`, or to the owner of what they own."""
    query = select(Task).where(belongs_to_visible(actor, Task.incident_id))
    led: list[ColumnElement[bool]] = []
    rest: list[ColumnElement[bool]] = []
    if incident is not None:
        led.append(Task.incident_id == incident)
    if status is not None:  # open ones have an index of their own, among all incidents
        (led if status == "open" or incident is not None else rest).append(Task.status == status)
    if mine and actor.user_id is not None:
        own = exists().where(Incident.id == Task.incident_id, Incident.owner_id == actor.user_id)
        rest.append(
            or_(
                Task.assignee_id == actor.user_id,
                Task.assignee_role.in_(list(roles)),
                own & Task.assignee_id.is_(None) & Task.assignee_role.is_(None),
            )
        )
    return page(session, query, Task, before=before, limit=limit, narrowed=Narrowed(led, rest))


def task(session: Session, actor: Actor, task_id: str | UUID) -> Task:
    """One task by id. Raises NotFound."""
    of = as_id(task_id)
    query = select(Task).where(Task.id == of, belongs_to_visible(actor, Task.incident_id))
    found = session.scalar(query) if of else None
    if found is None:
        raise NotFound("There is no such task, or you may not see it.")
    return found


@dataclass(frozen=True)
class Counts:
    """The figures of Now, of what the reader may see."""

    open_by_severity: dict[str, int]
    unowned: int
    mine: int
    open_tasks: int
    alerts_last_hour: int
    open_alerts: int


@dataclass(frozen=True)
class Standing:
    """How the open incidents stand, of what the reader may see."""

    by_severity: dict[str, int]
    unowned: int
    mine: int


def standing(session: Session, actor: Actor) -> Standing:
    """Open incidents by severity, without an owner, mine: what is quickly counted however many alerts there are."""
    mine = (
        case((Incident.owner_id == actor.user_id, 1), else_=0)
        if actor.user_id
        else case((Incident.id.is_(None), 1), else_=0)
    )
    query = (
        select(
            Incident.severity,
            func.count(),
            func.sum(case((Incident.owner_id.is_(None), 1), else_=0)),
            func.sum(mine),
        )
        .where(Incident.closed_at.is_(None), visible_to(actor))
        .group_by(Incident.severity)
    )
    rows = session.execute(query).all()
    by_severity = {severity.value: 0 for severity in reversed(Severity)} | {row[0]: row[1] for row in rows}
    return Standing(by_severity, sum(row[2] for row in rows), sum(row[3] for row in rows))


@dataclass(frozen=True)
class OpenCounts:
    """Open incidents, of what the reader may see: each figure is counted up to MOST_COUNTED."""

    by_severity: dict[str, int]
    unowned: int

    @property
    def total(self) -> int:
        """Their number; when a severity is not counted to its end, at least so many."""
        return sum(self.by_severity.values())


def open_counts(session: Session, actor: Actor) -> OpenCounts:
    """Open incidents by severity and without an owner, in a time that does not grow with them."""

    def number(*conditions: ColumnElement[bool]) -> Any:
        some = select(Incident.id).where(Incident.closed_at.is_(None), visible_to(actor), *conditions)
        return select(func.count()).select_from(some.limit(MOST_COUNTED).subquery()).scalar_subquery()

    asked = {severity.value: number(Incident.severity == severity.value) for severity in reversed(Severity)}
    *found, unowned = session.execute(select(*asked.values(), number(Incident.owner_id.is_(None)))).one()
    return OpenCounts({name: count for name, count in zip(asked, found, strict=True) if count}, unowned)


def counts(session: Session, actor: Actor, since: datetime) -> Counts:
    """Open incidents by severity, without an owner, mine; open tasks; alerts seen since `since` and open ones."""
    now = standing(session, actor)
    open_tasks = (
        select(func.count())
        .select_from(Task)
        .where(Task.status == "open", belongs_to_visible(actor, Task.incident_id))
    )
    recent = (
        select(func.count()).select_from(Alert).where(Alert.created_at >= since, alerts_visible_to(actor))
    )
    open_alerts = (
        select(func.count()).select_from(Alert).where(Alert.ended_at.is_(None), alerts_visible_to(actor))
    )
    return Counts(
        now.by_severity, now.unowned, now.mine, session.scalar(open_tasks) or 0,
        session.scalar(recent) or 0, session.scalar(open_alerts) or 0,
    )  # fmt: skip


def timeline(
    session: Session, actor: Actor, incident_id: UUID, *, before: UUID | None = None, limit: int = 50
) -> list[Entry]:
    """The journal of an incident, newest first, without entries that also name what the actor may not see.

    Raises NotFound.
    """
    incident(session, actor, incident_id)
    return readable(
        session,
        actor,
        journal.entries(session, ref=Ref("incident", str(incident_id)), before=before, limit=limit),
    )


def readable(session: Session, actor: Actor, entries: Sequence[Entry]) -> list[Entry]:
    """Of these journal entries, those that name nothing the actor may not see: for the journal page and its export."""
    named = {ref for entry in entries for ref in entry.refs}
    seen = visible_refs(session, actor, named)
    return [entry for entry in entries if seen.issuperset(entry.refs)]


def facts(session: Session, incident_id: UUID) -> dict[str, Any]:
    """The `incident` of incidents.schema.INCIDENT, for conditions and templates. Raises NotFound."""
    link = select(Alert.url).where(Alert.incident_id == incident_id).order_by(Alert.created_at, Alert.id).limit(1)
    row = session.execute(
        select(Incident, User.email, Constituency.slug, Team.slug, link.scalar_subquery())
        .outerjoin(User, User.id == Incident.owner_id)
        .outerjoin(Constituency, Constituency.id == Incident.constituency_id)
        .outerjoin(Team, Team.id == Incident.team_id)
        .where(Incident.id == incident_id)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such incident.")
    found, owner, constituency, team, url = row
    seen = session.execute(
        select(Observable.type, Observable.value, Sighting.role)
        .join(Sighting, Sighting.observable_id == Observable.id)
        .where(Sighting.incident_id == incident_id, Sighting.alert_id.is_(None))
        .order_by(Sighting.created_at, Sighting.id)
        .limit(3000)
    )
    values = observed([(kind, value, role) for kind, value, role in seen])
    severity = Severity(found.severity)
    return {
        **{name: getattr(found, name) for name in _COPIED},
        "link": url,
        "recovered": _recovered(session, found) if found.category == "availability" else False,
        "same_minute": _same_minute(session, found) if found.category == "availability" else [],
        "id": str(found.id),
        "severity_rank": severity.rank,
        "owner": owner,
        "constituency": constituency,
        "team": team,
        "restricted": found.restricted_to is not None,
        "recurrence": found.recurrence_of is not None,
        "tags": list(found.tags),
        "techniques": list(found.techniques),
        **values,
        **host_history.of_host(session, found, values["host"] if found.category == "malware" else None),
    }


def _recovered(session: Session, incident: Incident) -> bool:
    """Whether the sources of an incident's alerts say of each that it is over; one that only fell quiet is not."""
    of = Alert.incident_id == incident.id
    going_on = select(Alert.id).where(of, Alert.ended_by.is_distinct_from("resolved")).limit(1)
    return incident.alert_count > 0 and session.scalar(going_on) is None


def _same_minute(session: Session, incident: Incident) -> list[str]:
    """What else rang within a minute of an incident's opening, as "title (source)"; nothing that is restricted."""
    query = (
        select(Alert.title, Alert.source)
        .where(
            Alert.created_at.between(incident.opened_at - _MINUTE, incident.opened_at + _MINUTE),
            Alert.incident_id.is_distinct_from(incident.id),
            Alert.restricted_to.is_(None),
            or_(Alert.incident_id.is_(None), Alert.incident_id.not_in(hidden_from(None))),
            Alert.constituency_id.is_not_distinct_from(incident.constituency_id),
        )
        .order_by(Alert.created_at, Alert.id)
        .limit(20)
    )
    return list(dict.fromkeys(f"{title} ({source})" for title, source in session.execute(query)))


_MINUTE = timedelta(minutes=1)
_COPIED = (
    "key", "title", "description", "kind", "severity", "priority", "stage", "status", "confirmation", "category",
    "waiting_on", "tlp", "pap", "source", "trust", "late", "learning", "exercise", "alert_count", "opened_at",
    "closed_at", "disposition",
)  # fmt: skip
