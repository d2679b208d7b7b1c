"""Gathers one incident's report from the record: what the reader may see, as it stands now."""

from collections import Counter
from collections.abc import Sequence
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
from incidents import comments, milestones, observables, queries
from incidents.filters import AlertFilter
from incidents.models import Alert as AlertRow
from incidents.models import Incident, Milestone
from incidents.models import Task as TaskRow
from incidents.stages import MEANING, Disposition
from notify import ledger
from notify import queries as notify_queries
from reports import learned, proof, response, roles
from reports.model import (
    Alert,
    Attempt,
    Comment,
    Finding,
    Head,
    IncidentReport,
    KeyTime,
    Line,
    Observable,
    Page,
    PageMoment,
    Span,
    Task,
)
from reports.telling import clipped, told
from reports.wording import duration, moment

MOST_ENTRIES = 5000
MOST_ALERTS = 200
_PEOPLE = frozenset({ActorKind.person, ActorKind.reporter, ActorKind.token})
_MOMENTS = {
    "first_malicious": "First malicious act", "compromise": "Initial compromise", "occurred": "Occurred",
    "alerted": "First alert", "reported": "Reported", "acknowledged": "Acknowledged", "declared": "Declared", "aware": "Aware (legal)", "exfiltration": "Data taken",
    "contained": "Contained", "eradicated": "Eradicated", "recovered": "Recovered", "closed": "Closed",
}  # fmt: skip
_ALWAYS = ("first_malicious", "acknowledged", "declared", "contained", "eradicated", "recovered", "closed")
_ALWAYS_OF_NONE = ("acknowledged", "closed")  # of what is not an incident


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
    actions = response.actions(session, incident.ref, names)
    countermeasures = response.countermeasures(session, incident.ref)
    timeline = tuple(_line(entry, names) for entry in entries)
    head = _head(incident, names)
    findings = learned.findings(session, actor, incident.id)
    review = learned.points(session, actor, incident.id)
    report = IncidentReport(
        made_at=now,
        made_by=actor.name,
        head=head,
        paragraph=_paragraph(head, known, alerts, pages, actions, timeline),
        times=_times(incident, known, findings),
        spans=_spans(known),
        findings=findings,
        review=review,
        follow_ups=learned.actions(session, actor, incident, names, now),
        earlier=learned.earlier(session, actor, incident, names, now),
        evidence=learned.evidence(session, actor, incident.id),
        messages=learned.messages(session, actor, incident.id),
        timeline=timeline,
        actions=actions,
        countermeasures=countermeasures,
        decisions=tuple(
            sorted((*response.decisions(entries), *learned.decided(review)), key=lambda one: one.at)
        ),
        alerts=alerts,
        observables=_observables(session, actor, incident.id),
        pages=pages,
        tasks=tasks,
        runs=response.runs(session, incident.ref),
        comments=tuple(
            Comment(c.created_at, c.author_name, c.body)
            for c in comments.of_incident(session, actor, incident.id)
        ),
        open_ends=(*_open_ends(head, tasks, pages, actions, countermeasures), *learned.questions(review)),
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
    )


def _times(
    incident: Incident, known: dict[str, Milestone], findings: Sequence[Finding]
) -> tuple[KeyTime, ...]:
    opened = KeyTime("opened", "Opened", incident.opened_at, 0, "system", "Tocsin")
    reached = [
        KeyTime(kind, says, m.at, (m.at - incident.opened_at).total_seconds(), m.source, m.set_by)
        for kind, says in _MOMENTS.items()
        if (m := known.get(kind)) is not None
    ]
    if findings and "first_malicious" not in known:
        began = findings[0]
        after = (began.at - incident.opened_at).total_seconds()
        reached.append(
            KeyTime(
                "first_malicious",
                _MOMENTS["first_malicious"],
                began.at,
                after,
                f"finding {began.number}",
                began.added_by,
            )
        )
    wanted = _ALWAYS_OF_NONE if incident.confirmation == "not_an_incident" else _ALWAYS
    there = {time.kind for time in reached}
    missing = [KeyTime(kind, _MOMENTS[kind], None, None, "", None) for kind in wanted if kind not in there]
    return (*sorted([opened, *reached], key=lambda t: t.at or incident.opened_at), *missing)


