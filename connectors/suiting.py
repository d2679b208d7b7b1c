"""Finds who can be asked with these inputs: every product of a verb is judged by its own declaration, not by the first one's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors import guards, instances, registry
from connectors.contract import Action
from connectors.guards import Named
from connectors.instances import Target
from core.errors import Invalid


@dataclass(frozen=True)
class Suited:
    """What is asked, and of whom: `targets` are those that take the inputs, in their order.

    `model` is what the guard rails judge: of the actions that may be called, the first of those that change most. `named`
    holds the inputs of all of them and everything they name; `outside` says whether any of them leaves the house for a look-up.
    """

    model: Action
    targets: list[Target]
    named: Named
    outside: bool


def suit(asked: str, mode: str, targets: Sequence[Target], given: Mapping[str, Any]) -> Suited:
    """Read inputs for an action or a verb by the declaration of each that would do it; without targets, by any that could.

    What only another product of the verb takes is not handed to this one. A product that cannot be asked like this is passed over,
    unless all are meant. Raises Invalid with the problems of the first one when none can.
    """
    known = instances.known(asked)
    taken = {item.name for action in known for item in action.inputs}
    suited: list[tuple[Action, Target | None, Named, bool]] = []
    refused: Invalid | None = None
    candidates: list[tuple[Action, Target | None]] = [(one.action, one) for one in targets]
    for action, target in candidates or [(one, None) for one in known]:
        outside = registry.get(action.connector).kind == "intel"
        try:
            suited.append((action, target, guards.read_inputs(action, own(action, given, taken), outside=outside), outside))
        except Invalid as error:
            if mode == "all" and targets:
                raise
            refused = refused or error
    if refused is not None and not suited:
        raise refused
    suited = suited if targets else suited[:1]
    inputs: dict[str, Any] = {}
    for _action, _target, named, _outside in reversed(suited):
        inputs |= named.inputs
    entities = tuple(dict.fromkeys(entity for _action, _target, named, _outside in suited for entity in named.entities))
    return Suited(
        model=max((action for action, *_ in suited), key=lambda action: action.effect.rank),
        targets=[target for _action, target, *_ in suited if target is not None],
        named=Named(inputs, entities),
        outside=any(outside for *_, outside in suited),
    )


def own(action: Action, given: Mapping[str, Any], others: set[str]) -> dict[str, Any]:
    """Of these inputs, those of an action; what belongs to `others` alone is left out, what nobody knows stays to be refused."""
    mine = {item.name for item in action.inputs}
    return {name: value for name, value in given.items() if name in mine or name not in others}
