"""Alerts over the API: list and read."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from core.actors import Actor
from core.db import reading
from incidents import queries
from incidents.filters import AlertFilter
from web.calling import may
from web.subjects import without_hidden
from web.shapes import Listing, Shape, rows

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])


class AlertOut(Shape):
    """One episode of an alert: from its first firing until it is resolved or falls quiet."""

    id: UUID
    created_at: datetime
    source_id: UUID
    source: str
    connector: str
    trust: str
    fingerprint: str
    external_id: str | None
    title: str
    description: str | None
    severity: str
    severity_raw: str | None
    status: str
    status_raw: str | None
    rule_id: str | None
    rule_name: str | None
    category: str | None
    entities: list[dict[str, Any]]
    techniques: list[str]
    tags: list[str]
    labels: dict[str, str]
    url: str | None
    is_test: bool
    late: bool
    learning: bool
    count: int
    occurred_at: datetime | None
    first_seen: datetime
    last_seen: datetime
    ended_at: datetime | None
    ended_by: str | None
    incident_id: UUID | None
    acceptance_id: UUID | None
    rule: str | None
    why: str | None
    recurrence_of: UUID | None


@router.get("")
def list_alerts(
    state: Annotated[str, Query(pattern="^(open|ended|all)$")] = "all",
    severity: Annotated[list[str], Query()] = [],
    source: UUID | None = None,
    incident: UUID | None = None,
    category: str | None = None,
    acceptance: UUID | None = None,
    observable: str | None = None,
    words: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    actor: Actor = may("incident.read"),
) -> Listing[AlertOut]:
    """Alerts, newest first; `after` is the `next` of the page before."""
    wanted = AlertFilter(
        state=state, severities=severity, source_id=source, incident=incident, category=category,
        acceptance=acceptance, observable=observable, words=words,
    )  # fmt: skip
    with reading() as session:
        page = queries.alerts(session, actor, wanted, before=after, limit=limit)
        items = without_hidden(session, actor, rows(page.items, AlertOut))
    return Listing(items=items, next=page.next)


@router.get("/{alert_id}")
def read_alert(alert_id: UUID, actor: Actor = may("incident.read")) -> AlertOut:
    """One alert."""
    with reading() as session:
        alert = AlertOut.model_validate(queries.alert(session, actor, alert_id))
        (told,) = without_hidden(session, actor, [alert])
    return told
