"""What a report tells of who was told: pages with their attempts, messages, notices, duties and shared indicators."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Attempt:
    """One sending of a page."""

    to: str
    channel: str
    state: str
    sent_at: datetime | None
    latency_ms: int | None
    answer: str | None


@dataclass(frozen=True)
class PageMoment:
    """One moment of a page's ledger: received, decided, sent, receipt, acknowledged, lapsed; `ms` since the first of them."""

    what: str
    at: datetime
    ms: int


@dataclass(frozen=True)
class Page:
    """One page with its latencies in milliseconds since it started; its ledger counts from what it is about."""

    title: str
    started_at: datetime
    state: str
    sent_ms: int | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledged_ms: int | None
    attempts: tuple[Attempt, ...]
    ledger: tuple[PageMoment, ...] = ()


@dataclass(frozen=True)
class Obligation:
    """Whether somebody outside must be told: the question, “applies”, “does not apply” or “not decided”, why and by whom.

    Of a notice that a person noted also: to whom, under which marking, when it was sent and received, and their number.
    """

    question: str
    state: str
    because: str
    by: str
    at: datetime | None
    due_at: datetime | None
    options: tuple[str, ...] = ()
    sent_at: datetime | None = None
    receipt_at: datetime | None = None
    reference: str = ""
    to: str = ""
    tlp: str = ""


@dataclass(frozen=True)
class Shared:
    """Indicators that were shared with somebody outside, under which marking; `what` is defanged where it is a value."""

    to: str
    what: str
    tlp: str
    at: datetime | None
    receipt_at: datetime | None
    reference: str
    by: str


@dataclass(frozen=True)
class Notice:
    """One message that went to somebody else than a reporter: to whom, by which way, what came of it."""

    at: datetime
    to: str
    channel: str
    title: str
    state: str
    by: str


@dataclass(frozen=True)
class Message:
    """One message to somebody who reported the incident."""

    at: datetime
    to: str
    by: str
    via: str
    text: str
