"""What playbooks and products are doing about something, in the shape pages show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import hand_measures
from connectors.models import IN_FORCE, ActionCall, Countermeasure
from core.types import Ref
from playbooks import storing
from playbooks.models import Playbook, PlaybookRun, StepAttempt, Wait
from web import flow

MOST_FOUND = 4
"""Of what a product answered, so many values stand on the line of what it was asked about."""


@dataclass(frozen=True)
class StepTold:
    """One step of a run as a line of a checklist."""

    path: str
    name: str
    kind: str
    state: str
    tone: str
    glyph: str
    depth: int
    note: str = ""
    href: str = ""


@dataclass(frozen=True)
class RunTold:
    """A run: which playbook, where it stands, its steps in reading order, and what comes next."""

    id: UUID
    playbook: str
    name: str
    mode: str
    state: str
    since: datetime
    steps: list[StepTold] = field(default_factory=list)
    ahead: int = 0
    reason: str = ""


@dataclass(frozen=True)
class ActionTold:
    """A call of a product: what, with what, and what came of it."""

    id: UUID
    action: str
    effect: str
    state: str
    at: datetime
    inputs: list[tuple[str, str]]
    why: str
    instance: str
    who: str
    about: tuple[tuple[str, str], ...]  # (type, value)
    found: list[tuple[str, str]]


@dataclass(frozen=True)
class Measure:
    """A countermeasure on the incident: what holds, since when, until when."""

    id: UUID
    title: str
    kind: str
    value: str
    state: str
    since: datetime | None
    until: datetime | None
    review_at: datetime | None
    can_undo: bool
    note: str


def run_told(session: Session, run: PlaybookRun, waits: Sequence[Wait]) -> RunTold:
    """A run with its steps as a checklist; a step that waits for agreement links to its question."""
    plan = storing.plan_of(session, run.version_id)
    query = select(StepAttempt).where(StepAttempt.run_id == run.id).order_by(StepAttempt.started_at)
    attempts = flow.latest(session.scalars(query))
    lines = flow.checklist(flow.tree(plan, attempts))
    asked = {str(wait.attempt_id): wait.id for wait in waits if wait.kind == "approval"}
    questions = {
        path: f"/approvals/{asked[str(one.id)]}"
        for path, tried in attempts.items()
        for one in tried
        if str(one.id) in asked
    }
    reached = [line for line in lines if line.state]
    ahead = [line for line in lines if not line.state]
    over = run.ended_at is not None
    steps = [
        StepTold(
            path=line.path,
            name=line.name,
            kind=line.kind if line.path not in questions else "approve",
            state=line.state,
            tone=line.tone,
            glyph=line.glyph,
            depth=line.depth,
            note=line.note,
            href=questions.get(line.path, ""),
        )
        for line in reached + ([] if over else ahead[:3])
    ]
    return RunTold(
        id=run.id,
        playbook=run.playbook,
        name=run.name,
        mode=run.mode,
        state=run.state,
        since=run.created_at,
        steps=steps,
        ahead=0 if over else max(0, len(ahead) - 3),
        reason=run.reason or "",
    )


def runs_of(session: Session, subject: Ref, limit: int = 10) -> list[RunTold]:
    """The runs about a subject, newest first."""
    query = (
        select(PlaybookRun)
        .where(PlaybookRun.subject_kind == subject.kind, PlaybookRun.subject_id == subject.id)
        .order_by(PlaybookRun.created_at.desc())
        .limit(limit)
    )
    runs = list(session.scalars(query))
    waits = open_waits(session, [run.id for run in runs])
    return [run_told(session, run, waits.get(run.id, [])) for run in runs]


def open_waits(session: Session, runs: Sequence[UUID]) -> dict[UUID, list[Wait]]:
    """What these runs wait for now."""
    found: dict[UUID, list[Wait]] = {}
    if not runs:
        return found
    query = select(Wait).where(Wait.run_id.in_(runs), Wait.answered_at.is_(None), Wait.closed_at.is_(None))
    for wait in session.scalars(query.order_by(Wait.created_at)):
        found.setdefault(wait.run_id, []).append(wait)
    return found


def actions_of(session: Session, subject: Ref, limit: int = 30) -> list[ActionTold]:
    """Calls about a subject, newest first."""
    query = (
        select(ActionCall)
        .where(ActionCall.subject_kind == subject.kind, ActionCall.subject_id == subject.id)
        .order_by(ActionCall.id.desc())
        .limit(limit)
    )
    return [action_told(call) for call in session.scalars(query)]


def action_told(call: ActionCall) -> ActionTold:
    """A call as a line."""
    return ActionTold(
        id=call.id,
        action=call.action or call.asked,
        effect=call.effect,
        state=call.state,
        at=call.created_at,
        inputs=flow.values(call.inputs),
        why=call.note or call.reason or "",
        instance=call.instance or "",
        who=call.actor_name,
        about=tuple((kind, value) for kind, value in call.entities),
        found=_short(call.output),
    )


def by_value(calls: Sequence[ActionTold], most: int = 3) -> dict[tuple[str, str], list[ActionTold]]:
    """The latest of these calls by the value that they were about: (type, value)."""
    found: dict[tuple[str, str], list[ActionTold]] = {}
    for call in calls:
        for value in call.about:
            if len(known := found.setdefault(value, [])) < most:
                known.append(call)
    return found


def _short(output: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What a product answered, as far as it fits a line: numbers and words, of a list how many."""
    told = []
    for name, value in (output or {}).items():
        if isinstance(value, (list, tuple)):
            told.append((name, str(len(value))))
        elif isinstance(value, (str, int, float)) and str(value) and len(str(value)) <= 60:
            told.append((name, str(value)))
    return told[:MOST_FOUND]


def measures_of(session: Session, subject: Ref) -> list[Measure]:
    """Countermeasures of a subject, those in force first."""
    query = select(Countermeasure).where(
        Countermeasure.subject_kind == subject.kind, Countermeasure.subject_id == subject.id
    )
    rows = sorted(session.scalars(query), key=lambda row: (row.state not in IN_FORCE, row.created_at))
    return [
        Measure(
            id=row.id,
            title=hand_measures.title_of(row.action),
            kind=row.entity_type,
            value=row.entity_value,
            state=row.state,
            since=row.verified_at or row.created_at,
            until=row.expires_at,
            review_at=row.review_at,
            can_undo=row.state in IN_FORCE,
            note=row.note or "",
        )
        for row in rows
    ]


def startable(session: Session) -> list[tuple[str, str]]:
    """Playbooks a person may start on an incident: key and name."""
    query = select(Playbook.key, Playbook.name).where(Playbook.removed_at.is_(None)).order_by(Playbook.name)
    return [(row.key, row.name) for row in session.execute(query)]
