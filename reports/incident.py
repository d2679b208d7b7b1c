"""Gathers one incident's report from the record: what the reader may see, as it stands now."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from connectors.entities import defang
from core import journal
from core.actors import Actor, ActorKind
from core.auth import users
from core.journal import Entry
from core.settings import settings
from core.types import Ref
from incidents import comments, milestones, observables, queries, targets, verdicts
from incidents.filters import AlertFilter
from incidents.models import Alert as AlertRow
from incidents.models import Incident
from incidents.models import Task as TaskRow
from notify import ledger
from notify import queries as notify_queries
from reports import decisions as log
from reports import learned, obligations, paragraph, proof, response, roles, times, usual
from reports.model import Alert, Comment, Countermeasure, Head, IncidentReport, Line, Observable, Task
from reports.told_model import Attempt, Page, PageMoment, Shared
from reports.telling import clipped, told

MOST_ENTRIES = 5000
MOST_ALERTS = 1000
"""So many alerts a report tells, the newest ones."""
_PEOPLE = frozenset({ActorKind.person, ActorKind.reporter, ActorKind.token})


def build(
    session: Session, actor: Actor, key_or_id: str | UUID, *, now: datetime, external: bool = False
) -> IncidentReport:
    """The report of an incident as of `now`; external: roles stand for the names of people. Raises NotFound when the
    actor may not see it.
    """
    incident = queries.incident(session, actor, key_or_id)
    names = users.names(session)
    entries = _entries(session, actor, incident.id)
    known = milestones.in_force(session, incident.id)
    alerts = _alerts(session, actor, incident.id)
    pages = _pages(session, incident)
    tasks = _tasks(session, actor, incident.id, names)
    countermeasures = response.countermeasures(session, incident.ref)
    timeline = tuple(_line(entry, names) for entry in entries)
    head = _head(incident, names)
    findings = learned.findings(session, actor, incident.id)
    review = learned.points(session, actor, incident.id)
    actions = response.actions(session, incident.ref, names, review)
    owed = obligations.of(session, actor, incident.id, names, now)
    decisions = log.of(session, entries, tasks, review, owed)
    shared = obligations.shared(session, actor, incident.id)
    values = _observables(session, actor, incident.id, countermeasures, shared)
    report = IncidentReport(
        made_at=now,
        made_by=actor.name,
        head=head,
        paragraph=paragraph.sentences(
            head, known, alerts, pages, actions, findings, values, review, decisions
        ),
        times=times.key_times(incident, known, findings, entries),
        spans=times.spans(
            known, targets.of(session, incident.severity), usual.year_of(session, actor, incident)
        ),
        waited=times.waited(entries, incident.closed_at or now),
        obligations=owed,
        shared=shared,
        notices=response.notices(session, incident.ref, names),
        findings=findings,
        review=review,
        follow_ups=learned.actions(session, actor, incident, names, now),
        earlier=learned.earlier(session, actor, incident, names, now),
        evidence=learned.evidence(session, actor, incident.id),
        messages=learned.messages(session, actor, incident.id),
        timeline=timeline,
        actions=actions,
        countermeasures=countermeasures,
        decisions=decisions,
        alerts=alerts,
        observables=values,
        pages=pages,
        tasks=tasks,
        runs=response.runs(session, incident.ref),
        comments=tuple(
            Comment(c.created_at, c.author_name, c.body)
            for c in comments.of_incident(session, actor, incident.id)
        ),
        open_ends=(*_open_ends(head, tasks, pages, actions, countermeasures), *obligations.open_ends(owed), *learned.questions(review)),
        proof=proof.of(session, entries, incident.key),
        people=tuple(Counter(line.actor for line in timeline if not line.automatic).most_common()),
    )
    return roles.instead_of_names(report, roles.known(session, report)) if external else report


def _entries(session: Session, actor: Actor, incident_id: UUID) -> list[Entry]:
    """The journal of the incident, oldest first."""
    found: list[Entry] = []
    before: UUID | None = None
    while len(found) < MOST_ENTRIES:
        page = journal.entries(session, ref=Ref("incident", str(incident_id)), before=before, limit=500)
        found += queries.readable(session, actor, page)
        if len(page) < 500:
            break
        before = page[-1].id
    return found[::-1]


def _line(entry: Entry, names: dict[UUID, str]) -> Line:
    automatic = entry.actor_kind not in _PEOPLE
    return Line(entry.at, entry.actor_name, entry.actor_kind, automatic, entry.verb, told(entry, names))


def _head(incident: Incident, names: dict[UUID, str]) -> Head:
    return Head(
        id=str(incident.id),
        key=incident.key,
        title=incident.title,
        kind=incident.kind,
        severity=incident.severity,
        severity_reason=incident.severity_reason,
        stage=incident.stage,
        confirmation=incident.confirmation,
        confirmed_by=incident.confirmed_by,
        confirmed_at=incident.confirmed_at,
        confirmed_because=incident.confirmed_because,
        category=incident.category,
        owner=names.get(incident.owner_id) if incident.owner_id else None,
        scribe=names.get(incident.scribe_id) if incident.scribe_id else None,
        communications=names.get(incident.communications_id) if incident.communications_id else None,
        source=incident.source,
        trust=incident.trust,
        tlp=incident.tlp,
        pap=incident.pap,
        tags=tuple(incident.tags),
        techniques=tuple(incident.techniques),
        late=incident.late,
        exercise=incident.exercise,
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
        closed_by=incident.closed_by,
        disposition=incident.disposition,
        root_cause=incident.root_cause,
        summary=incident.summary,
        opened_because=incident.group_why,
        url=f"{settings().base_url}/incidents/{incident.key}",
        alert_count=incident.alert_count,
    )


def _alerts(session: Session, actor: Actor, incident_id: UUID) -> tuple[Alert, ...]:
    wanted = AlertFilter(incident=incident_id)
    found: list[AlertRow] = []
    before: str | None = None
    while len(found) < MOST_ALERTS:
        page = queries.alerts(session, actor, wanted, before=before, limit=200)
        found += page.items
        before = page.next
        if before is None:
            break
    return tuple(
        Alert(a.title, a.source, a.severity, a.status, a.count, a.first_seen, a.last_seen, a.why)
        for a in reversed(found)
    )


def _observables(
    session: Session,
    actor: Actor,
    incident_id: UUID,
    countermeasures: Sequence[Countermeasure],
    shared: Sequence[Shared],
) -> tuple[Observable, ...]:
    judged = verdicts.of_incident(session, actor, incident_id)
    acted: Mapping[str, str] = {one.target: f"{one.what}: {one.state}" for one in countermeasures}
    return tuple(
        learned.indicator(o, shown, acted.get(shown, ""), judged.get(o.id), shared)
        for o in observables.of_incident(session, actor, incident_id)
        if (shown := defang(o.type, o.value))
    )


def _pages(session: Session, incident: Incident) -> tuple[Page, ...]:
    made = []
    found = notify_queries.pages(session, subjects=[incident.ref], limit=200)
    ledgers = ledger.of_pages(session, found)
    for page in reversed(found):
        attempts = tuple(
            Attempt(a.shown, a.channel, str(a.state), a.sent_at, a.latency_ms, a.answer or a.failure)
            for a in notify_queries.attempts(session, page.id)
        )
        made.append(
            Page(
                page.title, page.created_at, str(page.state), _ms(page.created_at, page.first_sent_at), page.acknowledged_name,
                page.acknowledged_at, _ms(page.created_at, page.acknowledged_at), attempts,
                tuple(PageMoment(m.what, m.at, m.ms) for m in ledger.moments(ledgers[page.id])),
            )
        )  # fmt: skip
    return tuple(made)


def _tasks(session: Session, actor: Actor, incident_id: UUID, names: dict[UUID, str]) -> tuple[Task, ...]:
    found: Sequence[TaskRow] = queries.tasks(
        session, actor, incident=incident_id, status=None, limit=200
    ).items
    return tuple(
        Task(
            t.title, t.status, t.ended_by or (names.get(t.assignee_id) if t.assignee_id else t.assign), t.created_at,
            t.due_at, t.ended_at, tuple((k, clipped(v, 200)) for k, v in (t.answers or {}).items()), t.reason,
            tuple((k, offered) for k in (t.form or {}).get("properties") or {} if (offered := obligations.choices(t.form, k))),
        )
        for t in reversed(found)
    )  # fmt: skip


def _open_ends(
    head: Head,
    tasks: tuple[Task, ...],
    pages: tuple[Page, ...],
    actions: Sequence[response.Action],
    countermeasures: Sequence[response.Countermeasure],
) -> tuple[str, ...]:
    ends = [f"Task: {t.title}" for t in tasks if t.status == "open"]
    ends += [f"Page not acknowledged: {p.title}" for p in pages if p.state in ("waiting", "exhausted")]
    ends += [f"Outcome unknown: {a.action} on {a.target}" for a in actions if a.state == "unknown"]
    ends += [
        f"Countermeasure in force: {c.what} on {c.target}"
        for c in countermeasures
        if c.state in response.IN_FORCE
    ]
    if head.closed_at is None and head.owner is None:
        ends.append("Nobody owns the incident.")
    if head.confirmation in ("unconfirmed", "suspected") and head.closed_at is None:
        ends.append("It is not decided whether this is an incident.")
    return tuple(ends)


def _ms(began: datetime, ended: datetime | None) -> int | None:
    return round((ended - began).total_seconds() * 1000) if ended else None
