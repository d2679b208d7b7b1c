"""What the alerts of one source came to: how many, how many incidents, how many of these page, and whose they are."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.types import Severity
from incidents.models import Alert, Incident
from incidents.visibility import alerts_visible_to

LOOKED_AT = 20_000
TOP = 3


@dataclass(frozen=True)
class Loud:
    """A detection rule and how often it was seen."""

    rule_id: str
    name: str | None
    count: int


@dataclass(frozen=True)
class Tally:
    """Sums over the newest 20,000 alerts that began since then; `capped` says that there were more."""

    since: datetime
    alerts: int
    incidents: int
    serious: int
    loudest: tuple[Loud, ...]
    capped: bool

    @property
    def share(self) -> int:
        """How many hundredths of the alerts come from the loudest rules."""
        return round(100 * sum(rule.count for rule in self.loudest) / self.alerts) if self.alerts else 0


def of_source(session: Session, actor: Actor, source_id: UUID, since: datetime) -> Tally:
    """The tally of what the actor may see of a source. `serious` counts incidents that page when nobody takes them."""
    begun = (
        select(Alert.count, Alert.rule_id, Alert.rule_name, Alert.incident_id)
        .where(Alert.source_id == source_id, Alert.created_at >= since, alerts_visible_to(actor))
        .order_by(Alert.created_at.desc(), Alert.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    total, rows, incidents = session.execute(
        select(
            func.coalesce(func.sum(begun.c.count), 0), func.count(), func.count(distinct(begun.c.incident_id))
        )
    ).one()
    serious = session.scalar(
        select(func.count())
        .select_from(Incident)
        .where(
            Incident.id.in_(select(begun.c.incident_id).where(begun.c.incident_id.is_not(None))),
            Incident.severity.in_([Severity.high.value, Severity.critical.value]),
            Incident.exercise.is_(False),
        )
    )
    seen = func.sum(begun.c.count)
    loudest = session.execute(
        select(begun.c.rule_id, func.max(begun.c.rule_name), seen)
        .where(begun.c.rule_id.is_not(None))
        .group_by(begun.c.rule_id)
        .order_by(seen.desc(), begun.c.rule_id)
        .limit(TOP)
    )
    return Tally(
        since=since,
        alerts=int(total),
        incidents=incidents,
        serious=serious or 0,
        loudest=tuple(Loud(rule, name, int(count)) for rule, name, count in loudest),
        capped=rows == LOOKED_AT,
    )
