"""What an installation needs so that its first page reaches somebody: one person, their inbox, a schedule, a policy."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from sqlalchemy import select

from core import chosen
from core.actors import SYSTEM
from core.auth import users
from core.auth.models import User
from core.db import UnitOfWork
from notify import contacts, queries
from notify.escalation import Target
from notify.models import Policy
from notify.oncall import editing, policy_editing

PLACEHOLDER = "admin@localhost"  # until the first administrator says who they are
SCHEDULE = "Primary"
POLICY = "default"


def administrator(uow: UnitOfWork, *, email: str, name: str) -> User:
    """The first administrator under their own name: a new user, or the placeholder that a first start has made.

    Raises Invalid, Conflict.
    """
    held = users.by_email(uow, PLACEHOLDER)
    if held is None or held.password is not None or not users.nobody_yet(uow):
        return users.create(uow, SYSTEM, email=email, name=name, roles=["administrator", "responder"])
    users.readdress(uow, SYSTEM, held.id, email)
    return users.change(uow, SYSTEM, held.id, name=name, roles=["administrator", "responder"])


def on_call(uow: UnitOfWork, people: Sequence[User], *, zone: str = "UTC") -> Policy:
    """Put `people` on a weekly rotation behind the default escalation policy; the first is also its catch-all.

    Does nothing but return it when there is a default policy already.
    """
    known = uow.scalar(select(Policy).where(Policy.is_default))
    if known is not None:
        return known
    for person in people:
        reachable(uow, person)
    started = datetime.combine(uow.now.date(), time(8))  # wall time in the schedule's zone
    rotation = editing.RotationDraft(
        "Weekly", tuple(p.id for p in people), started.replace(year=started.year - 1)
    )
    schedule = editing.create_schedule(uow, SYSTEM, name=SCHEDULE, zone=zone, rotations=[rotation])
    return policy_editing.create_policy(
        uow,
        SYSTEM,
        policy_editing.PolicyDraft(
            name=POLICY,
            description="Whoever is on call; after five minutes once more; then the catch-all.",
            steps=(policy_editing.StepDraft((Target("schedule", str(schedule.id)),), delay=300),),
            repeat=1,
            catch_all=(Target("user", str(people[0].id)),),
            is_default=True,
        ),
    )


def reachable(uow: UnitOfWork, person: User) -> None:
    """Give a person the inbox, and their mail address when mail is set up; what they have already stays."""
    ways: list[tuple[str, dict[str, Any]]] = [("inbox", {"user": str(person.id)})]
    if person.email != PLACEHOLDER and chosen.effective(uow).smtp_url:
        ways.append(("email", {"to": person.email}))
    has = {method.channel for method in queries.contact_methods(uow, person.id)}
    for channel, address in ways:
        if channel not in has:
            contacts.add(uow, SYSTEM, user_id=person.id, channel=channel, address=address)
