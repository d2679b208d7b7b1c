"""People who watch an incident are told in their inbox what others do to it; who watches is said by themselves."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import journal
from core.actors import Actor
from core.auth import permissions
from core.auth.models import User
from core.db import UnitOfWork
from core.errors import Forbidden
from core.journal import Entry, Fact
from core.outbox import subscriber
from incidents import facts, notices
from incidents.lifecycle import locked
from incidents.models import Incident
from incidents.permissions import READ
from incidents.watch_models import Watch

_TOLD = {
    "incident.stage_changed": "{who} moved it to {to}",
    "incident.owner_changed": "{who} changed its lead",
    "incident.severity_raised": "its severity is {to} now",
    "incident.confirmation_changed": "{who} says: {to}",
    "incident.waiting_changed": "{who} changed whom it waits for",
    "incident.closed": "{who} closed it as {disposition}",
    "incident.reopened": "{who} opened it again",
    "comment.added": "{who} wrote a note",
    "reporter.wrote": "the reporter wrote",
}


def watch(uow: UnitOfWork, actor: Actor, incident_id: UUID, *, on: bool = True) -> bool:
    """Be told of changes from now on, or no longer; returns whether this changed anything. Raises NotFound, Forbidden."""
    permissions.require(actor, READ.name)
    if actor.user_id is None:
        raise Forbidden("Only a person can watch an incident: a program subscribes to the journal.")
    incident = locked(uow, actor, incident_id)
    row = uow.get(Watch, (incident_id, actor.user_id))
    if (row is not None) is on:
        return False
    if row is None:
        uow.add(Watch(incident_id=incident_id, user_id=actor.user_id, created_at=uow.now))
    else:
        uow.delete(row)
    verb = facts.INCIDENT_WATCHED if on else facts.INCIDENT_UNWATCHED
    journal.record(uow, actor, Fact(verb, (incident.ref,), {"key": incident.key}))
    return True


def watching(session: Session, actor: Actor, incident_id: UUID) -> bool:
    """Whether the actor watches it."""
    return actor.user_id is not None and session.get(Watch, (incident_id, actor.user_id)) is not None


def may_be_told(user: User | None, incident: Incident) -> bool:
    """Whether this person works here and may see the incident, so that words about it may be put before them."""
    if user is None or user.disabled_at is not None or not READ.roles.intersection(user.roles):
        return False
    return incident.restricted_to is None or str(user.id) in incident.restricted_to


@subscriber("incidents.watchers", verbs=list(_TOLD))
def _tell(uow: UnitOfWork, entry: Entry) -> None:
    incident_id = entry.ref("incident")
    incident = uow.get(Incident, UUID(incident_id)) if incident_id else None
    if incident is None:
        return
    words = {name: str(entry.body.get(name, "")).replace("_", " ") for name in ("to", "disposition")}
    said = _TOLD[entry.verb].format(who=entry.actor.name, **words)
    for user_id in uow.scalars(select(Watch.user_id).where(Watch.incident_id == incident.id).order_by(Watch.user_id)):
        if user_id != entry.actor.user_id and may_be_told(uow.get(User, user_id), incident):
            notices.tell(
                uow, user_id, title=f"{incident.key}: {said}", text=incident.title, subject=incident.ref,
                path=f"/incidents/{incident.key}",
            )  # fmt: skip
