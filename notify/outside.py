"""What may be said over a way that others can read; decided above, where it is known what a page is about."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.types import Ref

HIDDEN = "▒▒▒"
"""Stands for a name or an address that is not said."""


@dataclass(frozen=True)
class Outside:
    """The title and at most two lines; `veiled` tells that something was left out."""

    title: str
    lines: tuple[str, ...]
    veiled: bool


Decide = Callable[[Session, Ref, str, str], Outside]
_deciding: list[Decide] = []


def decided_by(decide: Decide) -> Decide:
    """The function of an upper package that decides; takes the session, the subject, a title and a text."""
    _deciding[:] = [decide]
    return decide


def outside(session: Session, subject: Ref, title: str, text: str) -> Outside:
    """What may be said of it; where nobody can tell, only that somebody is needed."""
    if not _deciding:
        return Outside("Somebody is needed", (), veiled=True)
    return _deciding[0](session, subject, title, text)
