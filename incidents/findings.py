"""The attacker's timeline: what they did and when it happened, entered by people, corrected and withdrawn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, tuple_
from sqlalchemy.orm import Session

from connectors.entities import classify
from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact, Verb
from core.types import Ref
from incidents import facts
from incidents.milestones import PRECISIONS
from incidents.models import Alert, Attachment, Finding, Incident
from incidents.paging import MAX_PAGE, Page, cursor, read_cursor
from incidents.permissions import EDIT
from incidents.visibility import alerts_visible_to, belongs_to_visible, visible_to

CONFIDENCES = ("high", "medium", "low")
MOST = 2000
"""So many findings one incident may have."""
MOST_ENTITIES = 50
_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")
_AHEAD = timedelta(minutes=10)  # so much may the clocks of others be fast


@dataclass(frozen=True)
class FindingDraft:
    """What is known of one thing the attacker did.

    occurred_at: when it happened, as well as it is known; `precision` says how well: exact, minute, hour, day, estimated.
    source: what showed it (“proxy log of fw-2”). confidence: high, medium or low. technique: of ATT&CK, or None.
    entities: values (addresses, hosts, users, hashes) as text, whose types are told from them, or as (type, value).
    evidence: where it can be looked up, in words; attachment_id: a file of the incident that shows it.
    """

    occurred_at: datetime
    says: str
    precision: str = "minute"
    source: str = ""
    confidence: str = "medium"
    technique: str | None = None
    entities: Sequence[str | tuple[str, str]] = ()
    evidence: str = ""
    attachment_id: UUID | None = None


def add(uow: UnitOfWork, actor: Actor, incident_id: UUID, draft: FindingDraft) -> Finding:
    """Add a finding to an incident, open or closed. Raises NotFound, Invalid with every problem."""
    permissions.require(actor, EDIT.name)
    _incident(uow, actor, incident_id)
    return _add(uow, actor, incident_id, draft, None)


def from_alert(uow: UnitOfWork, actor: Actor, alert_id: UUID) -> Finding:
    """Take an alert of an incident over as a finding, as it was first seen; the same alert again is the same finding.

    Raises NotFound when there is no such alert, Invalid when it belongs to no incident.
    """
    permissions.require(actor, EDIT.name)
    alert = uow.scalar(select(Alert).where(Alert.id == alert_id, alerts_visible_to(actor)))
    if alert is None:
        raise NotFound("There is no such alert, or you may not see it.")
    if alert.incident_id is None:
        raise Invalid("This alert belongs to no incident; add it to one first.")
    _incident(uow, actor, alert.incident_id)
    known = uow.scalar(
        select(Finding).where(
            Finding.incident_id == alert.incident_id, Finding.alert_id == alert.id, Finding.withdrawn_at.is_(None)
        )
    )  # fmt: skip
    if known is not None:
        return known
    at = alert.occurred_at if alert.count == 1 and alert.occurred_at else alert.first_seen
    draft = FindingDraft(
        occurred_at=min(at, uow.now), says=alert.title, precision="exact", source=alert.source, confidence="medium",
        technique=next((name for name in alert.techniques if _TECHNIQUE.fullmatch(name)), None),
        entities=[(str(one["type"]), str(one["value"])) for one in alert.entities[:MOST_ENTITIES]],
    )  # fmt: skip
    return _add(uow, actor, alert.incident_id, draft, alert.id)


def correct(
    uow: UnitOfWork,
    actor: Actor,
    finding_id: UUID,
    draft: FindingDraft,
    *,
    reason: str = "",
    version: int | None = None,
) -> Finding:
    """Say it better; what it said before stays in the journal. Raises NotFound, Conflict when it was withdrawn or, with
    `version`, when somebody else was faster; Invalid.
    """
    permissions.require(actor, EDIT.name)
    row = _locked(uow, actor, finding_id)
    if version is not None and version != row.version:
        raise Conflict("Somebody else has corrected this meanwhile; look at what it says now.")
    before = _said(row)
    _set(uow, row, row.incident_id, draft)
    if _said(row) == before:
        return row
    row.changed_at, row.changed_by = uow.now, actor.name
    now = _said(row)
    changed = {name: {"from": before[name], "to": now[name]} for name in now if now[name] != before[name]}
    told = {"title": row.says, "changed": changed, **({"reason": reason} if reason else {})}
    _tell(uow, actor, row, facts.FINDING_CORRECTED, {"fields": sorted(changed)}, told)
    return row


def withdraw(uow: UnitOfWork, actor: Actor, finding_id: UUID, reason: str) -> Finding:
    """Take a finding back, with the reason; it is no longer told, its row and the journal remember it."""
    permissions.require(actor, EDIT.name)
    row = _locked(uow, actor, finding_id)
    if not reason.strip():
        raise Invalid("Say why it is withdrawn.", [Problem("reason", "A reason is needed.")])
    row.withdrawn_at, row.withdrawn_by, row.withdrawn_because = uow.now, actor.name, reason[:2000]
    _tell(uow, actor, row, facts.FINDING_WITHDRAWN, {}, {"title": row.says, "reason": reason[:2000]})
    return row


def of_incident(
    session: Session, actor: Actor, incident_id: UUID, *, after: str | None = None, limit: int = 50
) -> Page[Finding]:
    """What the attacker did, in the order it happened; withdrawn findings are left out. Raises Invalid for a foreign cursor."""
    limit = max(1, min(limit, MAX_PAGE))
    query = select(Finding).where(
        Finding.incident_id == incident_id,
        Finding.withdrawn_at.is_(None),
        belongs_to_visible(actor, Finding.incident_id),
    )
    if after:
        at, of = read_cursor(after)
        place = tuple_(literal(at, Finding.occurred_at.type), literal(of, Finding.id.type))
        query = query.where(tuple_(Finding.occurred_at, Finding.id) > place)
    rows = list(session.scalars(query.order_by(Finding.occurred_at, Finding.id).limit(limit + 1)))
    more = cursor(rows[limit - 1].occurred_at, rows[limit - 1].id) if len(rows) > limit else None
    return Page(rows[:limit], more)


def every(session: Session, actor: Actor, incident_id: UUID) -> list[Finding]:
    """All of them, for the report."""
    found: list[Finding] = []
    place: str | None = None
    while True:
        part = of_incident(session, actor, incident_id, after=place, limit=MAX_PAGE)
        found += part.items
        place = part.next
        if place is None:
            return found


def number_in(session: Session, actor: Actor, incident_id: UUID) -> int:
    """How many findings are in force."""
    query = (
        select(func.count())
        .select_from(Finding)
        .where(
            Finding.incident_id == incident_id,
            Finding.withdrawn_at.is_(None),
            belongs_to_visible(actor, Finding.incident_id),
        )
    )
    return session.scalar(query) or 0


def one(session: Session, actor: Actor, finding_id: UUID) -> Finding:
    """One finding, withdrawn or not. Raises NotFound."""
    row = session.scalar(
        select(Finding).where(Finding.id == finding_id, belongs_to_visible(actor, Finding.incident_id))
    )
    if row is None:
        raise NotFound("There is no such finding, or you may not see it.")
    return row


def taken(session: Session, incident_id: UUID) -> set[UUID]:
    """The alerts of an incident that are on the attacker's timeline; the caller has made sure that it may be seen."""
    query = select(Finding.alert_id).where(
        Finding.incident_id == incident_id, Finding.withdrawn_at.is_(None), Finding.alert_id.is_not(None)
    )
    return {of for of in session.scalars(query) if of is not None}


