"""Finds the connectors by walking the catalogue folder: one product, one file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from connectors.contract import Action, Connector
from connectors.declared import from_yaml
from connectors.located import suggestion
from core.errors import NotFound
from core.plugins import discover

CATALOG = Path(__file__).parent / "catalog"


@lru_cache
def all() -> dict[str, Connector]:  # noqa: A001 - read as registry.all()
    """Every connector by name, in name order. Raises DeclarationError when a file is wrong."""
    found = {path.stem: from_yaml(path) for path in sorted(CATALOG.glob("*.yaml"))}
    found.update(discover("connectors.catalog", "CONNECTOR"))
    return dict(sorted(found.items()))


def get(name: str) -> Connector:
    """The connector of this name; raises NotFound, with the nearest name."""
    connector = all().get(name)
    if connector is None:
        raise NotFound(f'There is no connector "{name}"{suggestion(name, all()) or "."}')
    return connector


def sources() -> list[Connector]:
    """The connectors that can send us alerts."""
    return [connector for connector in all().values() if connector.alerts is not None]


@lru_cache
def actions() -> dict[str, Action]:
    """Every action by its full name `<connector>.<action>`."""
    return {action.full_name: action for connector in all().values() for action in connector.actions.values()}


@lru_cache
def verbs() -> dict[str, tuple[Action, ...]]:
    """Every vendor-neutral verb with the actions that can do it."""
    table: dict[str, tuple[Action, ...]] = {}
    for action in actions().values():
        if action.verb:
            table[action.verb] = (*table.get(action.verb, ()), action)
    return table


def action(name: str) -> Action:
    """The action of this full name; raises NotFound, with the nearest name."""
    found = actions().get(name)
    if found is None:
        raise NotFound(f'There is no action "{name}"{suggestion(name, [*actions(), *verbs()]) or "."}')
    return found
