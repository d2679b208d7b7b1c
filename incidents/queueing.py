"""Take the next incident from the queue: the oldest of the highest severity that nobody owns."""

from sqlalchemy import select

from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.errors import Forbidden, NotFound
from core.types import Severity
from incidents import lifecycle
from incidents.models import Incident
from incidents.permissions import EDIT
from incidents.stages import Stage
from incidents.visibility import visible_to

ORDER = (Severity.critical, Severity.high, Severity.medium, Severity.unknown, Severity.low, Severity.info)
"""What is unknown may be anything, so it comes before what is known to be little."""


def take_next(uow: UnitOfWork, actor: Actor) -> Incident:
    """Become the owner of the next one, which goes to triage if it is new. Raises NotFound when nothing waits.

    Two people who press at once get two incidents.
    """
    permissions.require(actor, EDIT.name)
    if actor.user_id is None:
        raise Forbidden("Only a person can own an incident.")
    for severity in ORDER:
        waiting = (
            select(Incident)
            .where(
                Incident.closed_at.is_(None), Incident.owner_id.is_(None), Incident.severity == severity.value,
                visible_to(actor),
            )
            .order_by(Incident.created_at, Incident.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )  # fmt: skip
        found = uow.scalar(waiting)
        if found is not None:
            taken = lifecycle.assign(uow, actor, found.id, actor.user_id)
            if taken.stage == Stage.new:
                lifecycle.move(uow, actor, found.id, Stage.triage)
            return taken
    raise NotFound("Every open incident that you may see has an owner.")
