"""Takes a value out of the record of an incident, wherever it stands: proposed by one person, done when another agrees."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, literal, or_, select, update

from core import bulk, four_eyes, journal_redaction, places, secrets
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.four_eyes import Change
from core.journal import Fact, record
from core.places import Place
from core.redaction import SHORTEST, Redactor, mask
from core.types import Ref
from incidents import facts, indexing, queries
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
    Observable,
    Reporter,
    ReporterMessage,
    ReviewPoint,
    SearchWord,
    Sighting,
    Task,
    Verdict,
)
from incidents.permissions import REDACT
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
)  # fmt: skip

LONGEST = 20_000
_PURPOSE = "incident.redaction"
_A_WORD = re.compile(r"[a-z][a-z_./:@-]{0,23}")

NOT_REACHED = (
    "the content of attached files and of mails, which are evidence",
    "backups, exports and reports made before",
    "what was sent: pages, mails, messages, webhooks",
    "other incidents and alerts that belong to none",
)
"""What a redaction leaves, in words: shown before it is proposed, and written down with it."""


def propose(uow: UnitOfWork, actor: Actor, key_or_id: str | UUID, value: str, reason: str) -> Change | None:
    """Have a value taken out of an incident's record: what somebody else must agree to, or None: done at once.

    Until it is decided the value is kept sealed with the proposal, then nowhere. Raises Forbidden, NotFound,
    NeedsSecondFactor, Conflict, Invalid (too short, a plain word, no reason).
    """
    permissions.require(actor, REDACT.name)
    incident = queries.incident(uow, actor, key_or_id)
    given, why = value.strip(), reason.strip()
    _check(incident, given, why)
    told = mask(given)
    why = Redactor([given]).text(why)[:1000]
    payload = {"incident": str(incident.id), "value": secrets.seal(given, _PURPOSE), "reason": why}
    says = f"Take a value ({told}, {len(given)} characters) out of {incident.key} for ever"
    if incident.restricted_to is None:  # proposals are read by people who may not read it
        says = f"{says}, because: {why}"
    return four_eyes.loosen(uow, actor, REDACTION, payload, says)


def _check(incident: Incident, value: str, reason: str) -> None:
    problem = None
    if not SHORTEST <= len(value) <= LONGEST:
        problem = f"Give the whole value, {SHORTEST} to {LONGEST:,} characters."
    elif _A_WORD.fullmatch(value) or value in incident.key:
        problem = "This is a plain word: replacing it everywhere would make the record unreadable. Edit the note that holds it."
    if problem:
        raise Invalid(problem, [Problem("value", problem)])
    if not reason:
        raise Invalid("Say why.", [Problem("reason", "A reason is needed.")])


def _apply(uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
    """Take it out of every place, of the observables, the search and the erasable part of the journal; write down how often."""
    incident = uow.get(Incident, UUID(payload["incident"]))
    if incident is None:
        raise NotFound("There is no such incident.")
    value = secrets.unseal(payload["value"], _PURPOSE)
    values = Redactor([value])
    refs: list[Ref] = [incident.ref]
    counts: dict[str, int] = {}
    for taken in places.take_out(uow, incident.id, values):
        refs += taken.refs
        if taken.changed:
            counts[taken.place.name] = len(taken.changed)
        if taken.place.model is Alert:
            _index_anew(uow, taken.changed)
    if gone := _observables(uow, incident.id, values):
        counts["observables"] = gone
    indexing.index_incident(uow, incident.id)
    erased = journal_redaction.erase(uow, refs, values)
    if not counts and not erased.entries:
        raise Conflict(
            "This value stands nowhere in the record of this incident: look for spaces and line ends."
        )
    files = uow.scalar(
        select(func.count()).select_from(Attachment).where(Attachment.incident_id == incident.id)
    )
    body = {
        "value": mask(value), "places": counts, "entries": erased.entries, "sealed": erased.sealed,
        "files": files or 0, "not_reached": list(NOT_REACHED),
    }  # fmt: skip
    record(uow, actor, Fact(facts.INCIDENT_REDACTED, (incident.ref,), body, {"reason": payload["reason"]}))


def _index_anew(uow: UnitOfWork, alerts: list[UUID]) -> None:
    """What was changed is found by its new words, soon."""
    for start in range(0, len(alerts), 500):
        some = alerts[start : start + 500]
        mine = bulk.among(uow, SearchWord.thing_id, some)
        uow.execute(delete(SearchWord).where(SearchWord.kind == "alert", mine))
        for alert in uow.scalars(select(Alert).where(bulk.among(uow, Alert.id, some))):
            alert.indexed_at = None
    uow.flush()


def _observables(uow: UnitOfWork, incident: UUID, values: Redactor) -> int:
    """Values that hold it become what stays of it; where others have seen one too, this incident lets go of it. Returns how many."""
    alerts = select(Alert.id).where(Alert.incident_id == incident)
    mine = or_(Sighting.incident_id == incident, Sighting.alert_id.in_(alerts))
    named = select(Observable).where(Observable.id.in_(select(Sighting.observable_id).where(mine)))
    going = [one for one in uow.scalars(named) if values.text(one.value) != one.value]
    for one in going:
        ours = select(Sighting.id).where(Sighting.observable_id == one.id, mine)
        others = select(Sighting.id).where(Sighting.observable_id == one.id, Sighting.id.not_in(ours))
        if uow.scalar(others.limit(1)) is None:
            one.value = values.text(one.value)
            continue
        seen = delete(Sighting).where(Sighting.observable_id == one.id, mine)
        judged = delete(Verdict).where(Verdict.observable_id == one.id, Verdict.incident_id == incident)
        told = update(Disclosure).where(Disclosure.observable_id == one.id, Disclosure.incident_id == incident)
        for statement in (seen, judged, told.values(observable_id=None)):
            uow.execute(statement.execution_options(synchronize_session=False))
    uow.flush()
    return len(going)


REDACTION = four_eyes.declare_kind(
    "incident.redaction", permission=REDACT.name, apply=_apply, path="/incidents", erased=("value",)
)
