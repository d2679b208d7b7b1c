"""Tells the compiler of every action and verb: those of the products, and the neutral ones."""

from connectors import registry
from connectors.contract import Action, Effect
from playbooks.contract import ActionInfo
from playbooks.verbs import NeutralVerb
from playbooks.vocabulary import VERBS


class Catalogue:
    """A `KnownAction`: the actions of all connectors, their verbs, and the neutral verbs."""

    @property
    def names(self) -> list[str]:
        """Every name that can stand after `action:`."""
        return sorted({*registry.actions(), *registry.verbs(), *VERBS})

    def __call__(self, name: str) -> ActionInfo | None:
        action = registry.actions().get(name)
        if action is not None:
            inputs = {one.name: one.required and one.default is None for one in action.inputs}
            return ActionInfo(
                name, str(action.effect), action.title, inputs, by_hand=action.instructions, verb=action.verb
            )
        behind, neutral = registry.verbs().get(name, ()), VERBS.get(name)
        if not behind and neutral is None:
            return None
        return _verb(name, behind, neutral)


def _verb(name: str, behind: tuple[Action, ...], neutral: NeutralVerb | None) -> ActionInfo:
    """A verb as its products have it: the strongest effect, every input any of them takes."""
    effects = [action.effect for action in behind] + ([Effect(neutral.effect)] if neutral else [])
    inputs = {one.name: False for action in behind for one in action.inputs}
    required = neutral.needs if neutral else _needed_by_all(behind)
    return ActionInfo(
        name,
        str(max(effects, key=lambda effect: effect.rank)),
        neutral.title if neutral else behind[0].title,
        {**inputs, **required},
        by_hand=neutral.by_hand if neutral else behind[0].instructions,
        verb=name,
        form=neutral.form if neutral else None,
        fits={key: value.fits for key, value in neutral.inputs.items()} if neutral else {},
    )


def _needed_by_all(behind: tuple[Action, ...]) -> dict[str, bool]:
    first, *rest = [
        {one.name for one in action.inputs if one.required and one.default is None} for action in behind
    ]
    return dict.fromkeys(first.intersection(*rest), True)
