"""The ledger of a page: each moment from the first word of it to its end, with how long after that word it was."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core import journal
from core.auth import users
from core.journal import Entry, JournalEntry, JournalRef
from notify import facts
from notify.models import Page, PageAttempt, PageReceipt, PageTarget

_TOLD = {
    facts.PAGE_ACKNOWLEDGED.name: "acknowledged",
    facts.PAGE_ESCALATED.name: "escalated",
    facts.PAGE_LAPSED.name: "lapsed",
    facts.PAGE_EXHAUSTED.name: "exhausted",
}
"""What the journal tells of a page as lines of its ledger: its row keeps only how it stands now."""
ONCE = ("received", "decided", "sent", "receipt", "acknowledged")


@dataclass(frozen=True)
class LedgerLine:
    """One moment of a page: `ms` since Tocsin first heard of it (or since the page, when that is not known)."""

    at: datetime
    ms: int
    what: str
    who: str = ""
    channel: str = ""
    detail: str = ""


@dataclass(frozen=True)
class _Known:
    """All rows about some pages, each by the page they are of."""

    names: Mapping[UUID, str]
    targets: Mapping[UUID, list[PageTarget]]
    attempts: Mapping[UUID, list[PageAttempt]]
    receipts: Mapping[UUID, list[PageReceipt]]  # by attempt
    entries: Mapping[UUID, list[Entry]]


def of_page(session: Session, page: Page) -> list[LedgerLine]:
    """A page from the first word of it to its end: received → decided → sent → receipt → acknowledged."""
    return of_pages(session, [page])[page.id]


def of_pages(session: Session, pages: Sequence[Page]) -> dict[UUID, list[LedgerLine]]:
    """The ledgers of some pages, by page: as many queries as for one."""
    known = _known(session, [page.id for page in pages])
    return {page.id: sorted(_lines(page, known), key=lambda line: line.at) for page in pages}


def moments(lines: Iterable[LedgerLine]) -> list[LedgerLine]:
    """The short of it: the first of each of `ONCE`, and after the page rang again ("lapsed") the first of each anew.

    The inbox counts as sent and answered only where nothing else carried the page.
    """
    lines = list(lines)
    outside = any(line.what == "sent" and line.channel != "inbox" for line in lines)
    seen: set[str] = set()
    kept = []
    for line in lines:
        if line.what == "lapsed":
            seen = {"received", "decided"}
            kept.append(line)
        elif line.what in ONCE and line.what not in seen and not (outside and line.channel == "inbox"):
            seen.add(line.what)
            kept.append(line)
    return kept


def _lines(page: Page, known: _Known) -> Iterator[LedgerLine]:
    began = page.received_at or page.created_at

    def line(at: datetime, what: str, who: str = "", channel: str = "", detail: str = "") -> LedgerLine:
        return LedgerLine(at, round((at - began).total_seconds() * 1000), what, who, channel, detail)

    if page.received_at:
        yield line(page.received_at, "received")
    yield line(page.created_at, "decided", detail=page.policy)
    for target in known.targets.get(page.id, []):
        if target.bundle_id:
            yield line(
                target.created_at, "bundled", known.names.get(target.user_id, "") if target.user_id else ""
            )
    for entry in known.entries.get(page.id, []):  # what makes it ring stands before what is sent at the same moment
        if (what := _TOLD[entry.verb]) != "acknowledged":
            yield line(entry.at, what, detail=str((entry.data or {}).get("reason") or ""))
    for attempt in known.attempts.get(page.id, []):
        who = known.names.get(attempt.user_id, attempt.shown) if attempt.user_id else attempt.shown
        if attempt.sent_at:
            yield line(attempt.sent_at, "sent", who, attempt.channel, attempt.shown)
        if attempt.answered_at:
            detail = attempt.answer or attempt.failure or ""
            taken = attempt.state == "sent" or (attempt.state == "failed" and attempt.answer)
            yield line(attempt.answered_at, "receipt" if taken else attempt.state, who, attempt.channel, detail)
        for one in known.receipts.get(attempt.id, []):
            yield line(one.created_at, one.state, who, attempt.channel, one.detail)
    for entry in known.entries.get(page.id, []):
        if (what := _TOLD[entry.verb]) == "acknowledged":
            yield line(entry.at, what, entry.actor_name, str(entry.body.get("via") or ""))
    if page.closed_at:
        yield line(page.closed_at, "closed")


def _known(session: Session, ids: Sequence[UUID]) -> _Known:
    targets: dict[UUID, list[PageTarget]] = {}
    bundles: dict[UUID, list[UUID]] = {}
    for target in session.scalars(
        select(PageTarget).where(PageTarget.page_id.in_(ids)).order_by(PageTarget.id)
    ):
        if target.page_id is not None:
            targets.setdefault(target.page_id, []).append(target)
            if target.bundle_id is not None:
                bundles.setdefault(target.bundle_id, []).append(target.page_id)
    attempts: dict[UUID, list[PageAttempt]] = {}
    of_these = or_(PageAttempt.page_id.in_(ids), PageAttempt.target_id.in_(bundles))
    query = select(PageAttempt).where(of_these).order_by(PageAttempt.created_at, PageAttempt.id)
    tried = list(session.scalars(query))
    for attempt in tried:
        about = [attempt.page_id] if attempt.page_id else dict.fromkeys(bundles.get(attempt.target_id, []))
        for page_id in about:
            attempts.setdefault(page_id, []).append(attempt)
    heard: dict[UUID, list[PageReceipt]] = {}
    told = select(PageReceipt).where(PageReceipt.attempt_id.in_([one.id for one in tried]))
    for receipt in session.scalars(told.order_by(PageReceipt.id)):
        if receipt.attempt_id is not None:
            heard.setdefault(receipt.attempt_id, []).append(receipt)
    return _Known(users.names(session), targets, attempts, heard, _entries(session, ids))


def _entries(session: Session, ids: Sequence[UUID]) -> dict[UUID, list[Entry]]:
    wanted = (
        select(JournalEntry.id)
        .join(JournalRef, JournalRef.entry == JournalEntry.id)
        .where(
            JournalRef.kind == "page",
            JournalRef.ref_id.in_([str(number) for number in ids]),
            JournalEntry.verb.in_(_TOLD),
        )
    )
    found: dict[UUID, list[Entry]] = {}
    for entry in journal.by_ids(session, session.scalars(wanted).all()):
        found.setdefault(UUID(entry.ref("page")), []).append(entry)
    return found
