"""The door to products: every outward effect is asked for here, judged by the guard rails, and kept as a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors import applied, execute, facts, guards, holds, instances, registry, standing
from connectors.contract import Action, ActionFailed, Effect
from connectors.guards import Asked
from connectors.instances import Target
from connectors.models import (
    CALLING,
    DRY_RUN,
    FAILED,
    FINAL,
    HELD,
    INTENDED,
    REFUSED,
    SUCCEEDED,
    UNBOUND,
    UNKNOWN,
    ActionCall,
)
from connectors.permissions import RUN_ACTIONS
from connectors.suiting import suit
from core.actors import Actor, ActorKind
from core.auth import factors, permissions
from core.db import UnitOfWork
from core.errors import Forbidden, Invalid, NotFound, Problem
from core.expressions import TemplateError, render
from core.ids import new_id
from core.journal import Fact, Verb, record
from core.types import Ref
from core.secrets import Unsealable

WORK = "connectors.calls"


@dataclass(frozen=True)
class CallContext:
    """For whom, on whose behalf and how far something is asked: what the guard rails judge by."""

    actor: Actor
    subject: Ref
    tlp: str = "amber+strict"
    dry_run: bool = False
    trust: str = "normal"  # of the source that began it
    approved_by: tuple[str, ...] = ()
    reason: str = ""
    run: str | None = None
    pap: str = "amber"


def effect_of(action: str) -> str:
    """How much an action or a verb changes (the most that any product's way of it does). Raises NotFound."""
    return max((each.effect for each in instances.known(action)), key=lambda effect: effect.rank).value


def request(
    uow: UnitOfWork,
    ctx: CallContext,
    action: str,
    inputs: Mapping[str, Any],
    *,
    instance: str | None = None,
    key: str,
    undo_after: timedelta | None = None,
    review_after: timedelta | None = None,
    attempts: int = 3,
    undoes: UUID | None = None,
) -> ActionCall:
    """Ask for an action (`okta.suspend_user`) or a verb (`identity.disable_user`); the same `key` again is the same call.

    The call comes back `intended` (a worker does it, and tells in `action.finished`), `held`, `refused`, `unbound` or
    `dry_run`, its note saying why. `undo_after` is for network values only: accounts and hosts get a review.
    Raises Invalid for inputs that cannot be, NotFound for an unknown action, Forbidden (and NeedsSecondFactor for what
    a person wants to disrupt).
    """
    permissions.require(ctx.actor, RUN_ACTIONS.name)
    there = _known(uow, key)
    if there is not None:
        return there
    mode, targets = standing.resolved(uow, action, instance)
    suited = suit(action, mode, targets, inputs)
    model, targets, named = suited.model, suited.targets, suited.named
    if model.effect.rank >= Effect.disruptive.rank and undoes is None and not ctx.dry_run:
        answered_for(uow, ctx.actor)
    pairs = [(entity.type, entity.value) for entity in named.entities]
    _check_undo(model, pairs, undo_after)
    stand = standing.rails_for(uow, model)
    verdict = guards.judge(model, named.entities, asked_by(ctx, undoes=undoes, outside=suited.outside), stand)
    if undoes is None:
        verdict = holds.judge(uow, ctx.actor, ctx.subject, model, verdict)
    if undo_after is None and applied.contains(model):
        undo_after = applied.default_time(uow, pairs)
    row = ActionCall(
        id=new_id(), key=key, asked=action, chosen=instance, effect=model.effect.value, created_at=uow.now, reason=ctx.reason or None,
        subject_kind=ctx.subject.kind, subject_id=ctx.subject.id, run=ctx.run,
        actor_kind=ctx.actor.kind.value, actor_id=ctx.actor.id, actor_name=ctx.actor.name,
        trust=ctx.trust, tlp=ctx.tlp, approved_by=list(ctx.approved_by),
        inputs=named.inputs, entities=[list(pair) for pair in pairs],
        tries=0, most_tries=max(1, min(attempts, 20)), undoes=undoes,
        undo_after_seconds=_seconds(undo_after), review_after_seconds=_seconds(review_after),
        state=INTENDED, note=verdict.why or None, rail=verdict.rail or None,
    )  # fmt: skip
    if verdict.state == "refused":
        end(uow, ctx.actor, row, REFUSED, facts.ACTION_REFUSED, rail=verdict.rail)
    elif not targets:
        row.note, row.output = _unbound(action, model, named.inputs)
        end(uow, ctx.actor, row, UNBOUND, facts.ACTION_UNBOUND)
    elif verdict.state == "dry_run":
        _rehearse(row, targets[0], named.inputs)
        end(uow, ctx.actor, row, DRY_RUN, facts.ACTION_REHEARSED)
    elif verdict.state == "held":
        _aim(row, targets, mode)
        row.state = HELD
        tell(uow, ctx.actor, row, facts.ACTION_HELD)
    else:
        tell(uow, ctx.actor, row, facts.ACTION_INTENDED)
        start(uow, row, targets, mode)
    uow.add(row)
    if row.state in (INTENDED, CALLING, HELD) and undoes is None and ctx.actor.kind is not ActorKind.person:
        standing.known(uow)[model.full_name] = replace(stand, used=stand.used + 1)
    if row.action is None:  # to all products of a verb: one each
        standing.known(uow).clear()
    return row


def _known(uow: UnitOfWork, key: str) -> ActionCall | None:
    """The call with this key, stored or asked for in this unit of work: many are written together at its end."""
    new = next((row for row in uow.new if isinstance(row, ActionCall) and row.key == key), None)
    if new is not None:
        return new
    with uow.no_autoflush:
        return uow.scalar(select(ActionCall).where(ActionCall.key == key))


def rehearse(
    uow: UnitOfWork, ctx: CallContext, action: str, inputs: Mapping[str, Any], *, key: str
) -> ActionCall:
    """What an action would send, without sending it: the "try" of a product's page."""
    rehearsed = CallContext(**{**vars(ctx), "dry_run": True})
    return request(uow, rehearsed, action, inputs, key=key)


# ------------------------------------------------------------------------------------------------ asking


def asked_by(ctx: CallContext, *, undoes: UUID | None, outside: bool) -> Asked:
    """What the guard rails are told of who asks and why."""
    return Asked(
        by_person=ctx.actor.kind in (ActorKind.person, ActorKind.token),
        approved_by=ctx.approved_by,
        trust=ctx.trust,
        tlp=ctx.tlp,
        pap=ctx.pap,
        dry_run=ctx.dry_run,
        releasing=undoes is not None,
        outside=outside,
    )


def answered_for(uow: UnitOfWork, actor: Actor) -> None:
    """Whoever disrupts by hand is a person at a session that showed a second factor lately. Raises Forbidden."""
    if actor.kind is ActorKind.token:
        raise Forbidden(
            "A program's token cannot do what disrupts: start a playbook, which asks a person, or do it signed in."
        )
    factors.require_fresh(uow, actor)


def _check_undo(action: Action, pairs: Sequence[tuple[str, str]], undo_after: timedelta | None) -> None:
    if undo_after is None:
        return
    if any(kind not in guards.NETWORK_TYPES for kind, _ in pairs):
        raise Invalid(
            "Accounts and hosts are not given back by a timer: the attacker would wait for it. Use review_after, and a "
            "person decides.",
            [Problem("undo_after", "is for addresses, domains and URLs")],
        )
    if action.undo is None:
        raise Invalid(
            f"{action.title} cannot be undone: {action.no_undo or 'it declares no undo'}",
            [Problem("undo_after", "")],
        )


def _seconds(span: timedelta | None) -> int | None:
    return int(span.total_seconds()) if span is not None else None


def _unbound(asked: str, model: Action, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        instructions = str(render(model.instructions, {"inputs": dict(inputs)})) if model.instructions else ""
    except TemplateError:
        instructions = model.instructions
    return f"No configured product can do {asked}: a person must.", {"instructions": instructions}


def _rehearse(row: ActionCall, target: Target, inputs: Mapping[str, Any]) -> None:
    _aim(row, [target], "one")
    try:
        row.request = execute.show(target.action, instances.product_of(target.instance), inputs, row.key)
        row.note = "This is what would be sent; nothing was."
    except (ActionFailed, Unsealable) as error:
        row.note = f"It could not even be rehearsed: {error.message}"


def _aim(row: ActionCall, targets: Sequence[Target], mode: str) -> None:
    first = targets[0]
    row.action, row.instance_id, row.instance = first.action.full_name, first.instance.id, first.instance.name
    row.alternatives = [target.instance.name for target in targets[1:]] if mode == "first" else None


def start(uow: UnitOfWork, row: ActionCall, targets: Sequence[Target], mode: str) -> None:
    """Make the call due; a call to all products of a verb becomes one call each."""
    if mode == "all" and len(targets) > 1:
        row.state = CALLING
        uow.add(row)
        uow.flush()
        for target in targets:
            named = suit(row.asked, "one", [target], row.inputs).named
            child = ActionCall(
                **{name: getattr(row, name) for name in _SHARED}, inputs=named.inputs,
                entities=[[entity.type, entity.value] for entity in named.entities], key=f"{row.key}#{target.instance.name}"[:200],
                parent_id=row.id, state=INTENDED, due_at=uow.now, created_at=uow.now,
            )  # fmt: skip
            _aim(child, [target], "one")
            uow.add(child)
    else:
        _aim(row, targets, mode)
        row.state, row.due_at = INTENDED, uow.now
    uow.wake(WORK)


_SHARED = (
    "asked", "effect", "reason", "subject_kind", "subject_id", "run", "actor_kind", "actor_id", "actor_name", "trust",
    "tlp", "approved_by", "most_tries", "undoes", "undo_after_seconds", "review_after_seconds",
)  # fmt: skip


def end(uow: UnitOfWork, actor: Actor, row: ActionCall, state: str, verb: Verb, **more: Any) -> None:
    """A call ends before it was made; tells why."""
    row.state, row.finished_at = state, uow.now
    tell(uow, actor, row, verb, **more)


def tell(uow: UnitOfWork, actor: Actor, row: ActionCall, verb: Verb, **more: Any) -> None:
    """Record what became of a call, on it, on its subject and on its run."""
    refs = [Ref("call", str(row.id)), row.subject]
    if row.run is not None:
        refs.append(Ref("run", row.run))
    body = {
        "action": row.action or row.asked, "asked": row.asked, "instance": row.instance, "effect": row.effect,
        "state": row.state, "key": row.key, "approved_by": row.approved_by, "tries": row.tries, **more,
    }  # fmt: skip
    data = {"inputs": row.inputs, "note": row.note, "reason": row.reason}
    record(uow, actor, Fact(verb, tuple(refs), body, data))


# ------------------------------------------------------------------------------------------------ the end


def finished(uow: UnitOfWork, actor: Actor, row: ActionCall) -> None:
    """A call has ended (or is unknown): tell, keep what it has put in place, and end its parent with the last child."""
    tell(uow, actor, row, facts.ACTION_FINISHED)
    if row.state == SUCCEEDED and row.action is not None:
        applied.begin(uow, actor, row, registry.action(row.action))
    elif row.undoes is not None:
        applied.not_taken_back(uow, actor, row)
    if row.parent_id is not None:
        uow.flush()
        _end_parent(uow, actor, row.parent_id)


def _end_parent(uow: UnitOfWork, actor: Actor, parent_id: UUID) -> None:
    parent = uow.get(ActionCall, parent_id, with_for_update=True, populate_existing=True)
    children = uow.scalars(
        select(ActionCall).where(ActionCall.parent_id == parent_id).order_by(ActionCall.id)
    ).all()
    if parent is None or any(child.state not in FINAL and child.state != UNKNOWN for child in children):
        return
    states = {child.state for child in children}
    parent.state = UNKNOWN if UNKNOWN in states else SUCCEEDED if states == {SUCCEEDED} else FAILED
    parent.output = {
        "results": [
            {
                "instance": child.instance,
                "ok": child.state == SUCCEEDED,
                "output": child.output,
                "error": child.note,
            }
            for child in children
        ]
    }
    failed = [child.instance for child in children if child.state != SUCCEEDED]
    parent.note = f"It did not succeed at {', '.join(str(name) for name in failed)}." if failed else None
    parent.finished_at = uow.now
    tell(uow, actor, parent, facts.ACTION_FINISHED)


# ------------------------------------------------------------------------------------------------ questions


def get(session: Session, call_id: UUID, *, locked: bool = False) -> ActionCall:
    """The call with this id; `locked`: read anew, and no other transaction changes it meanwhile. Raises NotFound."""
    row = session.get(ActionCall, call_id, with_for_update=locked or None, populate_existing=locked)
    if row is None:
        raise NotFound("There is no such action.")
    return row


def of_subject(
    session: Session, subject: Ref, limit: int = 200, *, before: UUID | None = None
) -> Sequence[ActionCall]:
    """What was asked for a subject, newest first; `before`: what was asked earlier than this call."""
    query = select(ActionCall).where(
        ActionCall.subject_kind == subject.kind, ActionCall.subject_id == subject.id
    )
    if before is not None:
        query = query.where(ActionCall.id < before)
    return session.scalars(query.order_by(ActionCall.id.desc()).limit(limit)).all()


def aside(session: Session) -> Sequence[ActionCall]:
    """What waits for a person: held and unknown calls, oldest first."""
    return session.scalars(
        select(ActionCall).where(ActionCall.state.in_([HELD, UNKNOWN])).order_by(ActionCall.id)
    ).all()


def disrupts(action: str) -> bool:
    """Whether an action or verb disrupts or destroys, so that it needs approval where playbooks only ask."""
    return Effect(effect_of(action)).rank >= Effect.disruptive.rank
