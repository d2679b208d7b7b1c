"""What pages, API and reports ask: who is on call, which pages wait, what came of one, how to reach somebody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import Session

from core.auth import users
from core.errors import NotFound
from core.types import Ref
from notify.models import (
    ContactMethod,
    Message,
    OverrideRow,
    Page,
    PageAttempt,
    PageState,
    PageTarget,
    Policy,
    PolicyStep,
    Rotation,
    ScheduleRow,
)
from notify.oncall import schedules
from notify.oncall.resolver import Gap, Shift, gaps, resolve

AHEAD = timedelta(days=14)
_UNHEARD = (PageState.waiting, PageState.exhausted)


@dataclass(frozen=True)
class OnCallNow:
    """One schedule now: who, why, until when, and who follows; None where nobody is on call."""

    schedule_id: UUID
    schedule: str
    zone: str
    user_id: UUID | None
    user_name: str | None
    why: str
    until: datetime | None
    next_user_id: UUID | None
    next_user_name: str | None


def on_call_now(session: Session, at: datetime) -> list[OnCallNow]:
    """Every schedule, by name."""
    every = schedules.load(session, None, since=at)
    names = users.names(session) if every else {}
    found = []
    for schedule_id, schedule in every.items():
        shifts = _joined(resolve(schedule, at, at + AHEAD))
        present = shifts[0] if shifts and shifts[0].start <= at else None
        later = shifts[1:] if present else shifts
        following = later[0] if later else None
        until = present.end if present else following.start if following else None
        found.append(
            OnCallNow(
                schedule_id,
                schedule.name,
                schedule.zone,
                present.user_id if present else None,
                names.get(present.user_id) if present else None,
                present.why if present else "nobody is on call",
                until if until and until < at + AHEAD else None,
                following.user_id if following else None,
                names.get(following.user_id) if following else None,
            )
        )
    return found


def _joined(shifts: Sequence[Shift]) -> list[Shift]:
    """Neighbouring shifts of one person as one, for saying until when."""
    joined: list[Shift] = []
    for shift in shifts:
        if joined and joined[-1].user_id == shift.user_id and joined[-1].end == shift.start:
            last = joined[-1]
            joined[-1] = Shift(last.start, shift.end, last.user_id, last.layer, last.why)
        else:
            joined.append(shift)
    return joined


def rota(
    session: Session, schedule_id: UUID, start: datetime, end: datetime
) -> tuple[list[Shift], list[Gap]]:
    """A schedule's shifts and gaps in [start, end). Raises NotFound."""
    found = schedules.load(session, [schedule_id], since=start).get(schedule_id)
    if found is None:
        raise NotFound("There is no such schedule.")
    shifts = resolve(found, start, end)
    return shifts, gaps(shifts, start, end)


def all_schedules(session: Session) -> list[ScheduleRow]:
    """All schedules, by name."""
    return list(session.scalars(select(ScheduleRow).order_by(ScheduleRow.name)))


def rotations(session: Session, schedule_id: UUID) -> list[Rotation]:
    """A schedule's rotations, the base first."""
    query = select(Rotation).where(Rotation.schedule_id == schedule_id)
    return list(session.scalars(query.order_by(Rotation.position, Rotation.id)))


def overrides(session: Session, schedule_id: UUID, since: datetime) -> list[OverrideRow]:
    """A schedule's overrides that end after `since`, the soonest first."""
    query = select(OverrideRow).where(OverrideRow.schedule_id == schedule_id, OverrideRow.end_at > since)
    return list(session.scalars(query.order_by(OverrideRow.start_at, OverrideRow.id)))


def all_policies(session: Session) -> list[tuple[Policy, list[PolicyStep]]]:
    """All escalation policies with their steps, by name."""
    steps: dict[UUID, list[PolicyStep]] = {}
    for step in session.scalars(select(PolicyStep).order_by(PolicyStep.position)):
        steps.setdefault(step.policy_id, []).append(step)
    policies = session.scalars(select(Policy).order_by(Policy.name))
    return [(policy, steps.get(policy.id, [])) for policy in policies]


