"""Alerts: what tools said, as a list and one by one with the raw delivery beside what was understood."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from core import clock, lookback
from core.actors import Actor
from core.db import reading
from core.errors import NotFound
from core.journal import entries
from core.types import Ref, Severity
from incidents import keys, queries, views
from incidents.alert_models import Alert, AlertDelivery
from incidents.filters import AlertFilter
from incidents.models import Incident
from incidents.view_models import SavedView
from incidents.visibility import alerts_visible_to, as_id, visible_to
from ingest import queries as door
from ingest.models import Delivery, Source
from ingest.visibility import deliveries_visible_to
from web import keyset
from web.languages import gettext as _
from web.raw_bodies import SHOWN_BYTES, noted, readable
from web.pages import Page, show
from web.security import allowed
from web.telling import Told, tell_all

router = APIRouter(include_in_schema=False)

MOST_COUNTED = 1_000
NOTHING = UUID(int=0)


@dataclass(kw_only=True)
class AlertsPage(Page, template="alerts.html", rail="alerts"):
    """A page of the list of alerts."""

    alerts: list[Alert]
    keys: dict[UUID, str]
    total: int
    day: int
    most: int
    looked_at: int
    quarantined: int
    chips: list[tuple[str, list[tuple[str, str, bool]]]]
    filtered: bool
    any_source: bool
    views: Sequence[SavedView]
    query: str
    next: str | None
    first: str | None


@dataclass(kw_only=True)
class AlertPage(Page, template="alert.html", rail="alerts"):
    """One alert: raw left, understood right."""

    alert: Alert
    incident: Incident | None
    deliveries: list[tuple[UUID, str]]
    raw: str | None
    raw_cut: bool
    raw_type: str
    raw_at: object
    may_read_raw: bool
    story: list[Told]


@router.get("/alerts")
def everything(request: Request, actor: Actor = allowed("incident.read")) -> Response:
    """Alerts newest first, filtered by what the address says."""
    given = request.query_params
    after = given.get("after") or None
    with reading() as session:
        found = queries.alerts(session, actor, wanted(session, actor, given), before=after)
        rows = found.items
        ids = {row.incident_id for row in rows if row.incident_id}
        incidents = {
            row.id: row.key
            for row in session.execute(select(Incident.id, Incident.key).where(Incident.id.in_(ids)))
        }
        total = _counted(session, select(Alert.id).where(Alert.ended_at.is_(None), alerts_visible_to(actor)))
        since = clock.now() - timedelta(days=1)
        day = _counted(session, select(Alert.id).where(Alert.created_at > since, alerts_visible_to(actor)))
        aside = door.quarantined(session, actor, most=MOST_COUNTED)
        # One look into an index for each source, however many alerts there are.
        any_of_it = select(Alert.id).where(Alert.source_id == Source.id, alerts_visible_to(actor)).limit(1)
        from_it = any_of_it.correlate(Source).scalar_subquery().is_not(None)
        names = list(session.scalars(select(Source.name).where(from_it).order_by(Source.name).limit(12)))
        kept = views.of_list(session, actor, "alerts")

    def chip(name: str, value: str, word: str) -> tuple[str, str, bool]:
        on = given.get(name, "") == value
        return (keyset.address("/alerts", given, **{name: None if on and value else value}), word, on)

    words = {
        s.value: w
        for s, w in zip(
            reversed(Severity),
            (_("Critical"), _("High"), _("Medium"), _("Low"), _("Info"), _("Unknown")),
            strict=True,
        )
    }
    chips = [
        (
            _("State"),
            [
                chip("state", "", _("Firing")),
                chip("state", "ended", _("Ended")),
                chip("state", "all", _("All")),
            ],
        ),
        (_("Severity"), [chip("severity", value, word) for value, word in words.items()]),
        (
            _("Where"),
            [chip("loose", "1", _("Without incident")), chip("ignored", "no", _("Not ignored"))],
        ),
    ]
    if len(names) > 1:
        chips.append((_("Source"), [chip("source", name, name) for name in names]))
    page = AlertsPage(
        views=kept,
        query=keyset.address("", given).removeprefix("?"),
        alerts=rows,
        keys=incidents,
        total=total,
        day=day,
        most=MOST_COUNTED,
        looked_at=lookback.AT_ONCE,
        quarantined=aside,
        chips=chips,
        filtered=any(
            given.get(name) for name in ("severity", "state", "source", "loose", "rule", "incident", "ignored")
        ),
        any_source=bool(names),
        next=keyset.address("/alerts", given, after=found.next) if found.next else None,
        first=keyset.address("/alerts", given) if after else None,
    )
    return show(request, page)


def wanted(session: Session, actor: Actor, given: QueryParams) -> AlertFilter:
    """What the address asks for; words that mean nothing here do not narrow, names of what is not there find nothing."""
    source_id = incident_id = None
    if name := given.get("source"):
        source_id = session.scalar(select(Source.id).where(Source.name == name)) or NOTHING
    if key := given.get("incident"):
        of = select(Incident.id).where(Incident.key == (keys.read(key) or key[:40]), visible_to(actor))
        incident_id = session.scalar(of) or NOTHING
    severity, ignored = given.get("severity", ""), given.get("ignored", "")
    return AlertFilter(
        state=given["state"] if given.get("state") in ("ended", "all") else "open",
        severities=[severity] if severity in set(Severity) else [],
        source_id=source_id,
        ignored={"yes": True, "no": False}.get(ignored),
        acceptance=as_id(ignored) if ignored else None,
        attached=False if given.get("loose") else None,
        rule_id=given.get("rule") or None,
        incident=incident_id,
    )


def _counted(session: Session, query: Select[UUID]) -> int:
    """How many there are, up to one more than MOST_COUNTED: in a storm nobody needs the exact figure at once."""
    return session.scalar(select(func.count()).select_from(query.limit(MOST_COUNTED + 1).subquery())) or 0


@router.get("/alerts/{alert_id}")
def one(request: Request, alert_id: UUID, actor: Actor = allowed("incident.read")) -> Response:
    """One alert: what was sent, and what we understood."""
    may_read_raw = actor.may("delivery.read")
    with reading() as session:
        alert = session.scalar(select(Alert).where(Alert.id == alert_id, alerts_visible_to(actor)))
        if alert is None:
            raise NotFound(_("There is no such alert, or you may not see it."))
        incident = session.get(Incident, alert.incident_id) if alert.incident_id else None
        linked = session.execute(
            select(AlertDelivery.delivery_id, AlertDelivery.received_at)
            .where(AlertDelivery.alert_id == alert.id)
            .order_by(AlertDelivery.received_at.desc())
            .limit(20)
        ).all()
        chosen = next(
            (row for row in linked if str(row.delivery_id) == request.query_params.get("delivery")), None
        )
        chosen = chosen or (linked[0] if linked else None)
        raw = select(Delivery).where(deliveries_visible_to(actor))  # it may have brought others' alerts with this one
        delivery = (
            session.scalar(raw.where(Delivery.id == chosen.delivery_id)) if chosen and may_read_raw else None
        )
        story = tell_all(
            queries.readable(session, actor, entries(session, ref=Ref("alert", str(alert.id)), limit=30))
        )
    if delivery is not None:
        noted(actor, delivery.id, alert.source or "")
    page = AlertPage(
        alert=alert,
        incident=incident,
        deliveries=[(row.delivery_id, row.received_at) for row in linked],
        raw=readable(delivery.body, delivery.content_type) if delivery else None,
        raw_cut=bool(delivery and delivery.size > SHOWN_BYTES),
        raw_type=delivery.content_type if delivery else "",
        raw_at=delivery.received_at if delivery else None,
        may_read_raw=may_read_raw,
        story=story,
    )
    return show(request, page)
