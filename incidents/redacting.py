"""Has a value taken out of the record of an incident, wherever it stands: proposed by one person, begun when another agrees."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import access, four_eyes, held_files, secrets
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork, reading
from core.errors import Invalid, NotFound, Problem
from core.four_eyes import Change
from core.redaction import SHORTEST, Redactor, mask
from core.seeking import Seeker
from incidents import queries, taking_out
from incidents.looking_into import HELD, Looked, look
from incidents.models import Incident, Redaction
from incidents.permissions import REDACT

LONGEST = 20_000
LOOKING = 5.0
"""Seconds for which files are looked into before it is proposed; the others are looked into when it is done."""
_PURPOSE = taking_out.PURPOSE
_A_WORD = re.compile(r"[a-z][a-z_./:@-]{0,23}")

NOT_REACHED = (
    "files that cannot be looked into (archives, programs, pictures, PDF), unless you say that they go",
    "backups, exports and reports made before",
    "what was sent: pages, mails, messages, webhooks",
    "other incidents and alerts that belong to none",
)
"""What a redaction leaves, in words: shown before it is proposed, and written down with it."""


def files_with(actor: Actor, key_or_id: str | UUID, value: str) -> list[Looked]:
    """The files of an incident that hold a value, could not be looked into, or were not yet; who asked stands in the access log.

    Raises Forbidden, NotFound, Invalid (too short, a plain word).
    """
    permissions.require(actor, REDACT.name)
    with reading() as session:
        incident = queries.incident(session, actor, key_or_id)
        _check(incident, value.strip())
        files = list(held_files.of_subject(session, incident.id))
    if not files:
        return []
    access.note(actor, "looked for a value in the files of", incident.ref, incident.key, within=incident.id)
    end, seeker = time.monotonic() + LOOKING, Seeker(value)
    values = Redactor([value])
    looked = [look(digest, values.text(name), seeker if time.monotonic() < end else None) for digest, name in files]
    return [one for one in looked if not one.clear]


def propose(
    uow: UnitOfWork, actor: Actor, key_or_id: str | UUID, value: str, reason: str,
    keep: Mapping[str, str] | None = None, also: Sequence[str] = (),
) -> Change | None:  # fmt: skip
    """Have a value taken out of an incident's record: what somebody else must agree to, or None: it is begun at once.

    A file that holds it is taken away unless `keep` has its SHA-256 and says why it stays; `also` names others that go though
    nobody could look into them. Until it is done the value is kept sealed, then nowhere. Raises Forbidden, NotFound,
    NeedsSecondFactor, Conflict, Invalid (too short, a plain word, no reason).
    """
    permissions.require(actor, REDACT.name)
    incident = queries.incident(uow, actor, key_or_id)
    given, why = value.strip(), reason.strip()
    _check(incident, given)
    if not why:
        raise Invalid("Say why.", [Problem("reason", "A reason is needed.")])
    values = Redactor([given])
    kept = {digest: values.text(said.strip())[:500] for digest, said in (keep or {}).items()}
    if not all(kept.values()):
        raise Invalid("Say why the file stays.", [Problem("keep", "A file that holds the value stays only for a reason.")])
    why = values.text(why)[:1000]
    told = mask(given)
    payload = {
        "incident": str(incident.id), "value": secrets.seal(given, _PURPOSE), "reason": why, "keep": kept,
        "also": list(also),
    }  # fmt: skip
    says = f"Take a value ({told}, {len(given)} characters) out of {incident.key} for ever, with the files that hold it"
    if kept:
        says = f"{says} but {len(kept)}"
    if incident.restricted_to is None:  # proposals are read by people who may not read it
        says = f"{says}, because: {why}"
    return four_eyes.loosen(uow, actor, REDACTION, payload, says)


def going_on(session: Session, incident_id: UUID) -> Sequence[Redaction]:
    """What is being taken out of an incident now."""
    mine = select(Redaction).where(Redaction.incident_id == incident_id, Redaction.ended_at.is_(None))
    return session.scalars(mine.order_by(Redaction.id).limit(20)).all()


def _check(incident: Incident, value: str) -> None:
    problem = None
    if not SHORTEST <= len(value) <= LONGEST:
        problem = f"Give the whole value, {SHORTEST} to {LONGEST:,} characters."
    elif _A_WORD.fullmatch(value) or value in incident.key:
        problem = "This is a plain word: replacing it everywhere would make the record unreadable. Edit the note that holds it."
    if problem:
        raise Invalid(problem, [Problem("value", problem)])


def _apply(uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
    """Have a worker begin."""
    incident = uow.get(Incident, UUID(payload["incident"]))
    if incident is None:
        raise NotFound("There is no such incident.")
    taking_out.begin(uow, actor, incident.id, payload)


REDACTION = four_eyes.declare_kind(
    "incident.redaction", permission=REDACT.name, apply=_apply, path="/incidents", erased=("value",)
)

__all__ = ["HELD", "NOT_REACHED", "REDACTION", "files_with", "going_on", "propose"]