def leading_schedules(session: Session) -> set[str]:
    """The schedules that the default policy begins with."""
    first = select(PolicyStep.targets).join(Policy, Policy.id == PolicyStep.policy_id).where(Policy.is_default)
    targets = session.scalar(first.order_by(Policy.name, PolicyStep.position).limit(1)) or []
    return {target["id"] for target in targets if target["kind"] == "schedule"}


def page_by_id(session: Session, page_id: UUID) -> Page:
    """One page. Raises NotFound."""
    page = session.get(Page, page_id)
    if page is None:
        raise NotFound("There is no such page.")
    return page


def pages(
    session: Session,
    *,
    states: Sequence[PageState] | None = None,
    subjects: Sequence[Ref] | None = None,
    user_id: UUID | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Page]:
    """Pages newest first; the next page of them is `before=(created_at, id)` of the last."""
    query = select(Page).order_by(Page.created_at.desc(), Page.id.desc()).limit(limit)
    if states is not None:
        query = query.where(Page.state.in_(list(states)))
    if subjects is not None:
        pairs = [(subject.kind, subject.id) for subject in subjects]
        query = query.where(tuple_(Page.subject_kind, Page.subject_id).in_(pairs))
    if user_id is not None:
        query = query.where(went_to(user_id))
    if before is not None:
        at, last = before
        query = query.where((Page.created_at < at) | ((Page.created_at == at) & (Page.id < last)))
    return list(session.scalars(query))


def waiting(session: Session, *, user_id: UUID | None = None, limit: int = 50) -> list[Page]:
    """Pages that nobody has acknowledged (the exhausted ones too), the oldest first; one person's with `user_id`."""
    query = select(Page).where(Page.closed_at.is_(None), Page.state.in_(_UNHEARD))
    if user_id is not None:
        query = query.where(went_to(user_id))
    return list(session.scalars(query.order_by(Page.created_at, Page.id).limit(limit)))


def acknowledged_by(session: Session, who: str, limit: int = 50) -> list[Page]:
    """Open pages that this actor acknowledged and that are looked at again, the soonest first."""
    query = select(Page).where(
        Page.closed_at.is_(None), Page.state == PageState.acknowledged, Page.acknowledged_by == who, Page.due_at.is_not(None)
    )
    return list(session.scalars(query.order_by(Page.due_at, Page.id).limit(limit)))


def went_to(user_id: UUID) -> ColumnElement[bool]:
    """The condition on `Page`: this person was chosen to be reached by it."""
    return Page.id.in_(select(PageTarget.page_id).where(PageTarget.user_id == user_id))


def unheard() -> Select[UUID]:
    """The pages that nobody has acknowledged."""
    return select(Page.id).where(Page.closed_at.is_(None), Page.state.in_(_UNHEARD))


def targets(session: Session, page_id: UUID) -> list[PageTarget]:
    """Whom a page tried to reach, in order."""
    return list(
        session.scalars(select(PageTarget).where(PageTarget.page_id == page_id).order_by(PageTarget.id))
    )


def attempts(session: Session, page_id: UUID) -> list[PageAttempt]:
    """Every attempt for a page, in order; those of the bundles it went into too."""
    bundles = select(PageTarget.bundle_id).where(
        PageTarget.page_id == page_id, PageTarget.bundle_id.is_not(None)
    )
    query = select(PageAttempt).where((PageAttempt.page_id == page_id) | PageAttempt.target_id.in_(bundles))
    return list(session.scalars(query.order_by(PageAttempt.created_at, PageAttempt.id)))


def contact_methods(session: Session, user_id: UUID | None) -> list[ContactMethod]:
    """A person's methods in order, or (None) the shared places by name."""
    query = select(ContactMethod).where(ContactMethod.user_id == user_id, ContactMethod.disabled_at.is_(None))
    order = (ContactMethod.position, ContactMethod.id) if user_id else (ContactMethod.name, ContactMethod.id)
    return list(session.scalars(query.order_by(*order)))


def messages(session: Session, subjects: Sequence[Ref], limit: int = 100) -> list[Message]:
    """Plain messages about these subjects, newest first."""
    pairs = [(subject.kind, subject.id) for subject in subjects]
    query = select(Message).where(tuple_(Message.subject_kind, Message.subject_id).in_(pairs))
    return list(session.scalars(query.order_by(Message.id.desc()).limit(limit)))
