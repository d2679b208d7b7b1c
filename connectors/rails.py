"""The guard rails as rows: what is protected, the budgets, and the switch that holds all automation."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors import facts, registry
from connectors.contract import Action
from connectors.guards import DEFAULT_BUDGETS, Protected, Rails, check_protected
from connectors.models import DRY_RUN, REFUSED, UNBOUND, ActionBudget, ActionCall, ProtectedEntity, Switch
from connectors.permissions import CHANGE_GUARDS, HOLD_AUTOMATION, RELEASE_AUTOMATION
from core import four_eyes
from core.actors import Actor
from core.auth import factors, permissions
from core.db import UnitOfWork, database_now
from core.errors import Conflict, Invalid, NotFound, Problem
from core.four_eyes import Change
from core.journal import Fact, record
from core.types import Ref

HOLD_ALL = "hold_all"
_HOUR = timedelta(hours=1)


def standing(session: Session, action: Action) -> Rails:
    """The rails as they stand now, for one action."""
    switch = session.get(Switch, HOLD_ALL)
    held = switch is not None and switch.on
    budget = _budget(session, action)
    return Rails(
        protected=tuple(Protected(row.kind, row.value, row.reason, row.own) for row in protected(session)),
        hold_all=held,
        hold_reason=switch.reason if held and switch is not None else None,
        budget=budget,
        used=_used(session, action, budget) if budget is not None else 0,
    )


def _budget(session: Session, action: Action) -> int | None:
    names = [name for name in (action.full_name, action.verb, action.effect.value) if name]
    rows = {
        row.name: row.per_hour
        for row in session.scalars(select(ActionBudget).where(ActionBudget.name.in_(names)))
    }
    return next((rows[name] for name in names if name in rows), DEFAULT_BUDGETS.get(action.effect.value))


def _used(session: Session, action: Action, budget: int) -> int:
    """How often automation has asked for this in the last hour, counted up to a thousand and the budget; what was refused or rehearsed costs nothing."""
    some = (
        select(ActionCall.id)
        .where(ActionCall.action == action.full_name)
        .where(ActionCall.created_at > database_now(session) - _HOUR)
        .where(ActionCall.state.not_in([REFUSED, DRY_RUN, UNBOUND]), ActionCall.undoes.is_(None))
        .where(ActionCall.actor_kind != "person")
        .limit(budget + 1000)
    )
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


# ------------------------------------------------------------------------------------------------ protected things


def protected(session: Session) -> Sequence[ProtectedEntity]:
    """Everything the operator protects; shared ranges and names are protected besides (`connectors.shared_ranges`)."""
    return session.scalars(
        select(ProtectedEntity).order_by(ProtectedEntity.kind, ProtectedEntity.value)
    ).all()


def protect(
    uow: UnitOfWork, actor: Actor, *, kind: str, value: str, reason: str, own: bool = False
) -> ProtectedEntity:
    """Protect a network, domain, host or user (`*` is a wildcard); `own` also keeps it from outside look-ups."""
    permissions.require(actor, CHANGE_GUARDS.name)
    spelled = check_protected(kind, value)
    if not reason.strip():
        raise Invalid(
            "Say why this is protected: whoever is refused will read it.", [Problem("reason", "empty")]
        )
    there = uow.scalar(
        select(ProtectedEntity).where(ProtectedEntity.kind == kind, ProtectedEntity.value == spelled)
    )
    if there is not None:
        raise Conflict(f"{spelled} is protected already: {there.reason}.")
    row = ProtectedEntity(kind=kind, value=spelled, reason=reason.strip(), own=own, created_at=uow.now)
    uow.add(row)
    uow.flush()
    _record(
        uow,
        actor,
        {"rail": "protected", "change": "added", "kind": kind, "value": spelled, "reason": row.reason},
    )
    return row


def unprotect(uow: UnitOfWork, actor: Actor, row_id: UUID) -> Change | None:
    """Protect this no longer: the proposal that somebody else must agree to, or None when it was done at once."""
    permissions.require(actor, CHANGE_GUARDS.name)
    row = _protected(uow, row_id)
    says = f"Protect {row.value} ({row.kind}) no longer. It is protected because: {row.reason}"
    return four_eyes.loosen(
        uow, actor, UNPROTECT, {"id": str(row_id), "kind": row.kind, "value": row.value}, says
    )


def _unprotect(uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
    row = _protected(uow, UUID(payload["id"]))
    uow.delete(row)
    _record(uow, actor, {"rail": "protected", "change": "removed", "kind": row.kind, "value": row.value})


def _protected(uow: UnitOfWork, row_id: UUID) -> ProtectedEntity:
    row = uow.get(ProtectedEntity, row_id)
    if row is None:
        raise NotFound("This is not protected any more.")
    return row


def set_budget(uow: UnitOfWork, actor: Actor, name: str, per_hour: int | None) -> Change | None:
    """How often automation may do an action, a verb, or anything of an effect in an hour; None: the default again.

    A smaller number counts at once; for a larger one this returns the proposal that somebody else must agree to.
    """
    permissions.require(actor, CHANGE_GUARDS.name)
    if per_hour is not None and not 0 <= per_hour <= 100_000:
        raise Invalid("A budget is a number from 0 to 100000.", [Problem("per_hour", str(per_hour))])
    present = allowance(uow, name)
    wanted = per_hour if per_hour is not None else _inherited(uow, name)
    payload = {"name": name, "per_hour": per_hour}
    if present is None or (wanted is not None and wanted <= present):
        _set_budget(uow, actor, payload)
        return None
    often = f"{wanted} times" if wanted is not None else "as often as it likes"
    says = f"Let automation act ({name}) {often} in an hour, instead of {present}."
    return four_eyes.loosen(uow, actor, BUDGET, payload, says)


def allowance(session: Session, name: str) -> int | None:
    """How often this may be done in an hour now: its own budget, or the one it inherits; None: as often as one likes."""
    row = session.get(ActionBudget, name)
    return row.per_hour if row is not None else _inherited(session, name)


def _inherited(session: Session, name: str) -> int | None:
    """What applies without a budget of its own: an action's verb, then the effect; of several, the smallest."""
    if name in DEFAULT_BUDGETS:
        return DEFAULT_BUDGETS[name]
    action = registry.actions().get(name)
    behind = [action] if action is not None else list(registry.verbs().get(name, ()))
    found = []
    for one in behind:
        verb = session.get(ActionBudget, one.verb) if one.verb and one.verb != name else None
        effect = session.get(ActionBudget, one.effect.value)
        row = verb or effect
        found.append(row.per_hour if row is not None else DEFAULT_BUDGETS.get(one.effect.value))
    numbers = [number for number in found if number is not None]
    return min(numbers) if numbers else None