def _add(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, draft: FindingDraft, alert_id: UUID | None
) -> Finding:
    if number_in(uow, actor, incident_id) >= MOST:
        raise Invalid(f"An incident has at most {MOST:,} findings; put several of one kind into one.")
    row = Finding(
        id=new_id(), created_at=uow.now, incident_id=incident_id, alert_id=alert_id, added_by=actor.name
    )
    _set(uow, row, incident_id, draft)
    uow.add(row)
    uow.flush()
    _tell(
        uow,
        actor,
        row,
        facts.FINDING_ADDED,
        {"from_alert": alert_id is not None},
        {"title": row.says, **_said(row)},
    )
    return row  # fmt: skip


def _incident(uow: UnitOfWork, actor: Actor, incident_id: UUID) -> Incident:
    query = select(Incident).where(Incident.id == incident_id, visible_to(actor))
    incident = uow.scalar(query.with_for_update())  # the same alert twice at once is one finding
    if incident is None:
        raise NotFound("There is no such incident, or you may not see it.")
    return incident


def _locked(uow: UnitOfWork, actor: Actor, finding_id: UUID) -> Finding:
    query = select(Finding).where(Finding.id == finding_id, belongs_to_visible(actor, Finding.incident_id))
    row = uow.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise NotFound("There is no such finding, or you may not see it.")
    if row.withdrawn_at is not None:
        raise Conflict(f"{row.withdrawn_by} has withdrawn this finding; add another one.")
    return row


