"""What somebody who was paged is shown: the first things to do, who else was paged and when, when it rings again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.auth import users
from core.types import Ref
from incidents.models import Incident, Task
from incidents.outside import steps_outside
from incidents.visibility import as_id, visible_refs
from notify import ledger, queries, working
from notify.ledger import LedgerLine
from notify.models import Page, PageState
from web import response
from web.languages import gettext as _

STEPS = 3


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """One thing to do, in words; `href` leads to it, empty where it may not be followed; `ahead`: it has not begun."""

    says: str
    href: str = ""
    ahead: bool = False


@dataclass(frozen=True, kw_only=True)
class Paged:
    """Somebody a page tried to reach, why, when and how far that got; a shared place has no name."""

    id: UUID
    user_id: UUID | None
    who: str
    why: str
    at: datetime
    state: str


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A page with the short of its ledger, and when it rings again."""

    call: Page
    ledger: list[LedgerLine]
    again_at: datetime | None


def sent(session: Session, subject: Ref, limit: int = 20) -> list[Sent]:
    """The pages about a subject, newest first."""
    calls = queries.pages(session, subjects=[subject], limit=limit)
    ledgers = ledger.of_pages(session, calls) if calls else {}
    return [
        Sent(
            call=call, ledger=ledger.moments(ledgers[call.id]), again_at=rings_again_at(session, call)
        )
        for call in calls
    ]


def first_steps(session: Session, reader: Actor | None, call: Page) -> list[FirstStep]:
    """The first three things: open tasks, then questions that wait for an answer, then what follows in the playbooks.

    Whoever may not see the incident, or has not signed in, reads them without names and addresses, and above TLP:AMBER
    not at all.
    """
    subject = Ref(call.subject_kind, call.subject_id)
    if as_id(subject.id) is None or subject.kind != "incident":
        return []
    steps = _waiting(session, subject)[:STEPS]
    if may_see(session, reader, call):
        return steps
    told = steps_outside(session, subject, [step.says for step in steps])
    return [FirstStep(says=said, ahead=step.ahead) for said, step in zip(told, steps, strict=False)]


def _waiting(session: Session, subject: Ref) -> list[FirstStep]:
    query = (
        select(Task, Incident.key)
        .join(Incident, Incident.id == Task.incident_id)
        .where(Incident.id == as_id(subject.id), Task.status == "open")
        .order_by(Task.created_at, Task.id)
        .limit(STEPS)
    )
    rows = session.execute(query).all()
    found = [FirstStep(says=task.title, href=f"/incidents/{key}#task-{task.id}") for task, key in rows]
    runs = [run for run in response.runs_of(session, subject, limit=5) if run.state in ("running", "waiting")]
    steps = [step for run in reversed(runs) for step in run.steps]
    asked = [step for step in steps if step.href]
    ahead = [step for step in steps if not step.state]
    found += [FirstStep(says=_("Decide: %(step)s") % {"step": step.name}, href=step.href) for step in asked]
    return found + [FirstStep(says=step.name, ahead=True) for step in ahead]


def may_see(session: Session, reader: Actor | None, call: Page) -> bool:
    """Whether somebody has signed in who may see what the page is about."""
    subject = Ref(call.subject_kind, call.subject_id)
    return reader is not None and reader.may("incident.read") and subject in visible_refs(session, reader, {subject})


def paged(session: Session, call: Page) -> list[Paged]:
    """Whom the page tried to reach, in order."""
    names = users.names(session)
    return [
        Paged(
            id=target.id,
            user_id=target.user_id,
            who=names.get(target.user_id, "") if target.user_id else "",
            why=target.why,
            at=target.created_at,
            state=target.state,
        )
        for target in queries.targets(session, call.id)
    ]


def others(found: Sequence[Paged], user_id: UUID | None) -> list[Paged]:
    """Everybody but one, each at the first time."""
    seen: dict[UUID, Paged] = {}
    for one in found:
        if one.user_id != user_id or one.user_id is None:
            seen.setdefault(one.user_id or one.id, one)
    return list(seen.values())


def rings_again_at(session: Session, call: Page) -> datetime | None:
    """When an acknowledged page rings again unless somebody does something; None when it does not."""
    if call.state != PageState.acknowledged or call.due_at is None or call.acknowledged_at is None:
        return None
    subject = Ref(call.subject_kind, call.subject_id)
    return None if working.worked_on(session, subject, call.acknowledged_at) else call.due_at
