"""What the response did for an incident: calls of products, what they put in place, messages, playbooks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.entities import defang
from connectors.models import IN_FORCE, ActionCall
from connectors.models import Countermeasure as CountermeasureRow
from core import bulk
from core.actors import ActorKind
from core.types import Ref
from incidents.models import ReporterMessage
from notify import queries as notify_queries
from playbooks.models import PlaybookRun, StepAttempt
from reports.model import Action, Countermeasure, Point, Run
from reports.told_model import Notice
from reports.telling import clipped

MOST_STEPS = 5000

__all__ = [
    "IN_FORCE",
    "Action",
    "Countermeasure",
    "actions",
    "countermeasures",
    "notices",
    "runs",
]


def actions(
    session: Session, subject: Ref, names: Mapping[UUID, str], review: Sequence[Point] = ()
) -> tuple[Action, ...]:
    """Every call made (or refused, or held) for the subject, oldest first, with what became of it; its side effects are
    those points of the review that name it.
    """
    made = select(CountermeasureRow).where(
        CountermeasureRow.subject_kind == subject.kind, CountermeasureRow.subject_id == subject.id
    )
    put: dict[UUID, list[CountermeasureRow]] = {}
    for row in session.scalars(made):
        put.setdefault(row.call_id, []).append(row)
    noted = [point for point in review if point.section == "side"]
    query = (
        select(ActionCall)
        .where(ActionCall.subject_kind == subject.kind, ActionCall.subject_id == subject.id)
        .order_by(ActionCall.id)
    )
    calls = list(session.scalars(query))
    parents = {call.parent_id for call in calls}
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
            reason=call.reason,
            rail=call.rail,
            verified_at=_last([row.verified_at for row in put.get(call.id, ())]),
            undone_at=_last([row.removed_at for row in put.get(call.id, ())]),
            side_effects=tuple(point.says for point in noted if (call.action or call.asked) in point.result),
        )
        for call in calls
        if call.id not in parents
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
    runs = list(session.scalars(query))
    chose: dict[UUID, list[tuple[datetime, str, str, str]]] = {}
    tried = select(StepAttempt).where(bulk.among(session, StepAttempt.run_id, [run.id for run in runs]))
    for step in session.scalars(tried.order_by(StepAttempt.id).limit(MOST_STEPS)) if runs else ():
        if "chosen" in step.detail:
            branch = step.detail.get("name") or step.detail["chosen"]
            told = (step.started_at, step.path, clipped(branch, 120), clipped(step.detail.get("why") or "", 300))
            chose.setdefault(step.run_id, []).append(told)
    return tuple(
        Run(
            run.name, run.mode, run.state, run.started_at or run.created_at, run.ended_at, tuple(chose.get(run.id, ()))
        )
        for run in runs
    )  # fmt: skip


def _last(moments: Sequence[datetime | None]) -> datetime | None:
    """The last of them, once all are there: a call that put two things in place is undone when both are."""
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def _name(approver: str, names: Mapping[UUID, str]) -> str:
    try:
        return names.get(UUID(approver), approver)
    except ValueError:
        return approver
