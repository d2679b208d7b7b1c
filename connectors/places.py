"""Where a value that must go may stand in what products were asked, and what they answered."""

from uuid import UUID

from sqlalchemy import ColumnElement

from connectors.models import ActionCall, Countermeasure, SubjectHold
from core import places
from core.places import Place


def _calls(subject: UUID) -> ColumnElement[bool]:
    return ActionCall.subject_id == str(subject)


def _countermeasures(subject: UUID) -> ColumnElement[bool]:
    return Countermeasure.subject_id == str(subject)


def _holds(subject: UUID) -> ColumnElement[bool]:
    return SubjectHold.subject_id == str(subject)


places.declare(
    Place("calls of products", ActionCall, _calls, "call"),
    Place("countermeasures", Countermeasure, _countermeasures, "countermeasure"),
    Place("stops of the automation", SubjectHold, _holds, by="subject_id"),
)
