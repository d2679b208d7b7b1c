"""Whether somebody has worked on what a page is about; decided above, where it is known what counts as work."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from core.types import Ref

Decide = Callable[[Session, Ref, datetime], bool]
_deciding: list[Decide] = []


def decided_by(decide: Decide) -> Decide:
    """The function of an upper package that decides; takes the session, the subject and since when."""
    _deciding[:] = [decide]
    return decide


def worked_on(session: Session, subject: Ref, since: datetime) -> bool:
    """Whether a person has worked on the subject since, or there is nothing to do; where nobody can tell, so it is."""
    return _deciding[0](session, subject, since) if _deciding else True
