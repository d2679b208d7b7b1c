"""Where a value that must go may stand in runs: inputs, answers of products and people, questions and votes."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select

from core import places
from core.places import Place
from playbooks.models import PlaybookRun, StepAttempt, Vote, Wait


def _runs(subject: UUID) -> ColumnElement[bool]:
    return PlaybookRun.subject_id == str(subject)


def _mine(subject: UUID) -> Any:
    return select(PlaybookRun.id).where(_runs(subject))


def _steps(subject: UUID) -> ColumnElement[bool]:
    return StepAttempt.run_id.in_(_mine(subject))


def _waits(subject: UUID) -> ColumnElement[bool]:
    return Wait.run_id.in_(_mine(subject))


def _votes(subject: UUID) -> ColumnElement[bool]:
    return Vote.wait_id.in_(select(Wait.id).where(_waits(subject)))


places.declare(
    Place("runs of playbooks", PlaybookRun, _runs, "run"),
    Place("steps of playbooks", StepAttempt, _steps, "step"),
    Place("questions of playbooks", Wait, _waits),
    Place("votes", Vote, _votes),
)
