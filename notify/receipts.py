"""What far ends tell of an attempt after they took it: kept once each, and a failure makes the next way go out."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core.actors import SYSTEM
from core.db import UnitOfWork
from core.types import Ref
from notify import braking, facts, paging
from notify.contract import Receipt
from notify.models import AttemptState, Message, Page, PageAttempt, PageReceipt, PageState, PageTarget

ANSWERED = "answered"
_NOBODY = "the call was taken, but nobody pressed a key"


def attempt_of(uow: UnitOfWork, send_id: UUID) -> PageAttempt | None:
    """The newest attempt of a sending, locked until the end of the transaction: its outcome may be being written down."""
    query = select(PageAttempt).where(PageAttempt.send_id == send_id).order_by(PageAttempt.id.desc())
    return uow.scalar(query.limit(1).with_for_update().execution_options(populate_existing=True))


def keep(
    uow: UnitOfWork, key: str, attempt: PageAttempt | None, state: str, detail: str
) -> PageReceipt | None:
    """Note it, if it is heard for the first time; None when it was known."""
    new = PageReceipt(
        created_at=uow.now,
        key=key,
        attempt_id=attempt.id if attempt else None,
        state=state,
        detail=detail[:500],
    )
    try:
        with uow.begin_nested():
            uow.add(new)
            uow.flush()
    except IntegrityError:
        return None
    return new


def known(uow: UnitOfWork, key: str) -> PageReceipt | None:
    """What was heard under this key before."""
    return uow.scalar(select(PageReceipt).where(PageReceipt.key == key))


def note(uow: UnitOfWork, channel: str, send_id: UUID, told: Receipt) -> None:
    """A far end tells what became of a sending: of a page's attempt, or of a plain message."""
    attempt = attempt_of(uow, send_id)
    if attempt is None:
        _note_message(uow, send_id, told)
        return
    state = told.state
    if state == "over":
        if _has(uow, attempt, ANSWERED):
            return
        if not _waits(uow, attempt):
            state = "under_way"  # somebody acknowledged it in another way meanwhile: this call has not failed
        else:
            told = Receipt(told.key, "failed", _NOBODY)
            state = "failed"
    if keep(uow, f"{channel}:{told.key}", attempt, state, told.detail) is None:
        return
    if state == "arrived":
        if attempt.state == AttemptState.unknown:
            attempt.state = AttemptState.sent
        for page in _pages(uow, attempt):
            body = {"attempt": str(attempt.id), "channel": attempt.channel, "state": state}
            paging.say(
                uow, SYSTEM, facts.PAGE_ARRIVED, page, body, *_person(attempt), data={"answer": told.detail}
            )
    uow.flush()
    settle(uow, attempt)


def settle(uow: UnitOfWork, attempt: PageAttempt) -> None:
    """An attempt that was handed over, and of which its far end says that it failed, counts as a failed way."""
    if attempt.state not in (AttemptState.sent, AttemptState.unknown):
        return
    query = select(PageReceipt).where(PageReceipt.attempt_id == attempt.id, PageReceipt.state == "failed")
    failed = uow.scalar(query.order_by(PageReceipt.id).limit(1))
    if failed is None or _has(uow, attempt, "arrived"):
        return
    attempt.state, attempt.failure = AttemptState.failed, failed.detail
    uow.flush()
    for page in _pages(uow, attempt):
        body = {"attempt": str(attempt.id), "channel": attempt.channel, "state": "failed"}
        paging.say(
            uow, SYSTEM, facts.PAGE_FAILED, page, body, *_person(attempt), data={"reason": failed.detail}
        )
    if _waits(uow, attempt):
        paging.after_failure(uow, attempt)


def _note_message(uow: UnitOfWork, send_id: UUID, told: Receipt) -> None:
    row = uow.get(Message, send_id, with_for_update=True)
    if row is None or row.state not in (AttemptState.sent, AttemptState.unknown, AttemptState.sending):
        return
    if told.state == "failed":
        row.failure = told.detail
        if row.state != AttemptState.sending:
            row.state = AttemptState.failed
    elif told.state == "arrived":
        row.answer = told.detail


def _has(uow: UnitOfWork, attempt: PageAttempt, state: str) -> bool:
    query = select(PageReceipt.id).where(PageReceipt.attempt_id == attempt.id, PageReceipt.state == state)
    return uow.scalar(query.limit(1)) is not None


def _pages(uow: UnitOfWork, attempt: PageAttempt) -> list[Page]:
    if attempt.page_id is not None:
        return [uow.get_one(Page, attempt.page_id)]
    return braking.inside(uow, uow.get_one(PageTarget, attempt.target_id))


def _waits(uow: UnitOfWork, attempt: PageAttempt) -> bool:
    return any(page.state == PageState.waiting for page in _pages(uow, attempt))


def _person(attempt: PageAttempt) -> tuple[Ref, ...]:
    return (Ref("user", str(attempt.user_id)),) if attempt.user_id else ()
