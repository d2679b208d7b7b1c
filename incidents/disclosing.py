"""What is told to people outside: notices that are owed or not, by when, sent when under which number, and shared indicators."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.ids import new_id
from core.journal import Fact, Verb
from core.types import Ref
from incidents import facts, observables
from incidents.disclosure_models import Disclosure
from incidents.lifecycle import locked
from incidents.permissions import EDIT
from incidents.stages import Tlp
from incidents.visibility import belongs_to_visible

MOST = 500
"""So many of them one incident may have."""


class Kind(StrEnum):
    """What is told: of the incident itself, or its indicators."""

    notice = "notice"
    indicators = "indicators"


@dataclass(frozen=True)
class DisclosureDraft:
    """What is told to whom.

    to_whom: an authority, a customer, an insurer, a partner. what: the duty or the message; of indicators, which. tlp: under
    which marking; "" takes the incident's. applies: False for a duty that was looked at and does not apply; then `because`
    says why. observable_id: of indicators, the one that was shared; None for all. Times are aware; reference: their number.
    """

    to_whom: str
    what: str = ""
    kind: str = Kind.notice
    tlp: str = ""
    applies: bool = True
    because: str = ""
    observable_id: UUID | None = None
    due_at: datetime | None = None
    sent_at: datetime | None = None
    receipt_at: datetime | None = None
    reference: str = ""


def state(row: Disclosure, now: datetime) -> str:
    """How it stands: not_applicable, acknowledged, sent, overdue or due."""
    if not row.applies:
        return "not_applicable"
    if row.sent_at is not None:
        return "acknowledged" if row.receipt_at is not None else "sent"
    return "overdue" if row.due_at is not None and row.due_at < now else "due"


def add(uow: UnitOfWork, actor: Actor, incident_id: UUID, draft: DisclosureDraft) -> Disclosure:
    """Note it, of an incident open or closed. Raises NotFound, Invalid with every problem."""
    permissions.require(actor, EDIT.name)
    incident = locked(uow, actor, incident_id)
    number = select(func.count()).select_from(Disclosure).where(Disclosure.incident_id == incident.id)
    if (uow.scalar(number) or 0) >= MOST:
        raise Invalid(f"An incident has at most {MOST} of these; attach a list as a file.")
    row = Disclosure(id=new_id(), created_at=uow.now, incident_id=incident.id, added_by=actor.name)
    _set(uow, actor, row, draft, incident.tlp)
    uow.add(row)
    _tell(uow, actor, row, facts.DISCLOSURE_NOTED, {"title": _title(row), **_shown(row)})
    return row


def change(
    uow: UnitOfWork, actor: Actor, disclosure_id: UUID, draft: DisclosureDraft, *, version: int | None = None
) -> Disclosure:
    """Say it anew: when it was sent, under which number. Raises NotFound, Conflict, Invalid."""
    permissions.require(actor, EDIT.name)
    row = _locked(uow, actor, disclosure_id)
    if version is not None and version != row.version:
        raise Conflict("Somebody else has changed this meanwhile; look at what it says now.")
    before = _shown(row)
    _set(uow, actor, row, draft, row.tlp)
    now = _shown(row)
    changed = {name: {"from": before[name], "to": now[name]} for name in now if now[name] != before[name]}
    if not changed:
        return row
    row.changed_at, row.changed_by = uow.now, actor.name
    _tell(uow, actor, row, facts.DISCLOSURE_CHANGED, {"title": _title(row), "changed": changed})
    return row


def withdraw(uow: UnitOfWork, actor: Actor, disclosure_id: UUID, reason: str) -> Disclosure:
    """Take a note back that was wrong; the row and the journal remember it. Raises NotFound, Conflict, Invalid."""
    permissions.require(actor, EDIT.name)
    row = _locked(uow, actor, disclosure_id)
    if not reason.strip():
        raise Invalid("Say why it is taken back.", [Problem("reason", "A reason is needed.")])
    row.withdrawn_at, row.withdrawn_by = uow.now, actor.name
    _tell(
        uow, actor, row, facts.DISCLOSURE_WITHDRAWN, {"title": _title(row), "reason": reason.strip()[:2000]}
    )
    return row


def of_incident(session: Session, actor: Actor, incident_id: UUID) -> list[Disclosure]:
    """Those in force, oldest first, at most MOST."""
    query = select(Disclosure).where(
        Disclosure.incident_id == incident_id,
        Disclosure.withdrawn_at.is_(None),
        belongs_to_visible(actor, Disclosure.incident_id),
    )
    return list(session.scalars(query.order_by(Disclosure.created_at, Disclosure.id).limit(MOST)))


def one(session: Session, actor: Actor, disclosure_id: UUID) -> Disclosure:
    """One of them. Raises NotFound."""
    query = select(Disclosure).where(
        Disclosure.id == disclosure_id, belongs_to_visible(actor, Disclosure.incident_id)
    )
    row = session.scalar(query)
    if row is None:
        raise NotFound("There is no such notice, or you may not see it.")
    return row


def _locked(uow: UnitOfWork, actor: Actor, disclosure_id: UUID) -> Disclosure:
    query = select(Disclosure).where(
        Disclosure.id == disclosure_id, belongs_to_visible(actor, Disclosure.incident_id)
    )
    row = uow.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise NotFound("There is no such notice, or you may not see it.")
    if row.withdrawn_at is not None:
        raise Conflict(f"{row.withdrawn_by} has taken it back; note another one.")
    return row


def _set(uow: UnitOfWork, actor: Actor, row: Disclosure, draft: DisclosureDraft, usual_tlp: str) -> None:
    problems = []
    to_whom, because = _text(draft.to_whom, 200), _text(draft.because, 2000)
    if not to_whom:
        problems.append(Problem("to_whom", "Say to whom: an authority, a customer, a partner."))
    if draft.kind not in set(Kind):
        problems.append(Problem("kind", f"It must be one of {', '.join(Kind)}."))
    if draft.tlp and draft.tlp not in set(Tlp):
        problems.append(Problem("tlp", f"It must be one of {', '.join(Tlp)}."))
    if not draft.applies and not because:
        problems.append(Problem("because", "Say why it does not apply: an auditor will ask."))
    if not draft.applies and draft.sent_at is not None:
        problems.append(Problem("sent_at", "What does not apply was not sent."))
    if draft.sent_at is not None and draft.sent_at > uow.now:
        problems.append(Problem("sent_at", "This is still to come; say when it is due instead."))
    if draft.receipt_at is not None and (draft.sent_at is None or draft.receipt_at < draft.sent_at):
        problems.append(Problem("receipt_at", "A receipt comes after it was sent."))
    held = draft.observable_id is None or observables.of_incident(
        uow, actor, row.incident_id, only=draft.observable_id
    )
    if not held:
        problems.append(Problem("observable_id", "This incident has no such observable."))
    if problems:
        raise Invalid(problems[0].message, problems)
    row.kind, row.to_whom, row.what, row.because = draft.kind, to_whom, _text(draft.what, 2000), because
    row.tlp, row.applies, row.observable_id = draft.tlp or usual_tlp, draft.applies, draft.observable_id
    row.due_at, row.sent_at, row.receipt_at = draft.due_at, draft.sent_at, draft.receipt_at
    row.reference = _text(draft.reference, 200)


def _title(row: Disclosure) -> str:
    return f"{row.to_whom}: {row.what}" if row.what else row.to_whom


def _shown(row: Disclosure) -> dict[str, Any]:
    times = {"due": row.due_at, "sent": row.sent_at, "receipt": row.receipt_at}
    return {
        "to": row.to_whom, "what": row.what, "tlp": row.tlp, "applies": "yes" if row.applies else "no",
        "because": row.because, "reference": row.reference,
        **{name: at.isoformat() if at else None for name, at in times.items()},
    }  # fmt: skip


def _tell(uow: UnitOfWork, actor: Actor, row: Disclosure, verb: Verb, told: dict[str, Any]) -> None:
    uow.flush()
    refs = (Ref("incident", str(row.incident_id)), row.ref)
    journal.record(uow, actor, Fact(verb, refs, {"kind": row.kind, "tlp": row.tlp}, told))


def _text(given: str, longest: int) -> str:
    return " ".join(given.replace("\x00", "\ufffd").split())[:longest]
