"""Tell one person something in their inbox; what cannot be told holds up nothing else."""

from uuid import UUID

from core import logs
from core.actors import SYSTEM
from core.db import UnitOfWork
from core.errors import TocsinError
from core.types import Ref
from notify import delivery

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
