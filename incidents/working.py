"""What counts as working on an incident: anything a person does to it, but neither answering pages nor watching it."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import journal
from core.actors import ActorKind
from core.journal import JournalEntry, JournalRef
from core.types import Ref
from incidents import facts
from incidents.models import Incident
from incidents.visibility import as_id
from notify.working import decided_by

NO_WORK = frozenset({facts.INCIDENT_WATCHED.name, facts.INCIDENT_UNWATCHED.name})
"""What a person does to look on; of the journal's other verbs those about pages and messages are no work either."""


@decided_by
def worked_on(session: Session, subject: Ref, since: datetime) -> bool:
    """Whether a person has done something about the incident since; True too when it is closed, or not an incident."""
    number = as_id(subject.id) if subject.kind == "incident" else None
    incident = session.get(Incident, number) if number else None
    if incident is None or incident.closed_at is not None:
        return True
    work = [
        name for name in journal.verbs() if name not in NO_WORK and not name.startswith(("page.", "message."))
    ]
    done = (
        select(JournalEntry.id)
        .join(JournalRef, JournalRef.entry == JournalEntry.id)
        .where(
            JournalRef.kind == subject.kind,
            JournalRef.ref_id == subject.id,
            JournalEntry.at > since,
            JournalEntry.actor_kind == ActorKind.person.value,
            JournalEntry.verb.in_(work),
        )
    )
    return session.scalar(done.limit(1)) is not None
