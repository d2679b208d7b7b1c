"""What playbooks and products are doing about something, in the shape pages show it."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from core.types import Ref


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


def runs_of(session: Session, incident_id: UUID) -> list[RunTold]:
    """The runs of an incident, newest first."""
    del session, incident_id
    return []


def actions_of(session: Session, subject: Ref) -> list[ActionTold]:
    """Calls about a subject, newest first."""
    del session, subject
    return []


def measures_of(session: Session, subject: Ref) -> list[Measure]:
    """Countermeasures of a subject, active ones first."""
    del session, subject
    return []


def startable(session: Session) -> list[tuple[str, str]]:
    """Playbooks a person may start on an incident: key and name."""
    del session
    return []
