"""Sources: where alerts come from; adding one, its address and secret shown once, rotating, disabling."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import registry
from connectors.contract import Connector
from connectors.mapping import AlertMapping, check_mapping
from core.actors import Actor
from core.clock import now
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, Problem, TocsinError, Unavailable
from core.four_eyes import Change
from incidents import accepting, tallying
from incidents.accepting import Loud
from incidents.alert_models import Alert, AlertDelivery
from incidents.tallying import Tally
from incidents.visibility import alerts_visible_to
from ingest import looking, queries, sources, subscriptions
from ingest.models import Delivery, Source, Subscription
from ingest.visibility import deliveries_visible_to
from web import connecting, first_steps, four_eyes, json_text
from web.first_steps import Step
from web.languages import gettext as _
from web.markdown import to_page
from web.raw_bodies import noted
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class SourcesPage(Page, template="sources.html", rail="settings"):
    """Every source, how it is doing, and the products one can be added for, narrowed by what was looked for."""

    sources: list[Source]
    titles: dict[str, str]
    quarantined: dict[str, int]
    products: list[Connector]
    find: str
    learning: set[str]
    may_manage: bool


@dataclass(kw_only=True)
class NewSourcePage(Page, template="source_new.html", rail="settings"):
    """The form for a source of one product."""

    product: Connector
    proofs: list[tuple[str, str]]
    unreachable: str | None
    entered: dict[str, str]
    problems: list[Problem]


@dataclass(frozen=True)
class Seen:
    """The newest alert of a source, and the event it was made of as far as the reader may see that."""

    alert: Alert
    raw: str | None
    cut: bool
    delivery: UUID | None = None


@dataclass(kw_only=True)
class SourcePage(Page, template="source.html", rail="settings"):
    """One source: how to point the product here, what it sent and how we read it, its secret when it was just made."""

    source: Source
    product: Connector
    learning: bool
    unreachable: str | None
    trust: connecting.Trust | None
    secret: str | None
    fields: list[connecting.Field]
    ways: list[connecting.Way]
    setup: str
    seen: Seen | None
    tally: Tally | None
    deliveries: list[Any]
    loud: Sequence[Loud]
    quieting: list[tuple[tallying.Loud, Loud | None]]
    next_step: Step | None
    ignored: int
    topics: list[Subscription]
    config: str
    mistyped: bool
    trusts: tuple[str, ...]
    waiting: list[Change]
    may_manage: bool
    problems: list[Problem]


def proof_words() -> dict[str, str]:
    """What each proof of origin means."""
    return {
        "bearer": _("A token in the Authorization header"),
        "url_token": _("A token in the address (weak: it is seen in logs)"),
        "hmac": _("A signature over the body (HMAC-SHA256)"),
        "sns": _("Amazon SNS's own signature"),
        "routing_key": _("A routing key in the body (PagerDuty's form)"),
    }


@router.get("/settings/sources")
def everything(request: Request, actor: Actor = allowed("source.read")) -> Response:
    """All sources."""
    with reading() as session:
        rows = list(session.scalars(select(Source).order_by(Source.name)))
        aside = queries.aside_by_source(session, actor)
    find = request.query_params.get("find", "").strip()[:60]
    products = registry.sources()
    titles = {product.name: product.title for product in products}
    if find:
        products = [p for p in products if find.lower() in f"{p.title} {p.name} {p.kind}".lower()]
    page = SourcesPage(
        sources=rows,
        titles=titles,
        quarantined={str(source): number for source, number in aside.items()},
        products=products,
        find=find,
        learning={row.name for row in rows if row.learning(now())},
        may_manage=actor.may("source.manage"),
    )
    return show(request, page)


@router.get("/settings/sources/new/{connector}")
def new(request: Request, connector: str, actor: Actor = allowed("source.manage")) -> Response:
    """The form for a source of this product."""
    del actor
    return _form(request, registry.get(connector), {}, [])


def _form(request: Request, product: Connector, entered: dict[str, str], problems: list[Problem]) -> Response:
    words = proof_words()
    proofs = [(name, words.get(name, name)) for name in product.proofs]
    page = NewSourcePage(
        product=product,
        proofs=proofs,
        unreachable=connecting.unreachable(),
        entered=entered,
        problems=problems,
    )
    return show(request, page, status=422 if problems else 200)


@router.post("/settings/sources/new/{connector}")
def create(request: Request, form: Form, connector: str, actor: Actor = allowed("source.manage")) -> Response:
    """Add the source and show its address and secret, this once."""
    product = registry.get(connector)
    entered = {name: form.get(name) for name in ("name", "proof", "trust", "config", "learn")}
    try:
        config = _config(entered["config"], product.name)
        with unit_of_work() as uow:
            source, secret = sources.create(
                uow,
                actor,
                name=entered["name"],
                connector=product.name,
                proof=entered["proof"] or None,
                trust=entered["trust"] or None,
                config=config,
                learning=sources.FIRST_DAY if entered["learn"] else None,
            )
    except TocsinError as error:
        return _form(
            request, product, entered, getattr(error, "problems", None) or [Problem("", error.message)]
        )
    return _one(request, actor, source, secret)


@router.get("/settings/sources/{name}")
def one(request: Request, name: str, actor: Actor = allowed("source.read")) -> Response:
    """One source."""
    with reading() as session:
        source = sources.get(session, name)
    return _one(request, actor, source, None)


@router.post("/settings/sources/{name}/rotate")
def rotate(request: Request, name: str, actor: Actor = allowed("source.manage")) -> Response:
    """A second secret beside the present one."""
    with unit_of_work() as uow:
        source = sources.get(uow, name)
        secret = sources.rotate(uow, actor, source.id)
    return _one(request, actor, source, secret)


@router.post("/settings/sources/{name}/retire")
def retire(name: str, actor: Actor = allowed("source.manage")) -> Response:
    """Stop the older secrets."""
    with unit_of_work() as uow:
        sources.retire_older(uow, actor, sources.get(uow, name).id)
    return then(f"/settings/sources/{name}", _("Only the newest secret works now."))


@router.post("/settings/sources/{name}/trust")
def trust(form: Form, name: str, actor: Actor = allowed("source.manage")) -> Response:
    """Believe a source less, or propose to believe it more."""
    with unit_of_work() as uow:
        change = sources.set_trust(uow, actor, sources.get(uow, name).id, form.get("trust"))
        told = four_eyes.said(change, _("Saved; the next alert is believed this far."))
    return then(f"/settings/sources/{name}", told)


@router.post("/settings/sources/{name}/config")
def configure(request: Request, form: Form, name: str, actor: Actor = allowed("source.manage")) -> Response:
    """Change the mapping and settings of a source."""
    try:
        with reading() as session:
            source = sources.get(session, name)
        config = _config(form.get("config"), source.connector)
        with unit_of_work() as uow:
            sources.change(uow, actor, source.id, config=config)
    except Invalid as error:
        wrong = error.problems or [Problem("", error.message)]
        return _one(request, actor, source, None, wrong, typed=form.get("config"))
    return then(f"/settings/sources/{name}", _("Saved; the next delivery is read this way."))


@router.post("/settings/sources/{name}/topics/{subscription_id}/confirm")
def confirm(
    request: Request, name: str, subscription_id: UUID, actor: Actor = allowed("source.manage")
) -> Response:
    """Tell Amazon that this topic may send here; Amazon's own address is visited, and no other."""
    try:
        topic = subscriptions.confirm(actor, subscription_id)
        with unit_of_work() as uow:
            subscriptions.confirmed(uow, actor, subscription_id)
    except (Conflict, Unavailable) as error:
        with reading() as session:
            source = sources.get(session, name)
        return _one(request, actor, source, None, [Problem("", error.message)])
    return then(f"/settings/sources/{name}", _("%(topic)s may send from now on.") % {"topic": topic})


