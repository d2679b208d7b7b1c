"""What needs one person now: questions, tasks and overdue actions of theirs, pages nobody has taken, changes that wait for a second person."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import clock, four_eyes
from core.actors import Actor
from core.types import Severity
from incidents import containment, follow_ups
from incidents import queries as record
from incidents.models import Incident
from notify import queries as paging
from playbooks import ports
from playbooks.models import PlaybookRun, Wait
from web import woken
from web.languages import gettext as _
from web.wording import defanged

MOST = 50


@dataclass(frozen=True)
class Need:
    """One thing somebody has to do: what, about what, until when, and where."""

    kind: str  # doubt page again approval task change incident follow_up way
    severity: str
    key: str
    what: str
    about: str
    href: str
    word: str
    until: datetime | None = None
    since: datetime | None = None

    @property
    def order(self) -> tuple[int, int, float]:
        """Worst first, then what ends soonest."""
        kinds = {"doubt": -1, "page": 0, "again": 0, "approval": 1, "task": 2, "change": 3, "incident": 4, "follow_up": 5, "way": 6}
        at = self.until or self.since
        return (-Severity(self.severity).rank, kinds[self.kind], at.timestamp() if at else 0.0)


def of(session: Session, actor: Actor) -> list[Need]:
    """Everything that needs this person, the most urgent first."""
    if actor.user_id is None:
        return []
    found = [
        *_doubts(session, actor), *_pages(session, actor), *_again(session, actor), *_approvals(session, actor), *_tasks(session, actor), *_changes(session, actor),
        *_overdue(session, actor), *_ways(session, actor),
    ]  # fmt: skip
    return sorted(found, key=lambda need: need.order)


def _doubts(session: Session, actor: Actor) -> list[Need]:
    """Containment that may have failed: for the lead, or for everybody who works on incidents where there is none."""
    if not actor.may("incident.edit"):
        return []
    return [
        Need(
            "doubt",
            max(Severity(one.incident.severity), Severity.high, key=lambda severity: severity.rank).value,
            one.incident.key,
            (_("%(what)s was seen again") if one.watched else _("Containment of %(what)s may have failed"))
            % {"what": defanged(one.measure.entity_value, one.measure.entity_type)},
            one.incident.title,
            f"/incidents/{one.incident.key}",
            _("Look"),
            since=one.measure.activity_at,
        )
        for one in containment.doubts(session, actor)
        if one.incident.owner_id in (None, actor.user_id)
    ]


def _pages(session: Session, actor: Actor) -> list[Need]:
    mine = paging.waiting(session, user_id=actor.user_id, limit=MOST)
    ids = [UUID(page.subject_id) for page in mine if page.subject_kind == "incident"]
    known = record.incidents_by_ids(session, actor, ids)
    needs = []
    for page in mine:
        incident = known.get(UUID(page.subject_id)) if page.subject_kind == "incident" else None
        if page.subject_kind == "incident" and incident is None:
            continue
        needs.append(
            Need(
                "page",
                page.severity,
                incident.key if incident else "",
                _("Page: %(title)s")
                % {"title": page.title.removeprefix(f"{incident.key} ") if incident else page.title},
                _("nobody has acknowledged it"),
                f"/pages/{page.id}",
                _("Look"),
                since=page.created_at,
            )
        )
    return needs


def _again(session: Session, actor: Actor) -> list[Need]:
    """What this person acknowledged and nobody has worked on since: it rings again, and they should know before it does."""
    held = [(page, woken.rings_again_at(session, page)) for page in paging.acknowledged_by(session, actor.id, MOST)]
    rings = [(page, at) for page, at in held if at is not None and page.subject_kind == "incident"]
    known = record.incidents_by_ids(session, actor, [UUID(page.subject_id) for page, _at in rings])
    return [
        Need(
            "again", page.severity, incident.key, _("It rings again: you acknowledged it, and nobody has done anything since"),
            incident.title, f"/incidents/{incident.key}", _("Take it"), until=at, since=page.acknowledged_at,
        )
        for page, at in rings
        if (incident := known.get(UUID(page.subject_id))) is not None
    ]  # fmt: skip


def _approvals(session: Session, actor: Actor) -> list[Need]:
    if not actor.may("approval.answer"):
        return []
    rows = session.execute(
        select(Wait, PlaybookRun)
        .join(PlaybookRun, PlaybookRun.id == Wait.run_id)
        .where(Wait.kind == "approval", Wait.answered_at.is_(None), Wait.closed_at.is_(None))
        .order_by(Wait.created_at)
        .limit(MOST)
    ).all()
    known = _incidents(session, actor, [run for _wait, run in rows])
    port = ports.current()
    needs = []
    for wait, run in rows:
        incident = known.get(run.subject_id)
        if incident is None and (
            run.subject_kind == "incident" or not port.visible(session, actor, run.subject)
        ):
            continue
        if not port.may_answer(session, actor, list(wait.detail.get("from", [])), run.subject):
            continue
        needs.append(
            Need(
                "approval",
                incident.severity if incident else "unknown",
                incident.key if incident else "",
                _("Approve: %(ask)s") % {"ask": wait.detail.get("ask", "")},
                run.name,
                f"/approvals/{wait.id}",
                _("Look"),
                until=wait.due_at,
                since=wait.created_at,
            )
        )
    return needs


def _tasks(session: Session, actor: Actor) -> list[Need]:
    rows = record.tasks(session, actor, mine=True, roles=actor.roles, limit=MOST).items
    known = record.incidents_by_ids(session, actor, [task.incident_id for task in rows])
    return [
        Need(
            "task",
            known[task.incident_id].severity,
            known[task.incident_id].key,
            _("Task: %(title)s") % {"title": task.title},
            known[task.incident_id].title,
            f"/incidents/{known[task.incident_id].key}#task-{task.id}",
            _("Open"),
            until=task.due_at,
            since=task.created_at,
        )
        for task in rows
        if task.incident_id in known
    ]


def _changes(session: Session, actor: Actor) -> list[Need]:
    """What somebody proposes to loosen, for those who could agree."""
    if not actor.may("change.agree"):
        return []
    return [
        Need(
            "change",
            "medium",
            "",
            _("Agree or refuse: %(what)s") % {"what": change.says},
            _("proposed by %(who)s") % {"who": change.actor_name},
            f"/settings/changes/{change.id}",
            _("Look"),
            until=change.due_at,
            since=change.created_at,
        )
        for change in four_eyes.waiting(session)
        if change.actor_id != actor.id
    ]


def _overdue(session: Session, actor: Actor) -> list[Need]:
    """Their own actions after incidents that should have been done by now; not as loud as the incident was."""
    rows = follow_ups.overdue_of(session, actor, clock.now(), MOST)
    known = record.incidents_by_ids(session, actor, [row.incident_id for row in rows])
    return [
        Need(
            "follow_up", Severity.low.value, known[row.incident_id].key, _("Overdue: %(title)s") % {"title": row.title},
            known[row.incident_id].title, f"/incidents/{known[row.incident_id].key}/review#follow-up-{row.id}", _("Open"),
            until=row.due_at, since=row.created_at,
        )
        for row in rows
        if row.incident_id in known
    ]  # fmt: skip


def _ways(session: Session, actor: Actor) -> list[Need]:
    """Whoever is on call should know that each of their ways reaches them."""
    ways = [one for one in paging.contact_methods(session, actor.user_id) if one.channel != "inbox"]  # it needs no proof
    unsure = [one for one in ways if one.verified_at is None]
    if not unsure or all(rota.user_id != actor.user_id for rota in paging.on_call_now(session, clock.now())):
        return []
    what = _("You are on call: confirm how you are reached")
    shown = ", ".join(one.shown for one in unsure)
    return [
        Need("way", "low", "", what, shown, "/profile#contacts", _("Confirm"), since=unsure[0].created_at)
    ]


def _incidents(session: Session, actor: Actor, runs: list[PlaybookRun]) -> dict[str, Incident]:
    ids = [UUID(run.subject_id) for run in runs if run.subject_kind == "incident"]
    return {str(found): row for found, row in record.incidents_by_ids(session, actor, ids).items()}
