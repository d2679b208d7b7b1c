"""What people and programs read of the response: runs, their steps, and the questions that wait for somebody."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.auth import permissions
from core.errors import NotFound
from core.types import Ref
from incidents.paging import Page, page
from incidents.visibility import visible_refs
from playbooks import ports
from playbooks.models import PlaybookRun, StepAttempt, Wait
from playbooks.permissions import READ


@dataclass(frozen=True)
class Question:
    """An approval that waits, and the run it belongs to."""

    wait: Wait
    run: PlaybookRun


def runs(
    session: Session,
    actor: Actor,
    *,
    subject: Ref | None = None,
    playbook: str | None = None,
    state: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Page[PlaybookRun]:
    """Runs newest first; those of incidents the actor may not see are left out, so a page may hold fewer than asked."""
    permissions.require(actor, READ.name)
    query = select(PlaybookRun)
    if subject is not None:
        query = query.where(PlaybookRun.subject_kind == subject.kind, PlaybookRun.subject_id == subject.id)
    if playbook is not None:
        query = query.where(PlaybookRun.playbook == playbook)
    if state is not None:
        query = query.where(PlaybookRun.state == state)
    found: Page[PlaybookRun] = page(session, query, PlaybookRun, before=before, limit=limit)
    seen = visible_refs(session, actor, [row.subject for row in found.items])
    return Page([row for row in found.items if row.subject in seen], found.next)


def run(session: Session, actor: Actor, run_id: UUID) -> PlaybookRun:
    """One run. Raises NotFound, also when its incident is not the actor's to see."""
    permissions.require(actor, READ.name)
    row = session.get(PlaybookRun, run_id)
    if row is None or row.subject not in visible_refs(session, actor, [row.subject]):
        raise NotFound("There is no such run, or you may not see it.")
    return row


def steps(session: Session, run_id: UUID) -> list[StepAttempt]:
    """Every attempt of a run, in the order in which they began."""
    return list(
        session.scalars(select(StepAttempt).where(StepAttempt.run_id == run_id).order_by(StepAttempt.id))
    )


def questions(session: Session, actor: Actor, limit: int = 200) -> list[Question]:
    """The approvals that wait for this person, oldest first."""
    query = (
        select(Wait, PlaybookRun)
        .join(PlaybookRun, PlaybookRun.id == Wait.run_id)
        .where(Wait.kind == "approval", Wait.answered_at.is_(None), Wait.closed_at.is_(None))
        .order_by(Wait.created_at, Wait.id)
        .limit(limit)
    )
    given = ports.current()
    return [
        Question(wait, row)
        for wait, row in session.execute(query)
        if given.visible(session, actor, row.subject)
        and given.may_answer(session, actor, list(wait.detail["from"]), row.subject)
    ]
