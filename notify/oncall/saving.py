"""Saves a policy as a person edited it: what would reach fewer people by the default one, or later, needs somebody else."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from core import four_eyes
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.four_eyes import Change
from notify.escalation import Target
from notify.models import Policy
from notify.oncall import policy_editing
from notify.oncall.policy_editing import PolicyDraft, StepDraft
from notify.permissions import MANAGE
from notify.policies import ACK_TIMEOUT, as_plan

Plan = Mapping[str, Any]
_AT_LAST = 10**9  # seconds: after every step


def save(
    uow: UnitOfWork, actor: Actor, policy_id: UUID | None, draft: PolicyDraft, *, version: int | None = None
) -> Change | None:
    """Save it: None, or the proposal that somebody else must agree to. Raises Invalid, NotFound, Stale, Conflict."""
    permissions.require(actor, MANAGE.name)
    default = uow.scalar(select(Policy).where(Policy.is_default).order_by(Policy.name).limit(1))
    touched = default is not None and (draft.is_default or default.id == policy_id)
    if default is None or not touched or not loosens(as_plan(uow, default), as_written(draft)):
        _put(uow, actor, policy_id, draft, version)
        return None
    savepoint = uow.begin_nested()  # what cannot be saved at all is told now, not when somebody has agreed to it
    _put(uow, actor, policy_id, draft, version)
    savepoint.rollback()
    uow.expire_all()
    payload = {
        "policy": str(policy_id) if policy_id else None, "version": version, "name": draft.name.strip(),
        "description": draft.description, "default": draft.is_default, **as_written(draft),
    }  # fmt: skip
    says = f"Change the default escalation ({draft.name.strip()}) so that somebody is reached later, or not at all."
    return four_eyes.loosen(uow, actor, DEFAULT, payload, says)


def loosens(present: Plan, wanted: Plan) -> bool:
    """Whether somebody whom the present plan reaches would be reached later by the other, less often, or not at all."""
    before, after = _when(present), _when(wanted)
    later = any(target not in after or after[target] > at for target, at in before.items())
    return later or wanted["repeat"] < present["repeat"] or _again_after(wanted) > _again_after(present)


def as_written(draft: PolicyDraft) -> dict[str, Any]:
    """A draft as a plan: {repeat, ack_timeout, steps: [{delay, targets}], catch_all: {delay, targets}}."""
    return {
        "repeat": draft.repeat,
        "ack_timeout": draft.ack_timeout,
        "steps": [
            {"delay": step.delay, "targets": [target._asdict() for target in step.targets]}
            for step in draft.steps
        ],
        "catch_all": {
            "delay": draft.catch_all_delay,
            "targets": [target._asdict() for target in draft.catch_all],
        },
    }


def _when(plan: Plan) -> dict[tuple[str, str], int]:
    """After how many seconds each target is first reached; those of the catch-all at last, whenever that is."""
    found: dict[tuple[str, str], int] = {}
    at = 0
    for step in plan["steps"]:
        for target in step["targets"]:
            found.setdefault((target["kind"], target["id"]), at)
        at += step["delay"]
    for target in plan["catch_all"]["targets"]:
        found.setdefault((target["kind"], target["id"]), _AT_LAST)
        found.setdefault(("last", f"{target['kind']}:{target['id']}"), 0)  # who is tried at last stays tried at last
    return found


def _again_after(plan: Plan) -> int:
    """Seconds after an acknowledgement without any work until it pages again; never is later than all."""
    return plan.get("ack_timeout", ACK_TIMEOUT) or _AT_LAST


def _put(
    uow: UnitOfWork, actor: Actor, policy_id: UUID | None, draft: PolicyDraft, version: int | None
) -> None:
    if policy_id is None:
        policy_editing.create_policy(uow, actor, draft)
    else:
        policy_editing.update_policy(uow, actor, policy_id, draft, version=version)


def _agreed(uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
    draft = PolicyDraft(
        name=payload["name"],
        description=payload["description"],
        repeat=payload["repeat"],
        steps=tuple(StepDraft(_targets(step["targets"]), step["delay"]) for step in payload["steps"]),
        catch_all=_targets(payload["catch_all"]["targets"]),
        catch_all_delay=payload["catch_all"]["delay"],
        is_default=payload["default"],
        ack_timeout=payload["ack_timeout"],
    )
    with_permission = Actor(actor.kind, actor.id, actor.name, frozenset({MANAGE.name}))  # checked by four_eyes
    _put(uow, with_permission, UUID(payload["policy"]) if payload["policy"] else None, draft, payload["version"])


def _targets(given: Sequence[Mapping[str, str]]) -> tuple[Target, ...]:
    return tuple(Target(target["kind"], target["id"]) for target in given)


DEFAULT = four_eyes.declare_kind(
    "oncall.default", permission=MANAGE.name, apply=_agreed, path="/oncall/policies"
)