def _set_budget(uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
    name, per_hour = payload["name"], payload["per_hour"]
    row = uow.get(ActionBudget, name)
    before = row.per_hour if row is not None else None
    if per_hour is None:
        if row is not None:
            uow.delete(row)
    elif row is None:
        uow.add(ActionBudget(name=name, per_hour=per_hour, created_at=uow.now))
    else:
        row.per_hour = per_hour
    _record(uow, actor, {"rail": "budget", "name": name, "from": before, "to": per_hour})


_HERE = "/settings/guardrails"
UNPROTECT = four_eyes.declare_kind(
    "guard.unprotect", permission=CHANGE_GUARDS.name, apply=_unprotect, path=f"{_HERE}#protected"
)
BUDGET = four_eyes.declare_kind(
    "guard.budget", permission=CHANGE_GUARDS.name, apply=_set_budget, path=f"{_HERE}#budgets"
)


# ------------------------------------------------------------------------------------------------ the switch


def held(session: Session) -> Switch | None:
    """The switch, when all automation is held."""
    row = session.get(Switch, HOLD_ALL)
    return row if row is not None and row.on else None


def hold_all(uow: UnitOfWork, actor: Actor, reason: str) -> None:
    """Hold whatever writes or disrupts from now on; reading and taking countermeasures back go on."""
    permissions.require(actor, HOLD_AUTOMATION.name)
    if not reason.strip():
        raise Invalid("Say why automation is held: everybody will see it.", [Problem("reason", "empty")])
    _switch(uow, actor, on=True, reason=reason.strip())
    record(uow, actor, Fact(facts.AUTOMATION_HELD, (_SWITCH,), {}, {"reason": reason.strip()[:1000]}))


def release_all(uow: UnitOfWork, actor: Actor, reason: str = "") -> None:
    """Let automation act again; what was held stays held until somebody lets it go on (`settling.resume`).

    Raises NeedsSecondFactor.
    """
    permissions.require(actor, RELEASE_AUTOMATION.name)
    factors.require_fresh(uow, actor)
    row = held(uow)
    body = {"since": row.at.isoformat()} if row is not None else {}
    _switch(uow, actor, on=False, reason=reason.strip() or None)
    record(uow, actor, Fact(facts.AUTOMATION_RELEASED, (_SWITCH,), body, {"reason": reason.strip()[:1000]}))


_SWITCH = Ref("setting", HOLD_ALL)


def _switch(uow: UnitOfWork, actor: Actor, *, on: bool, reason: str | None) -> None:
    now = uow.now
    row = uow.get(Switch, HOLD_ALL)
    if row is None:
        uow.add(Switch(name=HOLD_ALL, on=on, reason=reason, by=actor.name, at=now))
    else:
        row.on, row.reason, row.by, row.at = on, reason, actor.name, now


def _record(uow: UnitOfWork, actor: Actor, body: dict[str, object]) -> None:
    record(uow, actor, Fact(facts.GUARD_CHANGED, (Ref("setting", f"guard:{body['rail']}"),), body))
