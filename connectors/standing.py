"""What a unit of work has read of products and guard rails, kept for the many calls that it asks for."""

from typing import Any

from connectors import guards, instances, rails
from connectors.contract import Action
from connectors.instances import Target
from core.db import UnitOfWork


def resolved(uow: UnitOfWork, action: str, instance: str | None) -> tuple[str, list[Target]]:
    """The targets of an action, looked up once in a unit of work."""
    known: dict[Any, tuple[str, list[Target]]] = uow.info.setdefault("targets", {})
    if (action, instance) not in known:
        known[action, instance] = instances.resolve(uow, action, instance)
    return known[action, instance]


def rails_for(uow: UnitOfWork, model: Action) -> guards.Rails:
    """The rails for an action, read once in a unit of work and counted on from there."""
    there = known(uow)
    if model.full_name not in there:
        there[model.full_name] = rails.standing(uow, model)
    return there[model.full_name]


def known(uow: UnitOfWork) -> dict[str, guards.Rails]:
    """The rails that were read in this unit of work, by action; one who asks counts what is used up."""
    there: dict[str, guards.Rails] = uow.info.setdefault("rails", {})
    return there
