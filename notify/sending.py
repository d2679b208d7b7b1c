"""Hands due attempts to their channels: intent, commit, send with no transaction open, outcome, commit."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import func, select, update

from core import chosen, crashpoints, logs, metrics, telemetry, work
from core.actors import SYSTEM
from core.concealing import conceal
from core.db import UnitOfWork, unit_of_work
from core.settings import settings
from core.types import Ref, Severity
from notify import braking, codes, contacts, facts, inbox, paging, reaching, receipts, registry
from notify.contract import Context, Outgoing, Undeliverable
from notify.links import ack_link, callback_url
from notify.models import AttemptState, Page, PageAttempt, PageState, PageTarget, TargetState, Urgency
from notify.outside import outside
from notify.wording import disarmed, one_line, two_lines

ATTEMPTED = metrics.counter(
    "tocsin_page_attempts_total", "Pages that were sent, by channel and outcome.", "channel", "outcome"
)
SECONDS = metrics.histogram(
    "tocsin_page_attempt_seconds", "How long a channel takes to take a page.", "channel"
)
HANDED_OVER = metrics.histogram(
    "tocsin_page_handed_over_seconds",
    "From a delivery's receipt to the first page about it in a provider's hands.",
)

log = logs.get(__name__)

RINGING = (PageState.waiting, PageState.exhausted)
"""An exhausted page has nobody else to go to, so what was refused for the moment is still worth trying."""
TRIES = 4
MOST_CUT_OFF = 20
"""How often the same notification may be cut off by our own death; that says nothing of the channel and is no try of it."""
AGAIN_AFTER = (timedelta(seconds=5), timedelta(seconds=20), timedelta(seconds=60))
TIMEOUT = 10.0
MUZZLED = "not sent: this Tocsin is muzzled"
CUT_OFF = "cut off between sending and the answer: it may have been sent"


@dataclass(frozen=True)
class Job:
    """Everything one sending needs, so that none of it is read with the line open."""

    channel: str
    outgoing: Outgoing
    address: Mapping[str, str] | None
    context: Context


@dataclass(frozen=True)
class Outcome:
    """What came of a sending, with its latency in milliseconds."""

    state: AttemptState
    latency_ms: int = 0
    receipt: str | None = None
    answer: str | None = None
    failure: str | None = None
    permanent: bool = False
    gone: bool = False


def context_for(uow: UnitOfWork, channel: str, send_id: UUID) -> Context:
    """The surroundings a channel works in, for one sending."""
    given = chosen.effective(uow)
    listens = registry.get(channel).hears is not None
    return Context(
        config=reaching.config_of(uow, channel),
        base_url=given.base_url,
        smtp_url=given.smtp_url,
        smtp_from=given.smtp_from,
        timeout=TIMEOUT,
        callback=callback_url(channel, send_id) if listens else "",
        inbox=inbox.put,
    )


def send(job: Job) -> Outcome:
    """Send one notification, no transaction open; whatever the far end does becomes an outcome."""
    channel = registry.get(job.channel)
    if settings().muzzled and channel.reaches_out:
        return Outcome(AttemptState.muzzled, answer=MUZZLED)
    if job.address is None:
        return Outcome(AttemptState.failed, failure="this contact method has been removed", permanent=True)
    began = time.monotonic()

    def took() -> int:
        return round((time.monotonic() - began) * 1000)

    try:
        crashpoints.reached("send.before")
        sent = channel.send(job.outgoing, job.address, job.context)
        crashpoints.reached("send.after")
    except Undeliverable as error:
        if error.muzzled:
            return Outcome(AttemptState.muzzled, answer=MUZZLED)
        state = AttemptState.unknown if error.maybe_sent else AttemptState.failed
        failure = _told(job, error.reason)[:1000]
        return Outcome(state, took(), failure=failure, permanent=error.permanent, gone=error.gone)
    return Outcome(AttemptState.sent, took(), receipt=sent.provider_id, answer=one_line(_told(job, sent.answer), 1000))


def _told(job: Job, words: str) -> str:
    """What a far end says, without the secrets of the way to it."""
    channel = registry.get(job.channel)
    known = ((channel.address, job.address or {}), (channel.config, job.context.config))
    return conceal(words, {given.get(one.name, "") for fields, given in known for one in fields if one.type == "secret"})


def _handle(claims: list[work.Claim]) -> None:
    """Send a batch side by side: one slow far end does not hold up the others."""
    try:
        jobs, cut_off = _intended(claims)
    except Exception as error:  # any of them may be the bad one, and nothing has been sent yet: one at a time
        if len(claims) == 1:
            raise
        log.info("a batch of pages failed and is taken one by one", extra={"reason": repr(error)})
        work.one_by_one(ATTEMPTS, claims)
        return
    for claim, failure in cut_off:
        with unit_of_work() as uow:
            _conclude(uow, claim, Outcome(AttemptState.unknown, failure=failure[:1000]))
    if len(jobs) == 1:
        _send_and_tell(*jobs[0])
    elif jobs:
        with ThreadPoolExecutor(len(jobs), thread_name_prefix="sending") as pool:
            running = [pool.submit(_send_and_tell, claim, job) for claim, job in jobs]
        for one in running:
            one.result()


def _intended(claims: list[work.Claim]) -> tuple[list[tuple[work.Claim, Job]], list[tuple[work.Claim, str]]]:
    """Write down, in one transaction, what will be sent; and which were cut off while they were being sent."""
    jobs: list[tuple[work.Claim, Job]] = []
    cut_off: list[tuple[work.Claim, str]] = []
    with unit_of_work() as uow:
        for claim in claims:
            attempt = uow.get_one(PageAttempt, claim.id, with_for_update=True)
            if attempt.state == AttemptState.sending:  # an earlier worker never came back with the answer
                # An error of ours on the row says that it did not die: that counts as a try of the channel.
                cut_off.append((claim, f"{CUT_OFF} ({attempt.error})" if attempt.error else CUT_OFF))
            else:
                with logs.tied(claim.correlation):
                    job = _intend(uow, claim, attempt)
                if job is not None:
                    jobs.append((claim, job))
    return jobs, cut_off


def _send_and_tell(claim: work.Claim, job: Job) -> None:
    with telemetry.doing("page", claim.correlation, channel=job.channel, attempt=claim.id) as span:
        outcome = send(job)
        span.note(outcome=outcome.state)
        work.write_down(lambda uow: _conclude(uow, claim, outcome))
    ATTEMPTED.add(job.channel, outcome.state)
    SECONDS.observe(outcome.latency_ms / 1000, job.channel)


def _intend(uow: UnitOfWork, claim: work.Claim, attempt: PageAttempt) -> Job | None:
    """Write down that this is being sent; None when there is nothing (more) to send."""
    page = uow.get(Page, attempt.page_id) if attempt.page_id else None
    inside = [] if page else braking.inside(uow, uow.get_one(PageTarget, attempt.target_id))
    ringing = bool(inside) or (page is not None and page.state in RINGING)
    if attempt.state != AttemptState.pending or not ringing or _carried(uow, attempt):
        attempt.state = AttemptState.cancelled
        work.finish(uow, ATTEMPTS, claim)
        return None
    attempt.state, attempt.sent_at = AttemptState.sending, uow.now
    context = context_for(uow, attempt.channel, attempt.send_id)
    outgoing = _page_text(uow, attempt, page, context) if page else _bundle_text(uow, attempt, inside)
    address = reaching.address_of(uow, attempt.channel, attempt.contact_id, attempt.user_id)
    for one in [page] if page else inside:
        body = {"attempt": str(attempt.id), "channel": attempt.channel, "try": attempt.tries}
        told = {"to": attempt.shown}
        paging.say(uow, SYSTEM, facts.PAGE_ATTEMPTED, one, body, *_person(attempt), data=told)
    return Job(attempt.channel, outgoing, address, context)


def _carried(uow: UnitOfWork, attempt: PageAttempt) -> bool:
    """Whether this is tried again and another try of the same page has gone the same way meanwhile."""
    if attempt.tries == 1 or attempt.page_id is None:
        return False
    same = (PageAttempt.page_id == attempt.page_id, PageAttempt.channel == attempt.channel, PageAttempt.shown == attempt.shown)
    gone = (PageAttempt.state.in_([AttemptState.sending, AttemptState.sent]), PageAttempt.sent_at >= attempt.created_at)
    return uow.scalar(select(PageAttempt.id).where(*same, *gone, PageAttempt.id != attempt.id).limit(1)) is not None


def _person(attempt: PageAttempt) -> tuple[Ref, ...]:
    return (Ref("user", str(attempt.user_id)),) if attempt.user_id else ()


def _page_text(uow: UnitOfWork, attempt: PageAttempt, page: Page, context: Context) -> Outgoing:
    base, channel = settings().base_url, registry.get(attempt.channel)
    title, text = page.title, page.message
    if page.lapsed_at is not None:
        text = f"{page.lapsed_name} had acknowledged this, and nobody has done anything since.\n{text}"
    if channel.in_the_clear:
        told = outside(uow, Ref(page.subject_kind, page.subject_id), title, text)
        title, text = told.title, "\n".join(told.lines)
    answerable = channel.takes_codes and context.callback and attempt.user_id
    return Outgoing(
        id=attempt.send_id,
        kind="page",
        title=disarmed(one_line(title)),
        text=disarmed(two_lines(text)),
        severity=Severity(page.severity),
        at=uow.now,
        link=base + page.path,
        acknowledge=base + ack_link(page.id, attempt.user_id) if attempt.user_id else None,
        thread=str(page.id),
        code=codes.of_page(uow, page) if answerable else "",
    )


def _bundle_text(uow: UnitOfWork, attempt: PageAttempt, pages: list[Page]) -> Outgoing:
    worst = max((Severity(page.severity) for page in pages), key=lambda s: s.rank)
    critical = sum(page.severity == Severity.critical for page in pages)
    clear = registry.get(attempt.channel).in_the_clear
    items = [] if clear else [disarmed(one_line(f"{page.severity}: {page.title}", 120)) for page in pages]
    more = len(items) - 10
    return Outgoing(
        id=attempt.send_id,
        kind="bundle",
        title=f"{len(pages)} more {'page waits' if len(pages) == 1 else 'pages wait'} for you"
        + (f", {critical} of them critical" if critical else ""),
        text=f"At most {braking.BRAKE} pages in {braking.WINDOW.seconds // 60} minutes come one by one; "
        "these came on top and each waits to be acknowledged.",
        severity=worst,
        at=uow.now,
        link=settings().base_url + "/",
        thread=str(attempt.target_id),
        items=tuple(items[:10]) + ((f"and {more} more",) if more > 0 else ()),
    )


def _conclude(uow: UnitOfWork, claim: work.Claim, outcome: Outcome) -> None:
    """Write down what came of it and what follows."""
    attempt = uow.get_one(PageAttempt, claim.id, populate_existing=True)
    target = uow.get_one(PageTarget, attempt.target_id)
    pages = [uow.get_one(Page, attempt.page_id)] if attempt.page_id else braking.inside(uow, target)
    attempt.state, attempt.answered_at = outcome.state, uow.now
    attempt.latency_ms, attempt.receipt = outcome.latency_ms, outcome.receipt
    attempt.answer, attempt.failure = outcome.answer, outcome.failure
    work.finish(uow, ATTEMPTS, claim)
    crashpoints.reached("send.outcome")
    good = outcome.state in (AttemptState.sent, AttemptState.muzzled)
    body = {
        "attempt": str(attempt.id),
        "channel": attempt.channel,
        "state": outcome.state,
        "ms": outcome.latency_ms,
    }
    for page in pages:
        verb = facts.PAGE_DELIVERED if good else facts.PAGE_FAILED
        told = {"answer": outcome.answer, "receipt": outcome.receipt} if good else {"reason": outcome.failure}
        paging.say(uow, SYSTEM, verb, page, body, *_person(attempt), data=told)
    if good:
        _reached(uow, attempt, target, pages)
        receipts.settle(uow, attempt)
        return
    if outcome.gone and attempt.contact_id is not None:
        contacts.lost(uow, attempt.contact_id)
    if not outcome.permanent and _worth_repeating(attempt, outcome) and _may_go_on(uow, attempt):
        _again(uow, attempt)
    paging.after_failure(uow, attempt)


def _worth_repeating(attempt: PageAttempt, outcome: Outcome) -> bool:
    """Of unknown outcome: what is urgent goes out again (twice beats never), the rest stays unknown."""
    return outcome.state != AttemptState.unknown or attempt.urgency == Urgency.high


def _may_go_on(uow: UnitOfWork, attempt: PageAttempt) -> bool:
    if attempt.failure != CUT_OFF:
        return attempt.tries < TRIES
    same = (PageAttempt.target_id == attempt.target_id, PageAttempt.send_id == attempt.send_id)
    rows = select(func.count()).where(*same)
    return (uow.scalar(rows) or 0) < MOST_CUT_OFF


def _again(uow: UnitOfWork, attempt: PageAttempt) -> None:
    wait = (
        timedelta(0) if attempt.failure == CUT_OFF else AGAIN_AFTER[min(attempt.tries, len(AGAIN_AFTER)) - 1]
    )
    uow.add(
        PageAttempt(
            created_at=uow.now,
            target_id=attempt.target_id,
            page_id=attempt.page_id,
            user_id=attempt.user_id,
            contact_id=attempt.contact_id,
            send_id=attempt.send_id,
            channel=attempt.channel,
            lane=attempt.lane,
            shown=attempt.shown,
            position=attempt.position,
            tries=attempt.tries + (attempt.failure != CUT_OFF),
            urgency=attempt.urgency,
            due_at=uow.now + wait,
        )
    )
    uow.flush()
    uow.wake("notify.attempts")


def _reached(uow: UnitOfWork, attempt: PageAttempt, target: PageTarget, pages: Iterable[Page]) -> None:
    if target.state != TargetState.bundled and (attempt.channel != "inbox" or _only_the_inbox(uow, target)):
        target.state = TargetState.reached
    if attempt.channel == "inbox":
        return
    fresh = [page for page in pages if page.first_sent_at is None]
    ids: list[UUID] = [page.id for page in fresh]
    if ids:
        for page in fresh:
            waited = (uow.now - (page.received_at or page.created_at)).total_seconds()
            uow.after_commit(partial(HANDED_OVER.observe, waited))
        stamp = (
            update(Page).where(Page.id.in_(ids), Page.first_sent_at.is_(None)).values(first_sent_at=uow.now)
        )
        uow.execute(stamp.execution_options(synchronize_session=False))


def _only_the_inbox(uow: UnitOfWork, target: PageTarget) -> bool:
    others = select(PageAttempt.id).where(PageAttempt.target_id == target.id, PageAttempt.channel != "inbox")
    return uow.scalar(others.limit(1)) is None


def _parked(uow: UnitOfWork, attempt_id: UUID, error: str) -> None:
    """Sending failed in a way nobody foresaw, many times: count it as a failed way."""
    attempt = uow.get_one(PageAttempt, attempt_id, populate_existing=True)
    attempt.state, attempt.failure = AttemptState.failed, error[:1000]
    uow.flush()
    paging.after_failure(uow, attempt)


def _replayed(uow: UnitOfWork, attempt_id: UUID) -> None:
    """Somebody wants it sent after all; it goes out if its page still waits."""
    attempt = uow.get_one(PageAttempt, attempt_id, populate_existing=True)
    attempt.state, attempt.failure = AttemptState.pending, None
    uow.flush()


ATTEMPTS = work.register(
    work.WorkKind(
        "notify.attempts",
        PageAttempt,
        _handle,
        batch=10,
        concurrency=12,
        on_park=_parked,
        on_replay=_replayed,
        lane="lane",
        ends_within=timedelta(seconds=TIMEOUT + 5),
        about=[
            select(PageAttempt.id, Page.subject_kind, Page.subject_id).join(Page, Page.id == PageAttempt.page_id),
            paging.inside(PageAttempt.id).join(PageAttempt, PageAttempt.target_id == PageTarget.bundle_id),
        ],
    )
)
