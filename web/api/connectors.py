"""Products and their instances over the API; secrets go in and never come out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from connectors import instances, rates, registry
from connectors.contract import Connector
from connectors.models import ConnectorInstance
from core.actors import Actor
from core.db import reading, unit_of_work
from web.calling import may
from web.shapes import Listing, Shape

router = APIRouter(prefix="/api/v1/connectors", tags=["connectors"])


class InputOut(Shape):
    """One setting, secret or input that is declared."""

    name: str
    type: str
    required: bool
    description: str


class ActionOut(Shape):
    """Something a product can do; `effect` is read, write, disruptive or destructive."""

    name: str
    title: str
    verb: str | None
    effect: str
    inputs: list[InputOut]
    can_undo: bool
    can_probe: bool


class ProductOut(Shape):
    """A product that Tocsin knows, configured or not."""

    name: str
    title: str
    kind: str
    docs: str
    sends_alerts: bool
    rate: str
    settings: list[InputOut]
    secrets: list[InputOut]
    actions: list[ActionOut]


class InstanceOut(Shape):
    """A configured product; of its secrets only the names are told.

    `rate` is the most calls that were set for it (`4/1m, 500/1d` or `none`), null: as the product says; `paused_until` is
    told when it answered that it was called too often.
    """

    id: UUID
    name: str
    connector: str
    settings: dict[str, Any]
    secrets: list[str]
    private: bool
    enabled: bool
    rate: str | None
    paused_until: datetime | None
    health: str
    health_note: str | None
    health_at: datetime | None
    created_at: datetime


class InstanceIn(Shape):
    """A product to configure. `private`: it may be reached at a private address; `rate`: the most calls, such as `4/1m`."""

    name: str = Field(max_length=64)
    connector: str
    settings: dict[str, Any] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)
    private: bool = False
    rate: str | None = Field(None, max_length=120)


class InstanceChange(Shape):
    """What is to change; what is not given stays, secrets too. `rate` "": as the product says."""

    settings: dict[str, Any] | None = None
    secrets: dict[str, str] | None = None
    private: bool | None = None
    enabled: bool | None = None
    rate: str | None = Field(None, max_length=120)


@router.get("")
def list_products(_: Actor = may("connector.read")) -> Listing[ProductOut]:
    """Every product, with what it can do."""
    return Listing(items=[_product(one) for one in registry.all().values()], next=None)


@router.get("/instances")
def list_instances(_: Actor = may("connector.read")) -> Listing[InstanceOut]:
    """Every configured product."""
    with reading() as session:
        return Listing(items=[_out(row) for row in instances.configured(session)], next=None)


@router.post("/instances", status_code=201)
def configure(given: InstanceIn, response: Response, actor: Actor = may("connector.manage")) -> InstanceOut:
    """Configure a product."""
    with unit_of_work() as uow:
        row = instances.create(
            uow, actor, name=given.name, connector=given.connector, settings=given.settings, secrets=given.secrets,
            private=given.private, rate=given.rate,
        )  # fmt: skip
        made = _out(row)
    response.headers["Location"] = f"/api/v1/connectors/instances/{made.name}"
    return made


@router.get("/instances/{name}")
def read_instance(name: str, _: Actor = may("connector.read")) -> InstanceOut:
    """One configured product."""
    with reading() as session:
        return _out(instances.get(session, name))


@router.patch("/instances/{name}")
def change_instance(name: str, given: InstanceChange, actor: Actor = may("connector.manage")) -> InstanceOut:
    """Change a configured product."""
    with unit_of_work() as uow:
        row = instances.change(
            uow, actor, name, settings=given.settings, secrets=given.secrets, enabled=given.enabled,
            private=given.private, rate=given.rate,
        )  # fmt: skip
        return _out(row)


@router.post("/instances/{name}/check")
def check_instance(name: str, _: Actor = may("connector.manage")) -> InstanceOut:
    """Ask the product whether its settings work; answers when it has answered."""
    return _out(instances.check(name))


def _product(one: Connector) -> ProductOut:
    return ProductOut(
        name=one.name,
        title=one.title,
        kind=one.kind,
        docs=one.docs,
        sends_alerts=one.alerts is not None,
        rate=rates.written(one.rates),
        settings=[InputOut.model_validate(field) for field in one.settings],
        secrets=[InputOut.model_validate(field) for field in one.secrets],
        actions=[
            ActionOut(
                name=action.full_name,
                title=action.title,
                verb=action.verb,
                effect=action.effect.value,
                inputs=[InputOut.model_validate(field) for field in action.inputs],
                can_undo=action.undo is not None,
                can_probe=action.probe is not None,
            )
            for action in one.actions.values()
        ],
    )


def _out(row: ConnectorInstance) -> InstanceOut:
    told = {name: getattr(row, name) for name in InstanceOut.model_fields if name != "secrets"}
    return InstanceOut(**told, secrets=sorted(instances.product_of(row).secrets))
