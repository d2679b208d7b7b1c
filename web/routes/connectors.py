"""Connectors: what each product can do, its instances, their settings and their health."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import instances, limits, rates, registry
from connectors.contract import Action, Connector, Rate
from connectors.models import ConnectorInstance
from core.actors import Actor
from core.db import database_now, reading, unit_of_work
from core.errors import NotFound, Problem, TocsinError
from core.secrets import Unsealable
from ingest.models import Source
from web import connector_forms
from web.forms import Asked
from web.languages import gettext as _
from web.markdown import to_page
from web.pages import Page, show, then
from web.security import Fields, Form, allowed

router = APIRouter(include_in_schema=False)


@dataclass(kw_only=True)
class ConnectorsPage(Page, template="connectors.html", rail="settings"):
    """What is configured, and every product there is."""

    configured: list[tuple[ConnectorInstance, str]]
    failing: int
    acting: list[tuple[Connector, int]]
    listening: list[Connector]


@dataclass(frozen=True)
class Configured:
    """One instance with its form."""

    row: ConnectorInstance
    fields: list[Asked]
    kept: list[str]
    broken: str
    limits: tuple[Rate, ...]
    resting: bool
    waiting: int


@dataclass(kw_only=True)
class ConnectorPage(Page, template="connector.html", rail="settings"):
    """One product: its instances, a form for a new one, and what it can do."""

    product: Connector
    instances: list[Configured]
    fields: list[Asked]
    secrets: list[Asked]
    actions: list[Action]
    scopes: str
    sources: list[Source]
    rate: str
    entered: dict[str, str]
    problems: list[Problem]
    open: str
    may_manage: bool
    may_try: bool


@router.get("/connectors")
def everything(request: Request, actor: Actor = allowed("connector.read")) -> Response:
    """Every product."""
    del actor
    with reading() as session:
        rows = list(instances.configured(session))
    numbers: dict[str, int] = {}
    for row in rows:
        numbers[row.connector] = numbers.get(row.connector, 0) + 1
    products = sorted(registry.all().values(), key=lambda product: product.title.casefold())
    known = registry.all()
    page = ConnectorsPage(
        configured=[
            (row, known[row.connector].title if row.connector in known else row.connector) for row in rows
        ],
        failing=sum(row.enabled and row.health == "failing" for row in rows),
        acting=[(product, numbers.get(product.name, 0)) for product in products if product.actions],
        listening=[product for product in products if not product.actions],
    )
    return show(request, page)


@router.get("/connectors/{name}")
def one(request: Request, name: str, actor: Actor = allowed("connector.read")) -> Response:
    """One product."""
    return _page(request, actor, registry.get(name))


@router.post("/connectors/{name}/instances")
def configure(
    request: Request, form: Form, name: str, actor: Actor = allowed("connector.manage")
) -> Response:
    """Configure the product once more."""
    product = registry.get(name)
    given = {**form.starting("setting."), "name": form.get("name"), "rate": form.get("rate")}
    try:
        settings = connector_forms.answers(product.settings, form.starting("setting."))
        with unit_of_work() as uow:
            row = instances.create(
                uow, actor, name=form.get("name"), connector=name, settings=settings, secrets=_secrets(form),
                private=form.flag("private"), rate=form.get("rate"),
            )  # fmt: skip
            made = row.name
    except TocsinError as error:
        return _page(request, actor, product, given, _problems(error), "new")
    return then(f"/connectors/{name}", _checked(made))


@router.post("/connectors/{name}/instances/{instance}")
def change(
    request: Request, form: Form, name: str, instance: str, actor: Actor = allowed("connector.manage")
) -> Response:
    """Change settings; secrets left empty stay."""
    product = registry.get(name)
    try:
        settings = connector_forms.answers(product.settings, form.starting("setting."))
        with unit_of_work() as uow:
            of = _of(uow, name, instance)
            instances.change(
                uow, actor, of.id, settings=settings, secrets=_secrets(form), private=form.flag("private"),
                rate=form.get("rate"),
            )  # fmt: skip
    except NotFound:
        raise
    except TocsinError as error:
        given = {**form.starting("setting."), "rate": form.get("rate")}
        return _page(request, actor, product, given, _problems(error), instance)
    return then(f"/connectors/{name}", _checked(instance))


@router.post("/connectors/{name}/instances/{instance}/check")
def check(name: str, instance: str, actor: Actor = allowed("connector.manage")) -> Response:
    """Ask the product whether the settings work."""
    del actor
    with reading() as session:
        _of(session, name, instance)
    return then(f"/connectors/{name}", _checked(instance))


@router.post("/connectors/{name}/instances/{instance}/switch")
def switch(form: Form, name: str, instance: str, actor: Actor = allowed("connector.manage")) -> Response:
    """Use an instance, or leave it alone."""
    with unit_of_work() as uow:
        row = instances.change(uow, actor, _of(uow, name, instance).id, enabled=form.get("enabled") == "yes")
        said = _("%(name)s may be used again.") if row.enabled else _("%(name)s is not used from now on.")
    return then(f"/connectors/{name}", said % {"name": instance})


def _checked(instance: str) -> str:
    """Check the health of an instance and say what came of it."""
    try:
        row = instances.check(instance)
    except Unsealable as error:
        return _("Saved, but its secrets cannot be opened: %(why)s") % {"why": error.message}
    if row.health == "ok":
        return _("%(name)s works: %(note)s") % {"name": instance, "note": row.health_note or ""}
    return _("%(name)s does not work yet: %(note)s") % {"name": instance, "note": row.health_note or ""}


def _of(session: Session, connector: str, instance: str) -> ConnectorInstance:
    row = instances.get(session, instance)
    if row.connector != connector:
        raise NotFound(_("No such product is configured."))
    return row


def _secrets(form: Fields) -> dict[str, str]:
    return {name: value for name, value in form.starting("secret.").items() if value}


def _problems(error: TocsinError) -> list[Problem]:
    return [Problem("", error.message)]  # the sentence names every problem


def _page(
    request: Request,
    actor: Actor,
    product: Connector,
    entered: dict[str, str] | None = None,
    problems: list[Problem] | None = None,
    opened: str = "",
) -> Response:
    with reading() as session:
        rows = [row for row in instances.configured(session) if row.connector == product.name]
        sources = list(
            session.scalars(select(Source).where(Source.connector == product.name).order_by(Source.name))
        )
        waiting, now = limits.waiting(session), database_now(session)
    given: dict[str, Any] = dict(entered or {})
    page = ConnectorPage(
        product=product,
        instances=[
            _configured(product, row, given if row.name == opened else None, waiting.get(row.id, 0), now)
            for row in rows
        ],
        rate=rates.written(product.rates),
        fields=connector_forms.asked(product.settings, given if opened == "new" else None),
        secrets=connector_forms.asked(product.secrets),
        actions=list(product.actions.values()),
        scopes=to_page(product.scopes) if product.scopes else "",
        sources=sources,
        entered=entered or {},
        problems=problems or [],
        open=opened,
        may_manage=actor.may("connector.manage"),
        may_try=actor.may("action.run"),
    )
    return show(request, page, status=422 if problems else 200)


def _configured(
    product: Connector, row: ConnectorInstance, entered: dict[str, Any] | None, waiting: int, now: datetime
) -> Configured:
    fields = connector_forms.asked(product.settings, entered if entered is not None else row.settings)
    kept, broken = [], ""
    try:
        kept = sorted(instances.product_of(row).secrets)
    except Unsealable as error:
        broken = error.message
    resting = row.paused_until is not None and row.paused_until > now
    return Configured(row, fields, kept, broken, limits.of(row), resting, waiting)
