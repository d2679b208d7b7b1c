"""Who has which part in an incident: the lead, the scribe, and who speaks for it; whoever is named is told."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.auth.models import User
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem
from core.journal import Entry, Fact, Verb
from core.outbox import subscriber
from incidents import facts, notices, tasks
from incidents.following import may_be_told
from incidents.lifecycle import assign, locked
from incidents.models import Incident
from incidents.permissions import EDIT


class Part(StrEnum):
    """A part in the response; each is one person's at a time."""

    lead = "lead"  # decides, and is called when something is stopped: the incident's owner
    scribe = "scribe"  # writes down what happens and what was decided
    communications = "communications"  # speaks with those outside: users, management, customers


_COLUMNS: Mapping[Part, str] = {
    Part.lead: "owner_id", Part.scribe: "scribe_id", Part.communications: "communications_id",
}  # fmt: skip
_VERBS: Mapping[Part, Verb] = {Part.scribe: facts.SCRIBE_CHANGED, Part.communications: facts.SPEAKER_CHANGED}
_YOU_ARE: Mapping[str, str] = {
    facts.OWNER_CHANGED.name: "you lead it now",
    facts.SCRIBE_CHANGED.name: "you are its scribe: write down what happens and what is decided",
    facts.SPEAKER_CHANGED.name: "you speak for it: keep those who wait for news informed",
}


def give(
    uow: UnitOfWork, actor: Actor, incident_id: UUID, part: str, to: UUID | None, *, version: int | None = None
) -> Incident:
    """Give a part to somebody, hand it over, or clear it (None). Raises Invalid, NotFound, Conflict, Stale.

    Of a restricted incident only its readers can have one.
    """
    permissions.require(actor, EDIT.name)
    try:
        wanted = Part(part)
    except ValueError:
        raise Invalid(
            f"“{part[:40]}” is not a part; it must be one of {', '.join(Part)}.", [Problem("part", "not a part")]
        ) from None
    person = uow.get(User, to) if to is not None else None
    if to is not None and (person is None or person.disabled_at is not None):
        raise NotFound("There is no such person here, or they have left.")
    if wanted is Part.lead:
        return assign(uow, actor, incident_id, to, version=version)
    incident = locked(uow, actor, incident_id, version)
    was = getattr(incident, _COLUMNS[wanted])
    if was == to:
        return incident
    if to is not None and incident.restricted_to is not None and str(to) not in incident.restricted_to:
        raise Conflict(
            f"{incident.key} is restricted and this person may not see it; add them to its readers first."
        )
    setattr(incident, _COLUMNS[wanted], to)
    if wanted is Part.communications:
        tasks.hand_over(uow, incident)
    uow.flush()
    body = {"key": incident.key, "from": str(was) if was else None, "to": str(to) if to else None}
    journal.record(uow, actor, Fact(_VERBS[wanted], (incident.ref,), body))
    return incident


def held_by(incident: Incident) -> dict[Part, UUID | None]:
    """Who has each part now."""
    return {part: getattr(incident, column) for part, column in _COLUMNS.items()}


@subscriber("incidents.parts", verbs=list(_YOU_ARE))
def _tell(uow: UnitOfWork, entry: Entry) -> None:
    """Whoever was given a part by somebody else finds it in their inbox."""
    incident_id, to = entry.ref("incident"), entry.body.get("to")
    incident = uow.get(Incident, UUID(incident_id)) if incident_id else None
    if incident is None or not to or UUID(to) == entry.actor.user_id:
        return
    if may_be_told(uow.get(User, UUID(to)), incident):
        notices.tell(
            uow, UUID(to), title=f"{incident.key}: {_YOU_ARE[entry.verb]}",
            text=f"{incident.title}\n\n{entry.actor.name} named you.", subject=incident.ref, path=f"/incidents/{incident.key}",
        )  # fmt: skip