@router.post("/settings/sources/{name}/learned")
def learned(name: str, actor: Actor = allowed("source.manage")) -> Response:
    """Let it page like any other source from now on."""
    with unit_of_work() as uow:
        sources.end_learning(uow, actor, sources.get(uow, name).id)
    return then(
        f"/settings/sources/{name}", _("%(name)s pages like any other source from now on.") % {"name": name}
    )


@router.post("/settings/sources/{name}/disable")
def disable(name: str, actor: Actor = allowed("source.manage")) -> Response:
    """Refuse what this source sends."""
    with unit_of_work() as uow:
        sources.disable(uow, actor, sources.get(uow, name).id)
    return then("/settings/sources", _("%(name)s is refused from now on.") % {"name": name})


@router.post("/settings/sources/{name}/enable")
def enable(name: str, actor: Actor = allowed("source.manage")) -> Response:
    """Listen to this source again."""
    with unit_of_work() as uow:
        sources.enable(uow, actor, sources.get(uow, name).id)
    return then("/settings/sources", _("%(name)s is listened to again.") % {"name": name})


def _config(text: str, connector: str) -> dict[str, Any]:
    """The settings as they were typed; a mapping in them must be one. Raises Invalid."""
    if not text:
        return {}
    try:
        read = json_text.read(text)
    except Invalid as error:
        raise Invalid(error.message, [Problem("", error.message)]) from error
    if not isinstance(read, dict):
        message = _("The settings are an object: {…}")
        raise Invalid(message, [Problem("", message)])
    reader = registry.get(connector).alerts
    if read.get("mapping") and isinstance(reader, AlertMapping) and reader.from_config:
        wrong = check_mapping(read["mapping"])[0]
        if wrong:
            raise Invalid(" ".join(wrong), [Problem("", one) for one in wrong])
    return read


