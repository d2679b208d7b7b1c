"""Changes escalation policies, and says what in them would not reach anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from core.actors import Actor
from core.auth import permissions
from core.auth.models import User
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem, Stale
from core.journal import Fact, record
from core.types import Ref
from notify import facts
from notify.escalation import Target
from notify.models import ContactMethod, Policy, PolicyStep, ScheduleRow
from notify.oncall import schedules
from notify.oncall.resolver import gaps, resolve
from notify.permissions import MANAGE
from notify.policies import ACK_TIMEOUT, CATCH_ALL_WAITS

MODELS: dict[str, Any] = {"user": User, "schedule": ScheduleRow, "contact": ContactMethod}
LOOK_AHEAD = timedelta(days=14)


@dataclass(frozen=True)
class StepDraft:
    """Reach `targets`, then wait `delay` seconds for an acknowledgement."""

    targets: tuple[Target, ...]
    delay: int = 300


@dataclass(frozen=True)
class PolicyDraft:
    """A policy: its steps, how often they are repeated, and who is tried when all that went unanswered.

    `ack_timeout`: seconds after an acknowledgement until it pages again if nobody does anything; 0 for never.
    """

    name: str
    steps: tuple[StepDraft, ...]
    catch_all: tuple[Target, ...]
    repeat: int = 0
    description: str = ""
    is_default: bool = False
    catch_all_delay: int = CATCH_ALL_WAITS
    ack_timeout: int = ACK_TIMEOUT


def create_policy(uow: UnitOfWork, actor: Actor, draft: PolicyDraft) -> Policy:
    """A new policy. Raises Invalid with every problem (a catch-all is mandatory), or Conflict."""
    permissions.require(actor, MANAGE.name)
    _check(uow, draft)
    if uow.scalar(select(Policy.id).where(Policy.name == draft.name.strip())):
        raise Conflict(f'There is already a policy "{draft.name.strip()}".')
    first = uow.scalar(select(Policy.id).limit(1)) is None
    policy = Policy(created_at=uow.now, is_default=first)
    _fill(uow, policy, draft)
    uow.add(policy)
    uow.flush()
    _put_steps(uow, policy, draft.steps)
    _told(uow, actor, policy, draft, "created")
    return policy


def update_policy(
    uow: UnitOfWork, actor: Actor, policy_id: UUID, draft: PolicyDraft, *, version: int | None = None
) -> Policy:
    """Replace a policy; pages that are under way keep the one they started with. Raises Invalid, NotFound, Stale."""
    permissions.require(actor, MANAGE.name)
    policy = policy_by_id(uow, policy_id)
    if version is not None and version != policy.version:
        raise Stale("Somebody changed this policy since you opened it. Look at it again, then save.")
    _check(uow, draft)
    _fill(uow, policy, draft)
    flag_modified(policy, "name")  # its steps count as its own: the version goes up in any case
    uow.execute(delete(PolicyStep).where(PolicyStep.policy_id == policy.id))
    _put_steps(uow, policy, draft.steps)
    _told(uow, actor, policy, draft, "updated")
    return policy


def policy_by_id(session: Session, policy_id: UUID) -> Policy:
    """One policy. Raises NotFound."""
    policy = session.get(Policy, policy_id)
    if policy is None:
        raise NotFound("There is no such escalation policy.")
    return policy


def warnings(session: Session, draft: PolicyDraft, *, now: datetime) -> list[str]:
    """Sentences about what would not reach anybody, or too late: shown beside the policy, none forbids it."""
    found = []
    rotas = schedules.load(session, None, since=now)
    methods = set(
        session.scalars(
            select(ContactMethod.user_id).where(
                ContactMethod.disabled_at.is_(None),
                ContactMethod.channel != "inbox",
                ContactMethod.user_id.is_not(None),
            )
        )
    )
    names = {row.id: row.name for row in session.execute(select(User.id, User.name))}
    people: dict[UUID, None] = {}
    for number, step in enumerate([*draft.steps, StepDraft(draft.catch_all)], 1):
        label = "The catch-all" if number > len(draft.steps) else f"Step {number}"
        for target in step.targets:
            if target.kind == "user":
                people[UUID(target.id)] = None
            elif target.kind == "schedule" and (rota := rotas.get(UUID(target.id))):
                shifts = resolve(rota, now, now + LOOK_AHEAD)
                people.update(dict.fromkeys(shift.user_id for shift in shifts))
                if holes := gaps(shifts, now, now + LOOK_AHEAD):
                    found.append(
                        f"{label}: nobody is on call for {rota.name} from {holes[0].start:%a %d %b %H:%M} UTC"
                        + (f" (and {len(holes) - 1} more times in 14 days)" if len(holes) > 1 else "")
                        + ". Fill the gap in the schedule."
                    )
    seen: dict[tuple[Target, ...], int] = {}
    for number, step in enumerate(draft.steps, 1):
        same = tuple(sorted(step.targets))
        if same in seen:
            found.append(f"Step {number} reaches the same as step {seen[same]}: use repeat instead.")
        seen.setdefault(same, number)
        if step.delay > 3600:
            found.append(f"Step {number} waits {step.delay // 60} minutes: what comes after it comes late.")
    found += [
        f"{names.get(person, 'Somebody')} has no contact method: only a mail to the account's address would go out. "
        "They add one under their own name at the top right."
        for person in people
        if person not in methods
    ]
    return found


def _fill(uow: UnitOfWork, policy: Policy, draft: PolicyDraft) -> None:
    policy.name, policy.description, policy.repeat = draft.name.strip(), draft.description, draft.repeat
    policy.ack_timeout = draft.ack_timeout
    policy.catch_all = {"delay": draft.catch_all_delay, "targets": [t._asdict() for t in draft.catch_all]}
    if draft.is_default:
        uow.execute(
            update(Policy)
            .where(Policy.is_default, Policy.id != policy.id)  # a row that is saved anew as the default stays it
            .values(is_default=False)
            .execution_options(synchronize_session=False)
        )
        policy.is_default = True


def _put_steps(uow: UnitOfWork, policy: Policy, steps: Sequence[StepDraft]) -> None:
    for position, step in enumerate(steps):
        targets = [target._asdict() for target in step.targets]
        uow.add(PolicyStep(policy_id=policy.id, position=position, delay=step.delay, targets=targets))
    uow.flush()


def _told(uow: UnitOfWork, actor: Actor, policy: Policy, draft: PolicyDraft, change: str) -> None:
    steps = [{"delay": step.delay, "targets": [t._asdict() for t in step.targets]} for step in draft.steps]
    body = {
        "change": change,
        "name": policy.name,
        "steps": steps,
        "catch_all": policy.catch_all,
        "repeat": draft.repeat,
        "ack_timeout": draft.ack_timeout,
    }
    record(uow, actor, Fact(facts.POLICY_CHANGED, (Ref("policy", str(policy.id)),), body))


def _check(uow: UnitOfWork, draft: PolicyDraft) -> None:
    problems = []
    if not draft.name.strip():
        problems.append(Problem("name", "needs a name"))
    if not draft.steps:
        problems.append(Problem("steps", "needs at least one step"))
    if not draft.catch_all:
        message = "is needed: the person or place that is tried when nobody answered"
        problems.append(Problem("catch_all", message))
    if not 0 <= draft.repeat <= 9:
        problems.append(Problem("repeat", "must be between 0 and 9"))
    if draft.ack_timeout and not 300 <= draft.ack_timeout <= 86400:
        problems.append(Problem("ack_timeout", "must be between 5 minutes and a day, or 0 for never"))
    for number, step in enumerate(draft.steps):
        if not step.targets:
            problems.append(Problem(f"steps.{number}.targets", "needs somebody to reach"))
        if not 30 <= step.delay <= 86400:
            problems.append(Problem(f"steps.{number}.delay", "must be between 30 seconds and a day"))
        problems += _targets(uow, f"steps.{number}.targets", step.targets)
    problems += _targets(uow, "catch_all", draft.catch_all)
    if problems:
        raise Invalid("The policy cannot be saved as entered.", problems)


def _targets(uow: UnitOfWork, path: str, targets: Sequence[Target]) -> list[Problem]:
    problems = []
    for number, target in enumerate(targets):
        model = MODELS.get(target.kind)
        if model is None:
            problems.append(Problem(f"{path}.{number}", f"must be one of {', '.join(MODELS)}"))
            continue
        try:
            there = uow.get(model, UUID(target.id)) is not None
        except ValueError:
            there = False
        if not there:
            problems.append(Problem(f"{path}.{number}", f"names a {target.kind} that does not exist"))
    return problems