def _set(uow: UnitOfWork, row: Finding, incident_id: UUID, draft: FindingDraft) -> None:
    problems = []
    says = " ".join(draft.says.replace("\x00", "\ufffd").split())
    if not says:
        problems.append(Problem("says", "Say what the attacker did."))
    if draft.occurred_at > uow.now + _AHEAD:
        problems.append(Problem("occurred_at", "This is still to come; a finding tells what has happened."))
    if draft.precision not in PRECISIONS:
        problems.append(Problem("precision", f"It must be one of {', '.join(PRECISIONS)}."))
    if draft.confidence not in CONFIDENCES:
        problems.append(Problem("confidence", f"It must be one of {', '.join(CONFIDENCES)}."))
    technique = (draft.technique or "").strip().upper() or None
    if technique is not None and not _TECHNIQUE.fullmatch(technique):
        problems.append(Problem("technique", "A technique of ATT&CK reads T1059 or T1059.001."))
    if len(draft.entities) > MOST_ENTITIES:
        problems.append(Problem("entities", f"At most {MOST_ENTITIES} values."))
    if draft.attachment_id is not None:
        mine = select(Attachment.id).where(
            Attachment.id == draft.attachment_id, Attachment.incident_id == incident_id
        )
        if uow.scalar(mine) is None:
            problems.append(Problem("attachment_id", "This incident has no such file."))
    if problems:
        raise Invalid(problems[0].message, problems)
    row.occurred_at, row.precision, row.confidence, row.technique = (
        draft.occurred_at, draft.precision, draft.confidence, technique
    )  # fmt: skip
    row.says, row.source, row.evidence = (
        says[:2000],
        draft.source.strip()[:200],
        draft.evidence.strip()[:2000],
    )
    row.entities, row.attachment_id = _entities(draft.entities), draft.attachment_id


def _entities(values: Sequence[str | tuple[str, str]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for given in values:
        kind, text = given if isinstance(given, tuple) else ("", given.strip()[:2000])
        if text:
            of, told = (kind, text) if kind else classify(text) or ("other", text)
            found[of, told] = {"type": of, "value": told}
    return list(found.values())


def _said(row: Finding) -> dict[str, Any]:
    return {
        "says": row.says, "occurred_at": row.occurred_at.isoformat(), "precision": row.precision, "source": row.source,
        "confidence": row.confidence, "technique": row.technique, "evidence": row.evidence,
        "entities": [entity["value"] for entity in row.entities],
        "attachment_id": str(row.attachment_id) if row.attachment_id else None,
    }  # fmt: skip


def _tell(
    uow: UnitOfWork, actor: Actor, row: Finding, verb: Verb, body: dict[str, Any], data: dict[str, Any]
) -> None:
    uow.flush()
    refs = [Ref("incident", str(row.incident_id)), row.ref]
    refs += [Ref("alert", str(row.alert_id))] if row.alert_id else []
    journal.record(uow, actor, Fact(verb, tuple(refs), body, data))
