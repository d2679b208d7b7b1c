"""What such incidents usually took: medians over the year before, of declared incidents of the same severity."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from incidents import milestones
from incidents.milestones import Times
from incidents.models import Incident, Milestone
from incidents.visibility import visible_to

YEAR = timedelta(days=365)
MOST = 2000
"""So many of the newest are looked at."""
_AT_ONCE = 500


@dataclass(frozen=True)
class Usual:
    """The median in seconds and how many incidents it is of; None and 0 where nobody knows."""

    seconds: float | None
    among: int


def year_of(session: Session, actor: Actor, incident: Incident) -> dict[str, Usual]:
    """By span, the medians of the year before an incident was opened; exercises, late ones and itself do not count."""
    query = (
        select(Incident.id)
        .where(Incident.confirmation == "declared", Incident.severity == incident.severity)
        .where(
            Incident.exercise.is_(False),
            Incident.late.is_(False),
            Incident.id != incident.id,
            visible_to(actor),
        )
        .where(Incident.created_at > incident.created_at - YEAR, Incident.created_at <= incident.created_at)
        .order_by(Incident.created_at.desc(), Incident.id.desc())
        .limit(MOST)
    )
    ids = list(session.scalars(query))
    return medians([milestones.times(known) for known in _known(session, ids)])


def _known(session: Session, ids: Sequence[UUID]) -> list[dict[str, Milestone]]:
    return [
        known
        for start in range(0, len(ids), _AT_ONCE)
        for known in milestones.of_many(session, ids[start : start + _AT_ONCE]).values()
    ]


def medians(all_times: Sequence[Times]) -> dict[str, Usual]:
    """The median of each span among those where it is known."""
    found = {}
    for span, field in SPANS.items():
        lengths = [length.total_seconds() for one in all_times if (length := getattr(one, field)) is not None]
        found[span] = Usual(median(lengths) if lengths else None, len(lengths))
    return found


SPANS = {
    "detect": "to_detect", "acknowledge": "to_acknowledge", "contain": "to_contain", "recover": "to_recover",
    "close": "to_close", "dwell": "dwell",
}  # fmt: skip
"""The spans of a report, and what `Times` calls each."""
