"""Takes up pages whose time has come: what nobody acknowledged goes on, what reached or moved nobody rings again."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from core import logs, work
from core.actors import SYSTEM
from core.auth.models import User
from core.db import UnitOfWork, unit_of_work
from core.types import Ref
from notify import facts, paging, working
from notify.escalation import Target
from notify.models import Page, PageState, PageTarget, TargetState, Urgency
from notify.policies import ACK_TIMEOUT


def patience(page: Page) -> timedelta | None:
    """How long an acknowledged page waits for somebody to do something; None when it does not: quiet pages never ring twice."""
    seconds: int = page.plan.get("ack_timeout", ACK_TIMEOUT)
    return timedelta(seconds=seconds) if seconds and page.urgency == Urgency.high else None


def _handle(claims: list[work.Claim]) -> None:
    for claim in claims:
        with logs.tied(claim.correlation), unit_of_work() as uow:
            _lock_alike(uow, claim.id)
            page = paging.locked(uow, claim.id)
            due = _taken_up(uow, page) if page is not None else None
            work.later(uow, PAGES, claim, due)


def _lock_alike(uow: UnitOfWork, page_id: UUID) -> None:
    """Of pages about the same, whose time may have come at once, one after the other is judged: the second sees the first ring."""
    mine = aliased(Page)
    alike = (Page.subject_kind == mine.subject_kind, Page.subject_id == mine.subject_id)
    query = select(Page.id).join(mine, and_(*alike)).where(mine.id == page_id, Page.closed_at.is_(None))
    uow.execute(query.order_by(Page.id).with_for_update(of=Page, key_share=True)).all()


def _taken_up(uow: UnitOfWork, page: Page) -> datetime | None:
    """Do what is due; returns when it is looked at again."""
    if page.state == PageState.waiting:
        heard = _step_heard(uow, page)
        reason = "not acknowledged in time" if heard else "every way of reaching this step's people failed"
        return paging.advance(uow, SYSTEM, page, reason)
    if page.state == PageState.exhausted and page.due_at is not None:
        return paging.begin_again(uow, page) if page.due_at <= uow.now else page.due_at
    if page.state != PageState.acknowledged or page.due_at is None or page.acknowledged_at is None:
        return None
    if page.due_at > uow.now:  # it was acknowledged after this had been claimed
        return page.due_at
    if working.worked_on(uow, Ref(page.subject_kind, page.subject_id), page.acknowledged_at):
        return None
    return None if _rings_anyway(uow, page) else _ring_again(uow, page, page.acknowledged_at)


def _ring_again(uow: UnitOfWork, page: Page, since: datetime) -> datetime | None:
    """From the first step, whoever stands behind it now, and with them the person who had acknowledged."""
    who, name = page.acknowledged_by, page.acknowledged_name or ""
    minutes = round((uow.now - since).total_seconds() / 60)
    page.lapsed_at, page.lapsed_name = uow.now, name
    person = _person(uow, who)
    body = {"minutes": minutes, "acknowledged_at": since.isoformat(), "via": page.acknowledged_via}
    told = {"reason": f"{name} acknowledged it {minutes} minutes ago, and nobody has done anything since"}
    paging.say(uow, SYSTEM, facts.PAGE_LAPSED, page, body, *person, data=told)
    page.acknowledged_at = page.acknowledged_by = page.acknowledged_name = page.acknowledged_via = None
    also = tuple(Target("user", ref.id) for ref in person)
    return paging.from_the_start(uow, SYSTEM, page, "nobody has done anything", also)


def _person(uow: UnitOfWork, who: str | None) -> tuple[Ref, ...]:
    """Who acknowledged it, where that was a person."""
    try:
        user = uow.get(User, UUID(who or ""))
    except ValueError:
        user = None
    return (Ref("user", str(user.id)),) if user is not None else ()


def _rings_anyway(uow: UnitOfWork, page: Page) -> bool:
    """Whether another page about the same is ringing now: one thing rings once until somebody hears it."""
    query = select(Page.id).where(
        Page.subject_kind == page.subject_kind,
        Page.subject_id == page.subject_id,
        Page.state == PageState.waiting,
        Page.urgency == Urgency.high,
    )
    return uow.scalar(query.limit(1)) is not None


def _step_heard(uow: UnitOfWork, page: Page) -> bool:
    query = select(PageTarget.id).where(
        PageTarget.page_id == page.id,
        PageTarget.round == page.round,
        PageTarget.step == page.step,
        PageTarget.state != TargetState.failed,
    )
    return uow.scalar(query.limit(1)) is not None


def _parked(uow: UnitOfWork, page_id: UUID, error: str) -> None:
    page = paging.locked(uow, page_id)
    if page is not None:
        told = {"reason": f"escalating failed: {error}"}
        paging.say(uow, SYSTEM, facts.PAGE_EXHAUSTED, page, {"severity": page.severity}, data=told)


PAGES = work.register(
    work.WorkKind(
        "notify.pages",
        Page,
        _handle,
        max_attempts=20,
        on_park=_parked,
        about=[select(Page.id, Page.subject_kind, Page.subject_id)],
    )
)
