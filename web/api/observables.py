"""Where a value was seen, over the API."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from connectors.entities import defang
from core.actors import Actor
from core.db import reading
from incidents import whereabouts
from web.calling import may
from web.shapes import Listing, Shape

router = APIRouter(prefix="/api/v1/observables", tags=["observables"])


class ObservableOut(Shape):
    """A value and where it was seen; `value` is the true one, `defanged` the one to show to people."""

    id: UUID
    type: str
    value: str
    defanged: str
    incidents: int
    alerts: int
    first_seen: datetime | None
    last_seen: datetime | None
    incident_keys: list[str]


@router.get("")
def find_observables(
    q: Annotated[str, Query(min_length=1, max_length=2000)], actor: Actor = may("incident.read")
) -> Listing[ObservableOut]:
    """Where the value in `q` (also defanged) was seen; a bare name may be a host, a user, a domain and more.

    A value that was never seen is told with zero counts, so that one question suffices. `incident_keys` are the
    newest 50.
    """
    with reading() as session:
        items = [
            ObservableOut(
                id=one.id, type=one.type, value=one.value, defanged=defang(one.type, one.value),
                incidents=one.incidents, alerts=one.alerts, first_seen=one.first_seen, last_seen=one.last_seen,
                incident_keys=whereabouts.incident_keys(session, actor, one.id),
            )
            for one in whereabouts.whereabouts(session, actor, q)
        ]  # fmt: skip
    return Listing(items=items, next=None)
