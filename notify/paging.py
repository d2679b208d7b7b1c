"""Works through a page's escalation policy: takes steps, tries ways, notices when all of them have failed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from typing import Any

from sqlalchemy import Select, select, update

from core import work
from core.actors import SYSTEM, Actor
from core.db import UnitOfWork
from core.ids import new_id
from core.journal import Fact, Verb, record
from core.types import Ref
from notify import braking, facts, reaching, registry
from notify.escalation import Move, Target, next_move
from notify.models import (
    AttemptState,
    Page,
    PageAttempt,
    PageState,
    PageTarget,
    TargetState,
)


RESTS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15))
"""A page that reached nobody begins again after the first of these, then the next; the last is for all that follow."""


def locked(uow: UnitOfWork, page_id: UUID) -> Page | None:
    """The page, fresh and locked until the end of the transaction; rows that refer to it may be written meanwhile."""
    query = select(Page).where(Page.id == page_id).with_for_update(key_share=True)
    return uow.scalar(query.execution_options(populate_existing=True))


def refs(page: Page, *more: Ref) -> tuple[Ref, ...]:
    """What every fact about a page is about."""
    return (Ref("page", str(page.id)), Ref(page.subject_kind, page.subject_id), *more)


def say(
    uow: UnitOfWork,
    actor: Actor,
    verb: Verb,
    page: Page,
    body: Mapping[str, object],
    *more: Ref,
    data: Mapping[str, object] | None = None,
) -> None:
    """Record a fact about a page; free text and addresses go into `data`, which can be redacted."""
    record(uow, actor, Fact(verb, refs(page, *more), body, data))


def advance(
    uow: UnitOfWork, actor: Actor, page: Page, reason: str, also: tuple[Target, ...] = ()
) -> datetime | None:
    """Take the next step that reaches somebody; returns when the one after it is due (None: the end, and somebody was reached).

    Steps behind which there is nobody are passed at once; `also` are reached beside the first of them. The caller writes
    the due time.
    """
    while True:
        # Before the first step nobody can have been reached in this round.
        move = next_move(page.plan, page.round, page.step, heard=page.step >= 0 and _heard(uow, page))
        if move is None:
            return _exhausted(uow, actor, page, reason)
        first = page.step < 0
        page.round, page.step = move.round, move.step
        reached, missing = _take(uow, page, move, also)
        if not first:
            body = {
                "round": move.round,
                "step": move.step,
                "last_resort": move.last_resort,
                "people": reached,
            }
            told = {"reason": reason, "missing": missing}
            say(uow, actor, facts.PAGE_ESCALATED, page, body, data=told)
        if reached:
            return uow.now + move.delay
        reason = "; ".join(missing) or "the step names nobody"


def _exhausted(uow: UnitOfWork, actor: Actor, page: Page, reason: str) -> datetime | None:
    """The policy is at its end; where every way to everybody has failed, returns when it begins again."""
    page.state = PageState.exhausted
    this_time = PageTarget.round >= page.plan.get("first_round", 0)
    reached = select(PageTarget.id).where(PageTarget.page_id == page.id, this_time, PageTarget.state != TargetState.failed)
    rest = None
    if uow.scalar(reached.limit(1)) is None:
        times: int = page.plan.get("in_vain", 0)
        rest = RESTS[min(times, len(RESTS) - 1)]
        page.plan = {**page.plan, "in_vain": times + 1}
    body = {"severity": page.severity, **({"again_in": round(rest.total_seconds())} if rest else {})}
    say(uow, actor, facts.PAGE_EXHAUSTED, page, body, data={"reason": reason})
    return uow.now + rest if rest else None


def begin_again(uow: UnitOfWork, page: Page) -> datetime | None:
    """Nobody could be reached, and some time has passed: once more, with whoever is on call by now; returns as advance() does."""
    late = update(PageAttempt).where(PageAttempt.page_id == page.id, PageAttempt.state == AttemptState.pending)
    uow.execute(late.values(state=AttemptState.cancelled, due_at=None).execution_options(synchronize_session=False))
    why = "nobody could be reached before"
    say(uow, SYSTEM, facts.PAGE_STARTED, page, {"again": True, "policy": page.policy}, data={"reason": why})
    return from_the_start(uow, SYSTEM, page, why)


def from_the_start(
    uow: UnitOfWork, actor: Actor, page: Page, reason: str, also: tuple[Target, ...] = ()
) -> datetime | None:
    """Begin the policy once more; returns as advance() does.

    Rounds go on counting, so that those who were reached before do not count as reached now.
    """
    first = page.round + 1
    repeat = page.plan["repeat"] - page.plan.get("first_round", 0) + first
    page.state, page.round, page.step = PageState.waiting, first, -1
    page.plan = {**page.plan, "repeat": repeat, "first_round": first}
    return advance(uow, actor, page, reason, also)


def _heard(uow: UnitOfWork, page: Page) -> bool:
    """Whether somebody was, or may still be, reached in this round."""
    query = select(PageTarget.id).where(
        PageTarget.page_id == page.id, PageTarget.round == page.round, PageTarget.state != TargetState.failed
    )
    return uow.scalar(query.limit(1)) is not None


def _take(uow: UnitOfWork, page: Page, move: Move, also: tuple[Target, ...] = ()) -> tuple[int, list[str]]:
    """Start reaching everybody behind the step's targets; how many there are, and why there were fewer."""
    wanted, missing = reaching.behind(uow, move.targets, uow.now, also)
    for one in wanted:
        target = PageTarget(
            id=new_id(),
            created_at=uow.now,
            page_id=page.id,
            user_id=one.user_id,
            contact_id=one.contact_id,
            round=move.round,
            step=move.step,
            why=one.why,
            urgency=page.urgency,
        )
        if braking.counts(page):
            braking.lock(uow, target)
        if braking.too_many(uow, page, target):
            braking.into_bundle(uow, page, target)
            body = {"brake": braking.BRAKE, "minutes": braking.WINDOW.seconds // 60}
            say(uow, SYSTEM, facts.PAGE_BUNDLED, page, body, *_person(target))
        uow.add(target)
        uow.flush()
        try_ways(uow, target, one)
    return len(wanted), missing


def _person(target: PageTarget) -> tuple[Ref, ...]:
    return (Ref("user", str(target.user_id)),) if target.user_id else ()


def try_ways(uow: UnitOfWork, target: PageTarget, wanted: reaching.Wanted) -> None:
    """Make an attempt for each way: the first at once, the others when their delay is over (or one fails).

    A target held back in a bundle is only shown in the inbox.
    """
    first = True
    for position, method in enumerate(reaching.methods(uow, wanted, target.urgency)):
        if target.state == TargetState.bundled and method.reaches_out:
            continue
        at_once = first or not method.reaches_out
        uow.add(
            PageAttempt(
                created_at=uow.now,
                target_id=target.id,
                page_id=target.page_id,
                user_id=target.user_id,
                contact_id=method.contact_id,
                channel=method.channel,
                lane=registry.lane(method.channel, method.shown),
                shown=method.shown,
                position=position,
                urgency=target.urgency,
                due_at=uow.now if at_once else uow.now + timedelta(seconds=max(method.delay, 1)),
            )
        )
        first = False
    uow.flush()
    uow.wake("notify.attempts")


def send_bundle(uow: UnitOfWork, bundle: PageTarget) -> None:
    """A bundle is due: one attempt for all pages in it that still wait."""
    braking.lock(uow, bundle)
    if braking.inside(uow, bundle):
        try_ways(uow, bundle, reaching.Wanted(bundle.user_id, bundle.contact_id, bundle.why))
    else:
        bundle.state = TargetState.ended


def after_failure(uow: UnitOfWork, attempt: PageAttempt) -> None:
    """An attempt has failed: the person's next way goes out now; with none left, their pages escalate now."""
    target = uow.get_one(PageTarget, attempt.target_id)
    siblings = list(
        uow.scalars(
            select(PageAttempt)
            .where(PageAttempt.target_id == target.id, PageAttempt.id != attempt.id)
            .order_by(PageAttempt.position, PageAttempt.id)
            .execution_options(populate_existing=True)
        )
    )
    good = {AttemptState.sending, AttemptState.sent, AttemptState.muzzled}
    if not _reaches_out(attempt) or any(a.state in good and _reaches_out(a) for a in siblings):
        return
    following = [a for a in siblings if a.state == AttemptState.pending and a.tries == 1 and _reaches_out(a)]
    if following:
        following[0].due_at = uow.now
        uow.wake("notify.attempts")
        return
    target.state = TargetState.failed
    for page_id in [target.page_id] if target.page_id else [page.id for page in braking.inside(uow, target)]:
        _escalate_if_unheard(uow, page_id, target)


def _reaches_out(attempt: PageAttempt) -> bool:
    return attempt.channel != "inbox"


def _escalate_if_unheard(uow: UnitOfWork, page_id: UUID, failed: PageTarget) -> None:
    """When everybody of the page's current step has failed, the next step does not wait for its time."""
    page = locked(uow, page_id)
    if page is None or page.state != PageState.waiting or page.due_at is None:
        return
    if failed.page_id is None:
        inner = update(PageTarget).where(PageTarget.bundle_id == failed.id, PageTarget.page_id == page_id)
        uow.execute(inner.values(state=TargetState.failed).execution_options(synchronize_session=False))
    uow.flush()
    alive = select(PageTarget.id).where(
        PageTarget.page_id == page_id,
        PageTarget.round == page.round,
        PageTarget.step == page.step,
        PageTarget.state.in_([TargetState.trying, TargetState.reached, TargetState.bundled]),
    )
    if uow.scalar(alive.limit(1)) is None:
        page.due_at = uow.now
        uow.wake("notify.pages")


def inside(row: Any) -> Select[*tuple[Any, ...]]:
    """What the pages that are bundled are about, each with the id `row` of what the bundle is known by."""
    query = select(row, Page.subject_kind, Page.subject_id).select_from(PageTarget)
    return query.join(Page, Page.id == PageTarget.page_id).where(PageTarget.bundle_id.is_not(None))


BUNDLES = work.register(
    work.WorkKind(
        "notify.bundles",
        PageTarget,
        work.transactional("notify.bundles", send_bundle),
        about=[
            inside(PageTarget.bundle_id),
            select(PageTarget.id, Page.subject_kind, Page.subject_id).join(
                Page, Page.id == PageTarget.page_id
            ),
        ],
    )
)
