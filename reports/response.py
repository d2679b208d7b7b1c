"""What the response did for an incident: calls of products, what they put in place, decisions, playbooks."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.entities import defang
from connectors.models import IN_FORCE, ActionCall
from connectors.models import Countermeasure as CountermeasureRow
from core import bulk
from core.actors import ActorKind
from core.journal import Entry
from core.types import Ref
from incidents.models import ReporterMessage
from notify import queries as notify_queries
from playbooks.models import PlaybookRun
from reports.model import Action, Countermeasure, Decision, Notice, Run
from reports.telling import clipped

__all__ = [
    "IN_FORCE",
    "Action",
    "Countermeasure",
    "actions",
    "countermeasures",
    "decisions",
    "notices",
    "runs",
]

_DECIDING = {
    "incident.confirmation_changed": "Is this a security incident?",
    "incident.closed": "What was it, and may it be closed?",
    "incident.severity_raised": "How severe is it?",
}


def actions(session: Session, subject: Ref, names: Mapping[UUID, str]) -> tuple[Action, ...]:
    """Every call made (or refused, or held) for the subject, oldest first."""
    query = (
        select(ActionCall)
        .where(ActionCall.subject_kind == subject.kind, ActionCall.subject_id == subject.id)
        .order_by(ActionCall.id)
    )
    return tuple(
        Action(
            at=call.called_at or call.created_at,
            action=call.action or call.asked,
            target=", ".join(defang(kind, value) for kind, value in call.entities) or "—",
            effect=call.effect,
            state=call.state,
            asked_by=call.actor_name,
            approved_by=tuple(_name(approver, names) for approver in call.approved_by),
            ended_at=call.finished_at,
            answer=call.note,
            automatic=call.actor_kind != ActorKind.person,
        )
        for call in session.scalars(query)
        if call.parent_id is not None or call.action is not None
    )


def countermeasures(session: Session, subject: Ref) -> tuple[Countermeasure, ...]:
    """What was put in place for the subject, oldest first."""
    query = (
        select(CountermeasureRow)
        .where(CountermeasureRow.subject_kind == subject.kind, CountermeasureRow.subject_id == subject.id)
        .order_by(CountermeasureRow.id)
    )
    return tuple(
        Countermeasure(
            what=row.action,
            target=defang(row.entity_type, row.entity_value),
            state=row.state,
            since=row.created_at,
            until=row.removed_at or row.expires_at,
            review_at=row.review_at,
            verified_at=row.verified_at,
            removed_at=row.removed_at,
            seen_after=row.activity_at,
            note=row.note,
        )
        for row in session.scalars(query)
    )


def decisions(entries: Sequence[Entry]) -> tuple[Decision, ...]:
    """What people decided, from the journal: answers to a playbook's questions, confirmation, closing."""
    found = []
    for entry in entries:
        said = {**entry.body, **(entry.data or {})}
        if entry.verb == "step.answered" and entry.actor_kind == ActorKind.person:
            question = str(
                said.get("question") or said.get("ask") or said.get("step") or "A step of the playbook"
            )
            answer = (
                said.get("decision")
                or said.get("answer")
                or ("approved" if said.get("approve") else "refused")
            )
        elif entry.verb == "step.decided_alone":
            question, answer = str(said.get("ask") or "A step of the playbook"), "approved, decided alone"
        elif entry.verb in _DECIDING and entry.actor_kind == ActorKind.person:
            question = _DECIDING[entry.verb]
            answer = said.get("disposition") or said.get("to") or entry.says
        else:
            continue
        because = said.get("because") or said.get("reason") or said.get("summary")
        found.append(
            Decision(
                entry.at,
                question,
                str(answer).replace("_", " "),
                entry.actor_name,
                str(because) if because else None,
            )
        )
    return tuple(found)


def notices(session: Session, subject: Ref, names: Mapping[UUID, str]) -> tuple[Notice, ...]:
    """Messages about the subject to people and places, oldest first; not those to reporters, nor into our own inboxes."""
    sent = [row for row in notify_queries.messages(session, [subject], limit=500) if row.channel != "inbox"]
    wrote = select(ReporterMessage.sent_as).where(
        bulk.among(session, ReporterMessage.sent_as, [row.id for row in sent])
    )
    to_reporters = set(session.scalars(wrote))
    return tuple(
        Notice(
            row.sent_at or row.created_at, names.get(row.user_id, row.shown) if row.user_id else row.shown, row.channel,
            clipped(row.title, 200), str(row.state), row.actor_name,
        )
        for row in sorted(sent, key=lambda one: one.id)
        if row.id not in to_reporters
    )  # fmt: skip


def runs(session: Session, subject: Ref) -> tuple[Run, ...]:
    """The playbooks that ran for the subject, oldest first."""
    query = (
        select(PlaybookRun)
        .where(PlaybookRun.subject_kind == subject.kind, PlaybookRun.subject_id == subject.id)
        .order_by(PlaybookRun.id)
    )
    return tuple(
        Run(run.name, run.mode, run.state, run.started_at or run.created_at, run.ended_at)
        for run in session.scalars(query)
    )


def _name(approver: str, names: Mapping[UUID, str]) -> str:
    try:
        return names.get(UUID(approver), approver)
    except ValueError:
        return approver
