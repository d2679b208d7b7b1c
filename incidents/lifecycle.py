"""What people and playbooks do with an incident: open it by hand, change it, move it, confirm it, close it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select

from core import journal
from core.actors import Actor, ActorKind
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem, Stale
from core.ids import new_id
from core.journal import Fact, Verb
from core.types import Severity
from incidents import facts, keys, milestones
from incidents.attaching import priority_of
from incidents.models import Constituency, Incident, Team
from incidents.permissions import DECLARE, EDIT, OPEN, RESTRICT
from incidents.stages import Confirmation, Kind, Pap, Priority, Stage, Tlp, WaitingOn
from incidents.visibility import visible_to

_AFTER_STAGE = {Stage.contain: "contained", Stage.eradicate: "eradicated", Stage.recover: "recovered"}
CATEGORIES = (
    "malware",
    "phishing",
    "intrusion",
    "login",
    "secret",
    "availability",
    "web_attack",
    "policy",
    "other",
)


@dataclass(frozen=True)
class IncidentDraft:
    """What somebody opens an incident with."""

    title: str
    severity: Severity = Severity.unknown
    description: str | None = None
    kind: str = Kind.incident
    category: str | None = None
    confirmation: str = Confirmation.unconfirmed
    tlp: str = Tlp.amber
    pap: str = Pap.amber
    tags: Sequence[str] = ()
    techniques: Sequence[str] = ()
    constituency_id: UUID | None = None
    team_id: UUID | None = None
    restricted_to: Sequence[str] | None = None
    exercise: bool = False
    observables: Sequence[tuple[str, str]] = field(default=())  # (type or "auto", value)
    trust: str = "high"  # of whoever says so: low for people we don't know
    source: str | None = None


def open_by_hand(uow: UnitOfWork, actor: Actor, draft: IncidentDraft) -> Incident:
    """Open an incident without an alert: a phone call, a walk-in, a finding. Raises Invalid with every problem."""
    permissions.require(actor, OPEN.name)
    changes = {
        "title": draft.title, "kind": draft.kind, "category": draft.category, "tlp": draft.tlp, "pap": draft.pap,
        "tags": list(draft.tags), "techniques": list(draft.techniques), "constituency_id": draft.constituency_id,
        "team_id": draft.team_id,
    }  # fmt: skip
    _check(uow, changes)
    severity = Severity(draft.severity)
    incident = Incident(
        id=new_id(), created_at=uow.now, key=keys.take(uow)[0], description=draft.description, severity=severity.value,
        severity_reason="set when opened" if severity is not Severity.unknown else None,
        priority=priority_of(severity), stage=Stage.new.value, exercise=draft.exercise, opened_at=uow.now,
        restricted_to=_readers(actor, draft.restricted_to), trust=draft.trust, alert_count=0, late=False, learning=False,
        confirmation=Confirmation.unconfirmed.value, source=draft.source, **changes,
    )  # fmt: skip
    uow.add(incident)
    uow.flush()
    body = {
        "key": incident.key, "kind": incident.kind, "severity": incident.severity, "category": incident.category,
        "late": False, "trust": incident.trust, "source": incident.source, "rule": None, "exercise": incident.exercise,
        "recurrence": False, "alerts": 0,
    }  # fmt: skip
    told = {"title": incident.title, "why": f"opened by {actor.name}"}
    journal.record(uow, actor, Fact(facts.INCIDENT_OPENED, (incident.ref,), body, told))
    milestones.project(uow, incident.id, "reported", uow.now, "person", actor.name)
    if draft.confirmation != Confirmation.unconfirmed:
        confirm(uow, actor, incident.id, draft.confirmation, because="Said when it was opened.")
    if draft.observables:
        from incidents import observables  # it reads incidents, so it cannot be imported with this module

        for kind, value in draft.observables:
            observables.attach(uow, actor, incident.id, kind, value)
    return incident


_SETTABLE = frozenset({
    "title", "description", "severity", "priority", "category", "kind", "tlp", "pap", "tags", "techniques", "status",
    "constituency_id", "team_id", "exercise",
})  # fmt: skip


def change(
    uow: UnitOfWork,
    actor: Actor,
    incident_id: UUID,
    changes: Mapping[str, Any],
    *,
    reason: str | None = None,
    version: int | None = None,
) -> Incident:
    """Change fields of an incident: title, description, severity, priority, category, kind, tlp, pap, tags, techniques,
    status, constituency_id, team_id, exercise.

    A person who sets the severity overrides what alerts say and must give a `reason`. Raises Invalid, NotFound, Stale
    (when `version` is given and somebody else was faster).
    """
    permissions.require(actor, EDIT.name)
    incident = locked(uow, actor, incident_id, version)
    unknown = sorted(set(changes) - _SETTABLE)
    if unknown:
        raise Invalid(f"These cannot be changed here: {', '.join(unknown)}.")
    _check(uow, changes)
    before = {name: getattr(incident, name) for name in changes}
    differ = {name: value for name, value in changes.items() if before[name] != value}
    if not differ:
        return incident
    if "severity" in differ:
        _set_severity(uow, actor, incident, Severity(differ["severity"]), reason)
    for name, value in differ.items():
        if name != "severity":
            setattr(incident, name, value)
    free = {"title", "description", "tags"}
    body = {n: {"from": _plain(before[n]), "to": _plain(v)} for n, v in differ.items() if n not in free}
    told = {n: {"from": before[n], "to": v} for n, v in differ.items() if n in free} | (
        {"reason": reason} if reason else {}
    )
    journal.record(uow, actor, Fact(facts.INCIDENT_CHANGED, (incident.ref,), body, told or None))
    return incident


def move(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, to: str, *, version: int | None = None
) -> Incident:
    """Move an incident to another stage, forwards or back; closing and reopening have doors of their own."""
    permissions.require(actor, EDIT.name)
    incident = locked(uow, actor, incident_id, version)
    stage = _word(Stage, to, "stage")
    if stage is Stage.closed:
        raise Invalid("An incident is closed with a disposition: use close.")
    if incident.closed_at is not None:
        raise Conflict(f"{incident.key} is closed; reopen it first.")
    was = Stage(incident.stage)
    if was is stage:
        return incident
    incident.stage = stage.value
    if was in _AFTER_STAGE and stage.rank > was.rank:
        # Only the stage left behind is told: one that was skipped on the way was not worked on.
        milestones.reached(uow, incident.id, _AFTER_STAGE[was], uow.now, _who(actor), actor.name)
    if actor.kind is ActorKind.person:
        milestones.reached(uow, incident.id, "acknowledged", uow.now, "person", actor.name)
    _tell(uow, actor, incident, facts.STAGE_CHANGED, {"from": was.value, "to": stage.value})
    return incident


def assign(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, owner_id: UUID | None, *, version: int | None = None
) -> Incident:
    """Make a person the owner (None: nobody). Taking it oneself acknowledges it."""
    permissions.require(actor, EDIT.name)
    incident = locked(uow, actor, incident_id, version)
    if incident.owner_id == owner_id:
        return incident
    if (
        owner_id is not None
        and incident.restricted_to is not None
        and str(owner_id) not in incident.restricted_to
    ):
        raise Conflict(
            f"{incident.key} is restricted and this person may not see it; add them to its readers first."
        )
    was, incident.owner_id = incident.owner_id, owner_id
    if owner_id is not None and owner_id == actor.user_id:
        milestones.reached(uow, incident.id, "acknowledged", uow.now, "person", actor.name)
    _tell(uow, actor, incident, facts.OWNER_CHANGED, {"from": _plain(was), "to": _plain(owner_id)})
    return incident


def confirm(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, to: str, *, because: str, version: int | None = None
) -> Incident:
    """Say whether this is an incident: unconfirmed, suspected, declared or not_an_incident, and by which criterion."""
    permissions.require(actor, DECLARE.name)
    incident = locked(uow, actor, incident_id, version)
    confirmation = _word(Confirmation, to, "confirmation")
    if confirmation is not Confirmation.unconfirmed and not because.strip():
        raise Invalid("Say by which criterion, so that others can follow the decision.")
    was, incident.confirmation = incident.confirmation, confirmation.value
    incident.confirmed_at, incident.confirmed_by, incident.confirmed_because = uow.now, actor.name, because
    if confirmation is Confirmation.declared:
        milestones.reached(uow, incident.id, "declared", uow.now, _who(actor), actor.name)
    _tell(
        uow,
        actor,
        incident,
        facts.CONFIRMATION_CHANGED,
        {"from": was, "to": confirmation.value},
        {"because": because},
    )
    return incident


def wait_on(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, whom: str | None, *, version: int | None = None
) -> Incident:
    """Say whom the incident waits for (reporter, team, vendor, legal, authority), or None: it is our move again."""
    permissions.require(actor, EDIT.name)
    incident = locked(uow, actor, incident_id, version)
    value = _word(WaitingOn, whom, "waiting on").value if whom is not None else None
    if incident.waiting_on != value:
        was, incident.waiting_on = incident.waiting_on, value
        _tell(uow, actor, incident, facts.WAITING_CHANGED, {"from": was, "to": value})
    return incident


def restrict(
    uow: UnitOfWork,
    actor: Actor,
    incident_id: UUID,
    readers: Sequence[str] | None,
    *,
    version: int | None = None,
) -> Incident:
    """Let only these users (ids) see the incident, the actor always among them; None lifts it."""
    permissions.require(actor, RESTRICT.name)
    incident = locked(uow, actor, incident_id, version)
    was = incident.restricted_to
    incident.restricted_to = _readers(actor, readers)
    if incident.group_key is not None:
        incident.group_released_at = (
            incident.group_released_at or uow.now
        )  # alerts for others must not join it
    _tell(uow, actor, incident, facts.INCIDENT_RESTRICTED, {"restricted": readers is not None}, {
        "from": was, "to": incident.restricted_to,
    })  # fmt: skip
    return incident


def locked(uow: UnitOfWork, actor: Actor, incident_id: UUID, version: int | None = None) -> Incident:
    """The incident, locked for a change. Raises NotFound when there is none the actor may see, Stale."""
    query = select(Incident).where(Incident.id == incident_id, visible_to(actor)).with_for_update()
    incident = uow.scalar(query.execution_options(populate_existing=True))
    if incident is None:
        raise NotFound("There is no such incident, or you may not see it.")
    if version is not None and incident.version != version:
        raise Stale(
            f"Somebody has changed {incident.key} since you read it: look again before you change it."
        )
    return incident


def _set_severity(
    uow: UnitOfWork, actor: Actor, incident: Incident, to: Severity, reason: str | None
) -> None:
    if actor.kind is ActorKind.person and not (reason or "").strip():
        raise Invalid(
            "Say why the severity is not what the alerts say.", [Problem("reason", "A reason is needed.")]
        )
    was, incident.severity = Severity(incident.severity), to.value
    incident.severity_reason = reason or f"set by {actor.name}"
    if to.rank > was.rank:
        body = {"from": was.value, "to": to.value, "late": incident.late}
        journal.record(uow, actor, Fact(facts.SEVERITY_RAISED, (incident.ref,), body))


_WORDS: dict[str, type[Any]] = {
    "severity": Severity, "priority": Priority, "kind": Kind, "tlp": Tlp, "pap": Pap,
}  # fmt: skip


def _check(uow: UnitOfWork, changes: Mapping[str, Any]) -> None:
    problems = []
    for name, words in _WORDS.items():
        if name in changes and changes[name] not in {word.value for word in words}:
            problems.append(Problem(name, f"It must be one of {', '.join(word.value for word in words)}."))
    if "title" in changes and not 1 <= len(str(changes["title"] or "").strip()) <= 500:
        problems.append(Problem("title", "A title of 1 to 500 characters is needed."))
    if changes.get("category") is not None and changes["category"] not in CATEGORIES:
        problems.append(Problem("category", f"It must be one of {', '.join(CATEGORIES)}."))
    if len(str(changes.get("status") or "")) > 64:
        problems.append(Problem("status", "A status label has at most 64 characters."))
    for name in ("tags", "techniques"):
        listed = changes.get(name, [])
        if (
            not isinstance(listed, list)
            or len(listed) > 200
            or not all(isinstance(w, str) and 0 < len(w) <= 100 for w in listed)
        ):
            problems.append(Problem(name, "At most 200 words of at most 100 characters."))
    for name, model in (("constituency_id", Constituency), ("team_id", Team)):
        if changes.get(name) is not None and uow.get(model, changes[name]) is None:
            problems.append(Problem(name, f"There is no such {model.__name__.lower()}."))
    if problems:
        raise Invalid(
            f"The incident cannot be like that: {problems[0].path}: {problems[0].message}", problems
        )


def _readers(actor: Actor, readers: Sequence[str] | None) -> list[str] | None:
    if readers is None:
        return None
    try:
        named = {str(UUID(reader)) for reader in readers}
    except ValueError:
        raise Invalid("Readers are named by the ids of users.") from None
    return sorted(named | ({str(actor.user_id)} if actor.user_id else set()))


def _word(words: Any, value: str, name: str) -> Any:
    try:
        return words(value)
    except ValueError:
        raise Invalid(f"“{value}” is not a {name}; it must be one of {', '.join(words)}.") from None


def _tell(
    uow: UnitOfWork,
    actor: Actor,
    incident: Incident,
    verb: Verb,
    body: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
) -> None:
    uow.flush()
    journal.record(uow, actor, Fact(verb, (incident.ref,), {"key": incident.key, **body}, data))


def _who(actor: Actor) -> str:
    return "person" if actor.kind is ActorKind.person else actor.kind.value


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
