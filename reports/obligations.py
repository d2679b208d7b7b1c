"""What is owed and was told to people outside: playbooks' questions about it with their answers, and what people noted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.entities import defang
from core import bulk
from core.actors import Actor
from incidents import disclosing, queries
from incidents.disclosing import Kind
from incidents.models import Observable as Value
from incidents.models import Task
from playbooks.models import StepAttempt
from reports.learned import ALL
from reports.model import Decision
from reports.told_model import Obligation, Shared

STEP = "obligations"
"""A task of a step with this id asks whether somebody must be told, in whatever playbook."""
_STATES = {
    "not_applicable": "does not apply", "acknowledged": "received", "sent": "sent", "overdue": "overdue", "due": "to be sent",
}  # fmt: skip
_APPLIES = {"yes": "applies", "no": "does not apply", "not sure": "not decided"}


def of(
    session: Session, actor: Actor, incident_id: UUID, names: Mapping[UUID, str], now: datetime
) -> tuple[Obligation, ...]:
    """Each question that was asked, with what was answered, by whom and why (what nobody has answered is not decided),
    and each notice that a person noted, due or sent, and those that do not apply.
    """
    return (*_asked(session, actor, incident_id, names), *_noted(session, actor, incident_id, now))


def open_ends(owed: Sequence[Obligation]) -> tuple[str, ...]:
    """What is still to be told to somebody, or to be decided."""
    return tuple(
        f"{'Overdue: to be told' if one.state == 'overdue' else 'Not decided' if one.state == 'not decided' else 'To be told'}: "
        + (f"{one.to}: {one.question}" if one.to else one.question)
        for one in owed
        if one.state in ("overdue", "not decided", "to be sent")
    )


def shared(session: Session, actor: Actor, incident_id: UUID) -> tuple[Shared, ...]:
    """Indicators that were, or are to be, shared with somebody, oldest first."""
    rows = [row for row in disclosing.of_incident(session, actor, incident_id) if row.kind == Kind.indicators]
    wanted = [row.observable_id for row in rows if row.observable_id is not None]
    query = select(Value).where(bulk.among(session, Value.id, wanted))
    values = {one.id: defang(one.type, one.value) for one in session.scalars(query)} if wanted else {}
    return tuple(
        Shared(
            row.to_whom, values.get(row.observable_id, ALL) if row.observable_id else row.what or ALL, row.tlp, row.sent_at,
            row.receipt_at, row.reference, row.changed_by or row.added_by,
        )
        for row in rows
        if row.applies
    )  # fmt: skip


def _noted(session: Session, actor: Actor, incident_id: UUID, now: datetime) -> list[Obligation]:
    return [
        Obligation(
            question=row.what or "To be told", state=_STATES[disclosing.state(row, now)], because=row.because,
            by=row.changed_by or row.added_by, at=row.changed_at or row.created_at, due_at=row.due_at, sent_at=row.sent_at,
            receipt_at=row.receipt_at, reference=row.reference, to=row.to_whom, tlp=row.tlp,
        )
        for row in disclosing.of_incident(session, actor, incident_id)
        if row.kind == Kind.notice or not row.applies
    ]  # fmt: skip


def _asked(
    session: Session, actor: Actor, incident_id: UUID, names: Mapping[UUID, str]
) -> tuple[Obligation, ...]:
    tasks = [
        task
        for task in queries.tasks(session, actor, incident=incident_id, status=None, limit=200).items
        if task.origin_kind == "step" and task.origin_id
    ]
    steps = {task.id: step for task in tasks if (step := _uuid(task.origin_id or "")) is not None}
    paths: dict[UUID, str] = {}
    if steps:
        asked = select(StepAttempt.id, StepAttempt.path).where(
            bulk.among(session, StepAttempt.id, list(steps.values()))
        )
        paths = {row.id: row.path for row in session.execute(asked)}
    return tuple(
        _told(task, names)
        for task in reversed(tasks)
        if task.id in steps and _last(paths.get(steps[task.id], "")) == STEP
    )


def decided(owed: Sequence[Obligation]) -> tuple[Decision, ...]:
    """Those that were answered, for the decision log."""
    return tuple(
        Decision(
            one.at, f"{one.to}: {one.question}" if one.to else one.question, one.state, one.by, one.because or None,
            one.options or ("applies", "does not apply"),
        )
        for one in owed
        if one.at is not None and one.state != "not decided" and (not one.to or one.state == "does not apply")
    )  # fmt: skip


def _told(task: Task, names: Mapping[UUID, str]) -> Obligation:
    answers = task.answers or {}
    given = str(answers.get("answer", "")).strip()
    return Obligation(
        question=task.title,
        state=_APPLIES.get(given.casefold(), given or "not decided"),
        because=str(answers.get("because") or task.reason or ""),
        by=task.ended_by or (names.get(task.assignee_id, "") if task.assignee_id else ""),
        at=task.ended_at,
        due_at=task.due_at,
        options=choices(task.form, "answer"),
    )


def choices(form: Mapping[str, Any] | None, field: str) -> tuple[str, ...]:
    """What a field of a task's form could be answered with; nothing when any words would do."""
    asked = ((form or {}).get("properties") or {}).get(field) or {}
    return tuple(str(one) for one in asked.get("enum") or ())


def _last(path: str) -> str:
    return path.replace("/", ".").rpartition(".")[2]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.partition(":")[0])
    except ValueError:
        return None
