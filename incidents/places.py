"""Where a value that must go may stand in the record of an incident itself."""

from typing import Any
from uuid import UUID

from sqlalchemy import literal, select

from core import places
from core.places import Place
from incidents.models import (
    Acceptance,
    Alert,
    Attachment,
    Comment,
    Disclosure,
    Finding,
    FollowUp,
    Incident,
    Milestone,
    Redaction,
    Reporter,
    ReporterMessage,
    ReviewPoint,
    Task,
    Verdict,
)
from notify.models import InboxItem


def _path(subject: UUID) -> Any:
    """Where an incident's pages are, as a pattern."""
    return select(literal("/incidents/") + Incident.key + "%").where(Incident.id == subject).scalar_subquery()


places.declare(
    Place("incident", Incident, lambda subject: Incident.id == subject, "incident"),
    Place("alerts", Alert, lambda subject: Alert.incident_id == subject, "alert"),
    Place("notes", Comment, lambda subject: Comment.incident_id == subject, "comment"),
    Place("tasks", Task, lambda subject: Task.incident_id == subject, "task"),
    Place("findings", Finding, lambda subject: Finding.incident_id == subject, "finding"),
    Place("actions for afterwards", FollowUp, lambda subject: FollowUp.incident_id == subject, "follow_up"),
    Place("points of the review", ReviewPoint, lambda subject: ReviewPoint.incident_id == subject, "review_point"),
    Place("milestones", Milestone, lambda subject: Milestone.incident_id == subject),
    Place("names of files", Attachment, lambda subject: Attachment.incident_id == subject, "attachment"),
    Place("reports of staff", Reporter, lambda subject: Reporter.incident_id == subject, "reporter"),
    Place("messages of reporters", ReporterMessage, lambda subject: ReporterMessage.incident_id == subject),
    Place("inboxes", InboxItem, lambda subject: InboxItem.link.like(_path(subject))),
    Place("what was told outside", Disclosure, lambda subject: Disclosure.incident_id == subject, "disclosure"),
    Place("verdicts", Verdict, lambda subject: Verdict.incident_id == subject, "verdict"),
    Place("ignored alerts", Acceptance, lambda subject: Acceptance.incident_id == subject, "acceptance"),
    Place("redactions", Redaction, lambda subject: Redaction.incident_id == subject),
)  # fmt: skip
