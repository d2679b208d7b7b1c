"""What pages say of a change that needs somebody else, and what of it waits on the page where it is edited."""

from sqlalchemy.orm import Session

from core import four_eyes
from core.four_eyes import Change
from web.languages import gettext as _


def said(change: Change | None, at_once: str) -> str:
    """The sentence after a change: done, or proposed and when it counts."""
    if change is None:
        return at_once
    if change.alone:
        return _("Proposed. Nobody else here can agree, so it takes effect in 24 hours unless it is withdrawn.")
    return _("Proposed. It takes effect when somebody else agrees; those who can have been told.")


def waiting(session: Session, *kinds: str) -> list[Change]:
    """Proposals of these kinds that wait, for the page where such things are edited."""
    return list(four_eyes.waiting(session, *kinds))
