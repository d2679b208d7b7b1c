"""Notice alerts about something that is under an active countermeasure: containment may have failed."""

from collections.abc import Sequence

from core.actors import Actor
from core.db import UnitOfWork
from incidents.episodes import Episode


def doubt(uow: UnitOfWork, actor: Actor, episodes: Sequence[Episode]) -> None:
    """Record `alert.containment_doubted` for fresh alerts about entities under an active countermeasure."""