def _spans(known: dict[str, Milestone]) -> tuple[Span, ...]:
    """How long it took, each beside what it is counted from."""
    times = milestones.times(known)
    return tuple(
        Span(name, says, length.total_seconds() if length is not None else None, counted)
        for name, says, length, counted in (
            ("detect", "To detect", times.to_detect, "from the first malicious act that a person established to the first alert"),
            ("acknowledge", "To acknowledge", times.to_acknowledge, "from the first alert or report to a person's answer"),
            ("contain", "To contain", times.to_contain, "from the first alert or report to the stage after contain"),
            ("close", "To close", times.to_close, "from the first alert or report to the closing"),
        )
    )  # fmt: skip


def _alerts(session: Session, actor: Actor, incident_id: UUID) -> tuple[Alert, ...]:
    wanted = AlertFilter(incident=incident_id)
    found: Sequence[AlertRow] = queries.alerts(session, actor, wanted, limit=MOST_ALERTS).items
    return tuple(
        Alert(a.title, a.source, a.severity, a.status, a.count, a.first_seen, a.last_seen, a.why)
        for a in reversed(found)
    )


def _observables(session: Session, actor: Actor, incident_id: UUID) -> tuple[Observable, ...]:
    return tuple(
        Observable(o.type, o.value, defang(o.type, o.value), o.roles, o.first_seen, o.last_seen, o.others)
        for o in observables.of_incident(session, actor, incident_id)
    )


def _pages(session: Session, incident: Incident) -> tuple[Page, ...]:
    made = []
    found = notify_queries.pages(session, subjects=[incident.ref], limit=200)
    ledgers = ledger.of_pages(session, found)
    for page in reversed(found):
        began = page.received_at or page.created_at
        attempts = tuple(
            Attempt(a.shown, a.channel, str(a.state), a.sent_at, a.latency_ms, a.answer or a.failure)
            for a in notify_queries.attempts(session, page.id)
        )
        made.append(
            Page(
                page.title, page.created_at, str(page.state), _ms(began, page.first_sent_at), page.acknowledged_name,
                page.acknowledged_at, _ms(began, page.acknowledged_at), attempts,
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
        )
        for t in reversed(found)
    )  # fmt: skip


def _paragraph(
    head: Head,
    known: dict[str, Milestone],
    alerts: tuple[Alert, ...],
    pages: tuple[Page, ...],
    actions: Sequence[response.Action],
    timeline: tuple[Line, ...],
) -> tuple[str, ...]:
    """Five sentences for a director, each from the record."""
    how = (
        f"reported by {head.source} in {len(alerts)} alert{'' if len(alerts) == 1 else 's'}"
        if alerts
        else "opened by hand"
    )
    category = f" of the category {head.category}" if head.category else ""
    what = f"{head.key} is {_a(head.severity)} {head.kind}{category}, {how} and opened on {moment(head.opened_at)}"
    said = [f"{what}: {clipped(head.title, 160).rstrip('.')}."]
    if pages:
        first = next((p for p in pages if p.acknowledged_ms is not None), None)
        answered = (
            f"{first.acknowledged_by} answered after {duration((first.acknowledged_ms or 0) / 1000)}"
            if first
            else "nobody has answered"
        )
        said.append(f"{len(pages)} page{'' if len(pages) == 1 else 's'} went out; {answered}.")
    elif "acknowledged" in known:
        waited = (known["acknowledged"].at - head.opened_at).total_seconds()
        said.append(f"{known['acknowledged'].set_by} took it up after {duration(max(waited, 0))}.")
    done = [a for a in actions if a.state == "succeeded" and a.effect in ("disruptive", "destructive")]
    if done:
        said.append(
            f"{len(done)} containing action{'' if len(done) == 1 else 's'} succeeded, the first at {moment(done[0].at)}."
        )
    hands = sum(not line.automatic for line in timeline)
    said.append(f"The record holds {len(timeline)} entries, {hands} of them by people.")
    if head.closed_at:
        meaning = MEANING.get(Disposition(head.disposition)) if head.disposition else None
        took = duration((head.closed_at - head.opened_at).total_seconds())
        said.append(
            f"It was closed by {head.closed_by} after {took}{f': {meaning[0].lower()}{meaning[1:]}' if meaning else ''}."
        )
    else:
        said.append(f"It is still open, in the stage {head.stage}.")
    return tuple(said)


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


def _a(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiou" else f"a {word}"
