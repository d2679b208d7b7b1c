"""Tell one person something, in their inbox or outside; what cannot be told holds up nothing else."""

from uuid import UUID

from core import logs
from core.actors import SYSTEM
from core.db import UnitOfWork
from core.errors import TocsinError
from core.types import Ref
from notify import delivery, reaching
from notify.models import Urgency
from notify.reaching import Wanted

log = logs.get(__name__)


def tell(uow: UnitOfWork, user_id: UUID, *, title: str, text: str, subject: Ref, path: str) -> bool:
    """Put it into the inbox of a user, with the path of the page it is about; False when there is no such user."""
    try:
        delivery.message(
            uow,
            SYSTEM,
            channel="inbox",
            to=f"user:{user_id}",
            title=title,
            text=text,
            subject=subject,
            path=path,
        )
    except TocsinError as error:  # they have left; whatever this belongs to goes on
        log.warning("somebody could not be told", extra={"user": str(user_id), "reason": error.message})
        return False
    return True


def tell_outside(uow: UnitOfWork, user_id: UUID, *, title: str, text: str, subject: Ref, path: str) -> bool:
    """Send it by the first way that reaches them away from our pages; False when there is none."""
    ways = reaching.methods(uow, Wanted(user_id, None, "told by name"), Urgency.low)
    way = next((one for one in ways if one.reaches_out), None)
    if way is None:
        return False
    to = f"contact:{way.contact_id}" if way.contact_id else f"user:{user_id}"
    try:
        delivery.message(
            uow, SYSTEM, channel=way.channel, to=to, title=title, text=text, subject=subject, path=path
        )
    except TocsinError as error:
        log.warning("somebody could not be told outside", extra={"user": str(user_id), "reason": error.message})
        return False
    return True
