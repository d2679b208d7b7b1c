"""Who may see which delivery: the one predicate every question about raw bodies goes through.

What nobody restricted is seen by all who may read deliveries. What brought an alert that is restricted to others, alone
or among more, is not; what brought none follows its source.
"""

from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

from sqlalchemy import ColumnElement, and_, not_, or_, select, true
from sqlalchemy.orm import Session, aliased

from core.actors import Actor
from incidents.alert_models import Alert, AlertDelivery
from incidents.alert_rows import FIRST_DELIVERIES, LAST_DELIVERIES
from incidents.visibility import hidden_from, judged, naming, sees_all
from ingest.models import Delivery, Source


def deliveries_visible_to(actor: Actor) -> ColumnElement[bool]:
    """The condition on `Delivery` that holds for what this actor may see of it, if they may read deliveries at all."""
    return true() if sees_all(actor) else _shown(actor.user_id)


def seen_deliveries(session: Session, actor: Actor, ids: Sequence[UUID]) -> set[UUID]:
    """Of these deliveries, those whose receipt and reason the actor may read.

    One that was forgotten is seen by those from whom no source is hidden: what it brought cannot be looked up any more,
    but belonged to no incident, or it would have been kept.
    """
    if sees_all(actor):
        return set(ids)
    seen = set(session.scalars(select(Delivery.id).where(Delivery.id.in_(ids), deliveries_visible_to(actor))))
    if len(seen) < len(set(ids)):
        hidden = select(Source.id).where(
            Source.restricted_to.is_not(None), not_(naming(actor.user_id, Source.restricted_to))
        )
        if session.scalar(hidden.limit(1)) is None:
            kept = session.scalars(select(Delivery.id).where(Delivery.id.in_(ids)))
            seen |= set(ids) - set(kept)
    return seen


judged("delivery", seen_deliveries)


@lru_cache(maxsize=1024)  # building it takes longer than asking it
def _shown(user_id: UUID | None) -> ColumnElement[bool]:
    # Few are restricted: each part is "none of the hidden ones", a short list that is made once for a question. All are
    # aliases, as the question around it may read the same tables.
    source, alert, link = aliased(Source), aliased(Alert), aliased(AlertDelivery)
    sources = select(source.id).where(
        source.restricted_to.is_not(None), not_(naming(user_id, source.restricted_to))
    )
    hidden = (
        alert.incident_id.in_(hidden_from(user_id)),
        and_(
            alert.restricted_to.is_not(None),
            not_(naming(user_id, alert.restricted_to)),
            alert.source_id.not_in(sources),  # a source that is hidden as a whole needs no list of its alerts
        ),
    )
    # An alert that rang often remembers its first and latest deliveries: any other one of its source may be its own.
    of_it = select(link.alert_id).where(link.delivery_id == Delivery.id).limit(1)
    known = of_it.correlate(Delivery).scalar_subquery().is_not(None)
    shown: list[ColumnElement[bool]] = [Delivery.source_id.not_in(sources)]
    for condition in hidden:
        brought = select(link.delivery_id).where(link.alert_id.in_(select(alert.id).where(condition)))
        loud = select(alert.source_id).where(condition, alert.count > FIRST_DELIVERIES + LAST_DELIVERIES)
        shown += [
            Delivery.id.not_in(brought),
            or_(Delivery.alerts == 0, Delivery.source_id.not_in(loud), known),
        ]
    return and_(*shown)