def _one(
    request: Request, actor: Actor, source: Source, secret: str | None, problems: list[Problem] | None = None,
    typed: str | None = None,
) -> Response:  # fmt: skip
    product = registry.get(source.connector)
    with reading() as session:
        rows = session.execute(
            select(
                Delivery.id,
                Delivery.received_at,
                Delivery.state,
                Delivery.size,
                Delivery.alerts,
                Delivery.reason,
            )
            .where(Delivery.source_id == source.id, deliveries_visible_to(actor))
            .order_by(Delivery.id.desc())
            .limit(15)
        ).all()
        loud = accepting.loudest(session, actor, source.id)
        ignored = len(accepting.listed(session, actor, source_id=source.id, limit=200).items)
        topics = list(subscriptions.of_source(session, source.id))
        asked = [
            one
            for one in four_eyes.waiting(session, sources.TRUST.name)
            if one.payload["source"] == str(source.id)
        ]
        seen, tally = None, None
        if actor.may("incident.read"):
            seen = _seen(session, actor, source, product)
            tally = tallying.of_source(
                session, actor, source.id, max(source.created_at, now() - timedelta(days=7))
            )
        next_step = first_steps.following(session, actor, "source")
    if seen is not None and seen.delivery is not None:
        noted(actor, seen.delivery, source.name)
    ways = connecting.ways(source, product, secret)
    setup = product.setup.replace("{{ url }}", sources.url_of(source, secret))
    setup = setup.replace("{{ token }}", secret or connecting.HIDDEN)
    page = SourcePage(
        source=source,
        product=product,
        learning=source.learning(now()),
        unreachable=connecting.unreachable(),
        trust=connecting.trust(),
        secret=secret,
        fields=connecting.fields(source, secret),
        ways=ways,
        setup=to_page(setup) if setup else "",
        seen=seen,
        tally=tally if tally is not None and tally.alerts else None,
        deliveries=list(rows),
        loud=loud,
        quieting=_quieting(tally, loud),
        next_step=next_step,
        ignored=ignored,
        topics=topics,
        trusts=sources.possible_trusts(source),
        waiting=asked,
        config=typed if typed is not None else json.dumps(source.config, indent=2, ensure_ascii=False) if source.config else "",
        mistyped=typed is not None,
        may_manage=actor.may("source.manage"),
        problems=problems or [],
    )
    return show(request, page, status=422 if problems else 200)


def _quieting(tally: Tally | None, loud: Sequence[Loud]) -> list[tuple[tallying.Loud, Loud | None]]:
    """The rules that ring most, each with the thing about which it rings most, unless that is ignored already."""
    if tally is None:
        return []
    first: dict[str | None, Loud] = {}
    for one in loud:
        first.setdefault(one.alert.rule_id, one)
    return [(rule, first.get(rule.rule_id)) for rule in tally.loudest]


def _seen(session: Session, actor: Actor, source: Source, product: Connector) -> Seen | None:
    newest = select(Alert).where(Alert.source_id == source.id, alerts_visible_to(actor))
    alert = session.scalar(newest.order_by(Alert.created_at.desc(), Alert.id.desc()).limit(1))
    if alert is None:
        return None
    row = None
    if actor.may("delivery.read"):
        row = session.execute(
            select(Delivery.id, Delivery.body)
            .join(AlertDelivery, AlertDelivery.delivery_id == Delivery.id)
            .where(AlertDelivery.alert_id == alert.id, deliveries_visible_to(actor))
            .order_by(AlertDelivery.received_at.desc())
            .limit(1)
        ).first()
    if row is None:
        return Seen(alert, None, cut=False)
    raw, cut = looking.event_of(
        product, row.body, source.config, title=alert.title, external_id=alert.external_id
    )
    return Seen(alert, raw, cut, row.id)
