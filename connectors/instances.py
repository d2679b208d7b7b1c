"""Configured products: their settings and sealed secrets, their health, and which of them does a verb."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import execute, facts, limits, rates, registry
from connectors.contract import Action, ActionFailed, Connector
from connectors.execute import Product
from connectors.models import ConnectorInstance, VerbBinding
from connectors.permissions import MANAGE_CONNECTORS
from core.actors import SYSTEM, Actor
from core.auth import permissions
from core.db import UnitOfWork, reading, unit_of_work
from core.errors import Conflict, Invalid, NotFound, Problem
from core.journal import Fact, record
from core.secrets import seal, unseal
from core.types import Ref

_SEAL = "connectors.instance"
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
MODES = ("first", "one", "all")


@dataclass(frozen=True)
class Target:
    """An action and the configured product that would do it."""

    action: Action
    instance: ConnectorInstance


def create(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    connector: str,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    private: bool = False,
    rate: str | None = None,
) -> ConnectorInstance:
    """Configure a product; `rate` as in rates.read(), None: what its file says. Raises Invalid with every problem, Conflict (the name is taken), NotFound, Forbidden."""
    permissions.require(actor, MANAGE_CONNECTORS.name)
    declared = registry.get(connector)
    if not _SLUG.fullmatch(name):
        raise Invalid(
            f"“{name}” cannot be a product's name: use small letters, digits and hyphens.",
            [Problem("name", "not a slug")],
        )
    if uow.scalar(select(ConnectorInstance.id).where(ConnectorInstance.name == name)) is not None:
        raise Conflict(f"There is already a product named {name}; choose another name.")
    row = ConnectorInstance(
        name=name,
        connector=connector,
        settings=_checked(declared, settings or {}, secrets or {}, kept=()),
        sealed=_sealed(secrets or {}),
        private=private,
        rate=_rate(rate),
        created_at=uow.now,
    )
    uow.add(row)
    uow.flush()
    body = {"name": name, "connector": connector, "change": "configured", "secrets": sorted(secrets or {})}
    record(uow, actor, Fact(facts.CONNECTOR_CHANGED, (_ref(row),), body))
    return row


def change(
    uow: UnitOfWork,
    actor: Actor,
    instance: UUID | str,
    *,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    enabled: bool | None = None,
    private: bool | None = None,
    rate: str | None = None,
) -> ConnectorInstance:
    """Change what is given (`rate` "": what its file says); secrets that are not given stay. Raises Invalid, NotFound, Forbidden."""
    permissions.require(actor, MANAGE_CONNECTORS.name)
    row = get(uow, instance)
    declared = registry.get(row.connector)
    kept = _opened(row)
    told: dict[str, Any] = {"name": row.name, "connector": row.connector, "change": "changed"}
    if settings is not None or secrets is not None:
        merged = {**kept, **{name: value for name, value in (secrets or {}).items() if value}}
        row.settings = _checked(
            declared, settings if settings is not None else row.settings, secrets or {}, kept=tuple(merged)
        )
        row.sealed = _sealed(merged)
        row.health, row.health_note, row.health_at = "unknown", None, None
        told |= {"settings": sorted(settings or {}), "secrets": sorted(secrets or {})}
    if enabled is not None:
        row.enabled = enabled
        told["enabled"] = enabled
    if private is not None:
        row.private = private
        told["private"] = private
    if rate is not None and _rate(rate) != row.rate:
        row.rate = _rate(rate)
        limits.begin_anew(uow, row)
        told["rate"] = row.rate or "as declared"
    record(uow, actor, Fact(facts.CONNECTOR_CHANGED, (_ref(row),), told))
    return row


def get(session: Session, instance: UUID | str) -> ConnectorInstance:
    """The configured product with this id or name. Raises NotFound."""
    row = (
        session.get(ConnectorInstance, instance)
        if isinstance(instance, UUID)
        else session.scalar(select(ConnectorInstance).where(ConnectorInstance.name == instance))
    )
    if row is None:
        raise NotFound(f"No product is configured as {instance}.")
    return row


def by_ids(session: Session, ids: Iterable[UUID]) -> dict[UUID | None, ConnectorInstance]:
    """Those of these products that are still configured, by id."""
    rows = session.scalars(select(ConnectorInstance).where(ConnectorInstance.id.in_(list(ids))))
    return {row.id: row for row in rows}


def configured(session: Session) -> Sequence[ConnectorInstance]:
    """Every configured product, by name."""
    return session.scalars(select(ConnectorInstance).order_by(ConnectorInstance.name)).all()


def product_of(row: ConnectorInstance) -> Product:
    """What a request to this product needs, its secrets opened. Raises Unsealable."""
    return Product(registry.get(row.connector), dict(row.settings), _opened(row), row.private)


def check(instance: UUID | str) -> ConnectorInstance:
    """Ask the product whether its settings work, and keep the answer. Blocks; call it with no transaction open."""
    with reading() as session:
        row = get(session, instance)
    product = product_of(row)
    try:
        health, note = "ok", execute.health(product)
    except ActionFailed as error:
        health, note = "failing", error.message
    with unit_of_work() as uow:
        row = get(uow, instance)
        limits.heard(uow, row.id, product.heard, counted=0)
        if row.health != health:
            body = {"name": row.name, "from": row.health, "to": health}
            record(uow, SYSTEM, Fact(facts.CONNECTOR_CHECKED, (_ref(row),), body, {"note": note[:1000]}))
        row.health, row.health_note, row.health_at = health, note[:1000], uow.now
    return row


# ------------------------------------------------------------------------------------------------ verbs


def bind(
    uow: UnitOfWork, actor: Actor, verb: str, instances: Sequence[str], mode: str = "first"
) -> VerbBinding:
    """Say which products do a verb: `first` that can, `one` (the only one named) or `all`."""
    permissions.require(actor, MANAGE_CONNECTORS.name)
    able = registry.verbs().get(verb, ())
    if not able:
        raise Invalid(f"No product knows the verb {verb}.", [Problem("verb", verb)])
    if mode not in MODES or (mode == "one" and len(instances) != 1):
        raise Invalid("Choose first, all, or one with exactly one product.", [Problem("mode", mode)])
    for name in instances:
        if get(uow, name).connector not in {action.connector for action in able}:
            raise Invalid(f"{name} cannot do {verb}.", [Problem("instances", name)])
    row = uow.get(VerbBinding, verb)
    if row is None:
        row = VerbBinding(verb=verb, created_at=uow.now)
        uow.add(row)
    row.mode, row.instances = mode, list(instances)
    body = {"verb": verb, "mode": mode, "instances": list(instances)}
    record(uow, actor, Fact(facts.VERB_BOUND, (Ref("setting", f"verb:{verb}"),), body))
    return row


def resolve(session: Session, asked: str, instance: str | None = None) -> tuple[str, list[Target]]:
    """The mode and the targets for an action (`okta.suspend_user`) or a verb, in order; no targets: nothing is bound.

    A verb without a binding is done by the first enabled product, in the order of their names, that knows it.
    Raises NotFound when there is neither such an action nor such a verb.
    """
    action = registry.actions().get(asked)
    able = (
        {action.connector: action}
        if action is not None
        else {a.connector: a for a in registry.verbs().get(asked, ())}
    )
    if not able:
        registry.action(asked)  # raises, with the nearest name
    rows = session.scalars(
        select(ConnectorInstance)
        .where(ConnectorInstance.connector.in_(able), ConnectorInstance.enabled.is_(True))
        .order_by(ConnectorInstance.name)
    ).all()
    if instance is not None:
        chosen = get(session, instance)
        if chosen.connector not in able:
            raise Invalid(f"{instance} cannot do {asked}.", [Problem("instance", instance)])
        rows = [row for row in rows if row.id == chosen.id]
    binding = session.get(VerbBinding, asked) if action is None and instance is None else None
    mode = binding.mode if binding is not None else "first"
    if binding is not None:
        by_name = {row.name: row for row in rows}
        rows = [by_name[name] for name in binding.instances if name in by_name]
    if mode == "one":
        rows = rows[:1]
    return mode, [Target(able[row.connector], row) for row in rows]


def bound(session: Session) -> Callable[[str], bool]:
    """Whether an enabled product stands behind an action or verb: read once, for many names."""
    rows = session.scalars(select(ConnectorInstance).where(ConnectorInstance.enabled))
    enabled = {row.name: row.connector for row in rows}
    chosen = {row.verb: row.instances for row in session.scalars(select(VerbBinding))}

    def is_bound(asked: str) -> bool:
        action = registry.actions().get(asked)
        behind = {action.connector} if action else {one.connector for one in registry.verbs().get(asked, ())}
        names = chosen[asked] if action is None and asked in chosen else enabled
        return any(enabled.get(name) in behind for name in names)

    return is_bound


def known(asked: str) -> tuple[Action, ...]:
    """Every action that this name may mean, configured or not. Raises NotFound."""
    action = registry.actions().get(asked)
    if action is not None:
        return (action,)
    return registry.verbs().get(asked) or (registry.action(asked),)


# ------------------------------------------------------------------------------------------------ settings


def _checked(
    declared: Connector, settings: Mapping[str, Any], secrets: Mapping[str, str], kept: Sequence[str]
) -> dict[str, Any]:
    fields = {item.name: item for item in declared.settings}
    secret_names = {item.name for item in declared.secrets}
    problems = [
        Problem(name, f"is not a setting of {declared.title}") for name in settings if name not in fields
    ]
    problems += [
        Problem(name, f"is not a secret of {declared.title}") for name in secrets if name not in secret_names
    ]
    clean: dict[str, Any] = {}
    for item in declared.settings:
        value = settings.get(item.name)
        if value in (None, ""):
            if item.required and item.default is None:
                problems.append(Problem(item.name, "is missing"))
            continue
        if item.type == "url" and not re.match(r"(https?|ldaps?)://[^\s/]+", str(value)):
            problems.append(Problem(item.name, "must be an address beginning with https:// or http://"))
        if item.enum and str(value) not in item.enum:
            problems.append(Problem(item.name, f"must be one of {', '.join(item.enum)}"))
        clean[item.name] = value
    for item in declared.secrets:
        if item.required and not secrets.get(item.name) and item.name not in kept:
            problems.append(Problem(item.name, "is missing"))
    if problems:
        told = "; ".join(f"{problem.path} {problem.message}" for problem in problems)
        raise Invalid(f"{declared.title} cannot be configured like this: {told}.", problems)
    return clean


def _rate(text: str | None) -> str | None:
    """A limit in its usual spelling; None: the product's own. Raises Invalid."""
    return rates.written(rates.read(text)) if text is not None and text.strip() else None


def _sealed(secrets: Mapping[str, str]) -> str | None:
    given = {name: value for name, value in secrets.items() if value}
    return seal(json.dumps(given), _SEAL) if given else None


def _opened(row: ConnectorInstance) -> dict[str, str]:
    return dict(json.loads(unseal(row.sealed, _SEAL))) if row.sealed else {}


def _ref(row: ConnectorInstance) -> Ref:
    return Ref("connector", str(row.id))
