"""Opens an incident out of another one, or finds the one that is open for the same host; each names the other."""

from uuid import UUID

from sqlalchemy import select

from connectors.entities import entity
from core import journal
from core.actors import Actor
from core.db import UnitOfWork
from core.journal import Fact
from core.types import Severity
from incidents import facts
from incidents.lifecycle import IncidentDraft, locked, open_by_hand
from incidents.models import Incident, Sighting
from incidents.observables import observable_id


def open_from(
    uow: UnitOfWork,
    actor: Actor,
    incident_id: UUID,
    *,
    title: str,
    category: str,
    severity: str,
    because: str = "",
    host: str = "",
    user: str = "",
) -> Incident:
    """The incident of this category that is open for the host, else a new one; who may see the first may see the new one.

    What is no host or user is left out of its values, and stands in the title alone. Raises NotFound, Invalid.
    """
    first = locked(uow, actor, incident_id)
    values = [one for one in (entity("host", host, "victim"), entity("user", user, "victim")) if one is not None]
    made = _open_already(uow, first, category, [(one.type, one.value) for one in values if one.type == "host"])
    if made is None:
        draft = IncidentDraft(
            title=" ".join(title.split())[:300], severity=Severity(severity), category=category, tlp=first.tlp, pap=first.pap,
            description=f"{because}\n\nOpened for {first.key}.".strip(), constituency_id=first.constituency_id, team_id=first.team_id,
            restricted_to=first.restricted_to, exercise=first.exercise, trust=first.trust, source=first.source,
            observables=[(one.type, one.value) for one in values],
        )  # fmt: skip
        made = open_by_hand(uow, actor, draft)
    refs, told = (first.ref, made.ref), {"title": made.title, "why": because}
    journal.record(uow, actor, Fact(facts.OFFSHOOT_OPENED, refs, {"key": made.key, "of": first.key}, told))
    return made


def _open_already(uow: UnitOfWork, first: Incident, category: str, hosts: list[tuple[str, str]]) -> Incident | None:
    if not hosts:
        return None
    seen = select(Sighting.incident_id).where(
        Sighting.observable_id.in_([observable_id(*one) for one in hosts]), Sighting.alert_id.is_(None)
    )
    query = select(Incident).where(
        Incident.id.in_(seen), Incident.id != first.id, Incident.category == category, Incident.closed_at.is_(None),
        Incident.restricted_to.is_(None), Incident.constituency_id.is_not_distinct_from(first.constituency_id),
    )  # fmt: skip
    return uow.scalar(query.order_by(Incident.id.desc()).limit(1)) if first.restricted_to is None else None
