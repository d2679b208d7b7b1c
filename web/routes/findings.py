"""The attacker's timeline of one incident: read, added to by hand or from an alert, corrected, withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from fastapi import APIRouter, Request, Response

from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import Invalid, Problem
from incidents import attachments, findings
from incidents import queries as record
from incidents.findings import CONFIDENCES, FindingDraft
from incidents.milestones import PRECISIONS
from incidents.models import Attachment, Finding, Incident
from web import keyset, uploads
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)

MOST_FILES_OFFERED = 200
_FIELDS = (
    "occurred_at",
    "says",
    "precision",
    "source",
    "confidence",
    "technique",
    "entities",
    "evidence",
    "attachment",
)


@dataclass(kw_only=True)
class FindingsPage(Page, template="findings.html", rail="incidents"):
    """What the attacker did, in the order it happened."""

    incident: Incident
    findings: list[Finding]
    files: Sequence[Attachment]
    total: int
    new: bool
    entered: dict[str, str]
    problems: list[Problem]
    precisions: tuple[str, ...]
    confidences: tuple[str, ...]
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class FindingPage(Page, template="finding.html", rail="incidents"):
    """One finding, to be corrected or withdrawn."""

    incident: Incident
    finding: Finding
    files: Sequence[Attachment]
    entered: dict[str, str]
    problems: list[Problem]
    precisions: tuple[str, ...]
    confidences: tuple[str, ...]


@router.get("/incidents/{key}/findings")
def everything(request: Request, key: str, actor: Actor = allowed("incident.read")) -> Response:
    """The attacker's timeline, oldest first."""
    return _list(request, actor, key, {}, [])


def _list(
    request: Request, actor: Actor, key: str, entered: dict[str, str], problems: list[Problem]
) -> Response:
    after = request.query_params.get("after")
    with reading() as session:
        incident = record.incident(session, actor, key)
        found = findings.of_incident(session, actor, incident.id, after=after)
        path = f"/incidents/{incident.key}/findings"
        page = FindingsPage(
            incident=incident, findings=found.items, total=findings.number_in(session, actor, incident.id),
            files=attachments.of_incident(session, actor, incident.id, limit=MOST_FILES_OFFERED),
            new="new" in request.query_params, entered=entered, problems=problems, precisions=PRECISIONS,
            confidences=CONFIDENCES,
            next=keyset.address(path, request.query_params, after=found.next) if found.next else None,
            first=path if after else None,
        )  # fmt: skip
    return show(request, page, status=422 if problems else 200)


def _draft(form: Fields) -> FindingDraft:
    at = form.instant("occurred_at")
    if at is None:
        message = _("Say when it happened, as well as you know.")
        raise Invalid(message, [Problem("occurred_at", message)])
    file = form.get("attachment")
    return FindingDraft(
        occurred_at=at, says=form.get("says"), precision=form.get("precision"), source=form.get("source"),
        confidence=form.get("confidence"), technique=form.get("technique") or None, entities=form.get("entities").split(),
        evidence=form.get("evidence"), attachment_id=UUID(file) if file else None,
    )  # fmt: skip


@router.post("/incidents/{key}/findings")
def add(request: Request, form: Form, key: str, actor: Actor = allowed("incident.edit")) -> Response:
    """Add what the attacker did."""
    with reading() as session:
        incident = record.incident(session, actor, key)
    try:
        draft = _draft(form)
        with unit_of_work() as uow:
            for file in uploads.sent(form, "files")[:1]:
                shows = attachments.add(uow, actor, incident.id, file, note=draft.says[:200])
                uow.flush()
                draft = replace(draft, attachment_id=shows.id)
            findings.add(uow, actor, incident.id, draft)
    except Invalid as error:
        entered = {name: form.get(name) for name in _FIELDS}
        return _list(request, actor, key, entered, error.problems or [Problem("", error.message)])
    return then(f"/incidents/{incident.key}/findings", _("Added to the attacker's timeline."))


@router.post("/alerts/{alert_id}/finding")
def take(alert_id: UUID, actor: Actor = allowed("incident.edit")) -> Response:
    """Take an alert over into the attacker's timeline."""
    with unit_of_work() as uow:
        row = findings.from_alert(uow, actor, alert_id)
        incident = record.incident(uow, actor, row.incident_id)
    return then(f"/incidents/{incident.key}#findings", _("Taken over into the attacker's timeline."))


@router.get("/findings/{finding_id}")
def one(request: Request, finding_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """One finding, with the form that corrects it."""
    return _one(request, actor, finding_id, {}, [])


def _one(
    request: Request, actor: Actor, finding_id: UUID, entered: dict[str, str], problems: list[Problem]
) -> Response:
    with reading() as session:
        row = findings.one(session, actor, finding_id)
        said = {
            "occurred_at": row.occurred_at.strftime("%Y-%m-%d %H:%M:%S"), "says": row.says, "precision": row.precision,
            "source": row.source, "confidence": row.confidence, "technique": row.technique or "", "evidence": row.evidence,
            "entities": " ".join(str(entity["value"]) for entity in row.entities),
            "attachment": str(row.attachment_id or ""),
        }  # fmt: skip
        page = FindingPage(
            incident=record.incident(session, actor, row.incident_id), finding=row,
            files=attachments.of_incident(session, actor, row.incident_id, limit=MOST_FILES_OFFERED),
            entered=entered or said, problems=problems, precisions=PRECISIONS, confidences=CONFIDENCES,
        )  # fmt: skip
    return show(request, page, status=422 if problems else 200)


@router.post("/findings/{finding_id}/correct")
def correct(
    request: Request, form: Form, finding_id: UUID, actor: Actor = allowed("incident.edit")
) -> Response:
    """Say it better; what it said stays in the journal."""
    version = form.get("version")
    try:
        draft = _draft(form)
        with unit_of_work() as uow:
            row = findings.correct(
                uow, actor, finding_id, draft, reason=form.get("reason"),
                version=int(version) if version.isdecimal() else None,
            )  # fmt: skip
            incident = record.incident(uow, actor, row.incident_id)
    except Invalid as error:
        entered = {name: form.get(name) for name in _FIELDS}
        return _one(request, actor, finding_id, entered, error.problems or [Problem("", error.message)])
    return then(f"/incidents/{incident.key}/findings", _("Corrected; the journal keeps what it said before."))


@router.post("/findings/{finding_id}/withdraw")
def withdraw(
    request: Request, form: Form, finding_id: UUID, actor: Actor = allowed("incident.edit")
) -> Response:
    """Take it off the timeline, with the reason."""
    try:
        with unit_of_work() as uow:
            row = findings.withdraw(uow, actor, finding_id, form.get("reason"))
            incident = record.incident(uow, actor, row.incident_id)
    except Invalid as error:
        return _one(request, actor, finding_id, {}, error.problems or [Problem("", error.message)])
    return then(f"/incidents/{incident.key}/findings", _("Withdrawn; the journal keeps it."))
