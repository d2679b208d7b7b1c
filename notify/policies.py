"""Reads an escalation policy into the plan that a page keeps."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ScalarSelect, or_, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from notify.models import Policy, PolicyStep

CATCH_ALL_WAITS = 300
"""Seconds the catch-all has before a page counts as exhausted, when the policy says nothing."""
ACK_TIMEOUT = 1800
"""Seconds after an acknowledgement within which somebody must do something, when the policy says nothing."""


def plan(session: Session, name: str) -> dict[str, Any]:
    """The plan of the policy called `name`, or of the default one; raises NotFound when there is neither.

    {id, name, version, repeat, ack_timeout, steps: [{delay, targets: [{kind, id}]}], catch_all: {delay, targets}}.
    """
    query = (
        select(Policy, PolicyStep)
        .outerjoin(PolicyStep, PolicyStep.policy_id == Policy.id)
        .where(or_(Policy.name == name, Policy.is_default))
        .order_by(Policy.name != name, Policy.name, PolicyStep.position)
    )
    rows = session.execute(query).all()
    if not rows:
        names = ", ".join(session.scalars(select(Policy.name).order_by(Policy.name))) or "none yet"
        raise NotFound(
            f'There is no escalation policy "{name}" and no default one. Policies: {names}. Add one under On-call.'
        )
    policy = rows[0][0]
    return _written(policy, [step for of, step in rows if of is policy and step is not None])


def called(name: str) -> ScalarSelect[str]:
    """The name of the policy that plan() takes for `name`, as part of a statement; NULL when there is none."""
    either = select(Policy.name).where(or_(Policy.name == name, Policy.is_default))
    return either.order_by(Policy.name != name, Policy.name).limit(1).scalar_subquery()


def led(plan: dict[str, Any], leads: Sequence[UUID]) -> dict[str, Any]:
    """The plan with steps before its first: each of these people is reached alone, for as long as the first step is given."""
    delay = plan["steps"][0]["delay"] if plan["steps"] else plan["catch_all"]["delay"]
    first = [{"delay": delay, "targets": [{"kind": "lead", "id": str(lead)}]} for lead in leads]
    return {**plan, "steps": [*first, *plan["steps"]]}


def as_plan(session: Session, policy: Policy) -> dict[str, Any]:
    """A policy's rows as a plan."""
    steps = session.scalars(
        select(PolicyStep).where(PolicyStep.policy_id == policy.id).order_by(PolicyStep.position)
    )
    return _written(policy, steps)


def _written(policy: Policy, steps: Iterable[PolicyStep]) -> dict[str, Any]:
    return {
        "id": str(policy.id),
        "name": policy.name,
        "version": policy.version,
        "repeat": policy.repeat,
        "ack_timeout": policy.ack_timeout,
        "steps": [{"delay": step.delay, "targets": step.targets} for step in steps],
        "catch_all": {
            "delay": policy.catch_all.get("delay", CATCH_ALL_WAITS),
            "targets": policy.catch_all["targets"],
        },
    }
