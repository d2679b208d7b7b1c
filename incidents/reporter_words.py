"""Says the same to everybody who reported an incident: thanks with their number, or words of a playbook; to each only once."""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import select

from core.actors import Actor
from core.db import UnitOfWork
from incidents import reporting
from incidents.models import Incident, Reporter
from incidents.permissions import ANSWER

MOST = 50
"""So many reporters of one incident are written to by themselves; a wave of them is for a person to answer."""


def thank(uow: UnitOfWork, incident_id: UUID) -> int:
    """Thank those who were not thanked yet, with number and status page; how many have been by now."""
    found = _reporters(uow, incident_id)
    for one in found:
        if one.thanked_at is None and reporting.may_thank(uow, one.email):
            reporting.thank(uow, one)
    return sum(one.thanked_at is not None for one in found)


def tell(uow: UnitOfWork, actor: Actor, incident_id: UUID, text: str) -> int:
    """Write to each of them, on their page and by mail where they gave an address; how many were told.

    Nobody is when there are none, too many, or the incident is kept from its reporters: then a person decides.
    """
    found = _reporters(uow, incident_id)
    incident = uow.get_one(Incident, incident_id)
    if reporting.keeps_back(incident) or len(found) > MOST:
        return 0
    speaker = replace(actor, permissions=frozenset({ANSWER.name}))
    for one in found:
        reporting.answer(uow, speaker, incident_id, one.id, text)
    return len(found)


def _reporters(uow: UnitOfWork, incident_id: UUID) -> list[Reporter]:
    query = select(Reporter).where(Reporter.incident_id == incident_id).order_by(Reporter.created_at)
    return list(uow.scalars(query.limit(MOST + 1)))
