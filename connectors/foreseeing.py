"""What a call would do if it were asked for now: at which products, to what, what the guard rails say; nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from connectors import applied, calls, execute, guards, holds, instances, limits, rails
from connectors.calls import CallContext
from connectors.contract import Action, ActionFailed, Entity
from connectors.guards import Verdict
from connectors.instances import Target
from connectors.models import Countermeasure
from connectors.suiting import suit
from core.secrets import Unsealable


@dataclass(frozen=True)
class AtProduct:
    """One product that would be called: the request with its secrets masked, or why it cannot be told beforehand.

    `waits`: until when the call would wait for its turn now, and why.
    """

    instance: str
    action: Action
    request: dict[str, Any] | None
    why: str
    waits: limits.Wait | None = None


@dataclass(frozen=True)
class Foreseen:
    """What a call would do. Without a product (`at` is empty) `action` is one that the catalogue knows.

    `lasts`: it ends by itself after this time; `reviewed`: somebody is asked after this time; `standing`: what is in force
    against the same things already.
    """

    action: Action
    mode: str
    at: list[AtProduct]
    inputs: dict[str, Any]
    entities: tuple[Entity, ...]
    verdict: Verdict
    budget: int | None
    used: int
    standing: Sequence[Countermeasure]
    lasts: timedelta | None
    reviewed: timedelta | None


def foresee(
    session: Session,
    ctx: CallContext,
    action: str,
    inputs: Mapping[str, Any],
    *,
    instance: str | None = None,
) -> Foreseen:
    """What `calls.request` would do with the same words now. Raises Invalid for inputs that cannot be, NotFound."""
    mode, targets = instances.resolve(session, action, instance)
    suited = suit(action, mode, targets, inputs)
    model, targets, named = suited.model, suited.targets, suited.named
    pairs = [(entity.type, entity.value) for entity in named.entities]
    stand = rails.standing(session, model)
    asked = calls.asked_by(ctx, undoes=None, outside=suited.outside)
    stays = applied.contains(model)
    ends = applied.default_time(session, pairs) if stays else None
    return Foreseen(
        action=model,
        mode=mode,
        at=[_at(session, one, named.inputs) for one in (targets if mode == "all" else targets[:1])],
        inputs=named.inputs,
        entities=named.entities,
        verdict=holds.judge(session, ctx.actor, ctx.subject, model, guards.judge(model, named.entities, asked, stand)),
        budget=stand.budget,
        used=stand.used,
        standing=applied.active_for(session, pairs),
        lasts=ends,
        reviewed=applied.REVIEW_AFTER if stays and ends is None else None,
    )


def _at(session: Session, target: Target, inputs: Mapping[str, Any]) -> AtProduct:
    name = target.instance.name
    waits = limits.foresee(session, target.instance)
    try:
        shown = execute.show(target.action, instances.product_of(target.instance), inputs, "…")
    except (ActionFailed, Unsealable) as error:
        return AtProduct(name, target.action, None, error.message, waits)
    return AtProduct(name, target.action, shown, "", waits)
