"""The door to people: start a page, acknowledge it, escalate it, end it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork, is_postgres
from core.errors import Conflict, NotFound
from core.types import Ref, Severity
from notify import due_pages, facts, paging, policies, sending
from notify import permissions as _declared
from notify.escalation import next_move
from notify.links import Link, ack_link, from_link
from notify.messages import message
from notify.models import AttemptState, Page, PageAttempt, PageState, PageTarget, Urgency
from notify.wording import block, one_line

__all__ = ["Link", "ack_link", "acknowledge", "close", "escalate", "from_link", "join", "message", "page"]

_OPEN = (PageState.waiting, PageState.acknowledged, PageState.exhausted)
_KINDS = (sending.ATTEMPTS, due_pages.PAGES, paging.BUNDLES)
_PERMISSION = _declared.ACKNOWLEDGE.name


def page(
    uow: UnitOfWork,
    actor: Actor,
    *,
    policy: str,
    subject: Ref,
    title: str,
    message: str,
    severity: Severity,
    path: str,
    key: str | None = None,
    kind: str | None = None,
    received_at: datetime | None = None,
    at_once: bool = False,
    lead: UUID | None = None,
    first: Sequence[UUID] = (),
) -> Page:
    """Reach somebody by the escalation policy called `policy`, and keep on until it is acknowledged.

    The same `key` while its page is open is the same page; if that one had run out of people, it starts again.
    `kind` is the sort of thing it is about, by default its subject: the first of a kind is held back in a bundle last.
    `at_once`: this one never is.
    `lead` is reached first and alone; unless they answer in the time of a step, the policy's people follow. `first` are
    several such people, one after the other.
    `path` leads to what it is about in our pages; `received_at` is when the first word of it reached Tocsin.
    An unknown policy falls back to the default one, so that a page is never lost; raises NotFound without one.
    """
    chosen = policies.plan(uow, policy)
    if alone := [*([lead] if lead is not None else []), *first]:
        chosen = policies.led(chosen, alone)
    insert = (postgresql.insert if is_postgres(uow) else sqlite.insert)(Page)
    values = {
        "created_at": uow.now,
        "key": key,
        "kind": kind or f"{subject.kind}:{subject.id}",
        "at_once": at_once,
        "policy": chosen["name"],
        "plan": chosen,
        "subject_kind": subject.kind,
        "subject_id": subject.id,
        "title": one_line(title, 300) or "Somebody is needed",
        "message": block(message),
        "path": path if path.startswith("/") else "/" + path,
        "severity": severity,
        "urgency": _urgency(severity),
        "state": PageState.waiting,
        "step": -1,
        "round": 0,
        "received_at": received_at,
    }
    new: Page | None = uow.scalar(insert.values(values).on_conflict_do_nothing().returning(Page))
    if new is None:  # a page with this key is open
        known = _open_with(uow, key or "")
        if known is None:
            raise Conflict("A page with this key was closed a moment ago; try again.")
        return _again(uow, actor, known)
    body: dict[str, object] = {
        "policy": new.policy,
        "severity": severity,
        "urgency": new.urgency,
    }
    if chosen["name"] != policy:
        body["asked_for"] = policy
    told = {"title": new.title}
    paging.say(uow, actor, facts.PAGE_STARTED, new, body, Ref("policy", chosen["id"]), data=told)
    new.due_at = paging.advance(uow, actor, new, "the first step")
    uow.flush()
    return new


def join(
    uow: UnitOfWork, actor: Actor, *, policy: str, subject: Ref, message: str, severity: Severity
) -> Page | None:
    """Add to a page about the same subject, by the same policy, that nobody has acknowledged; None without such a page.

    Who is being reached is not paged twice. If it is worse now, the next step is taken at once; a page that had run out
    of people starts again.
    """
    query = (
        select(Page)
        .where(
            Page.subject_kind == subject.kind,
            Page.subject_id == subject.id,
            Page.policy == policies.called(policy),
            Page.state.in_([PageState.waiting, PageState.exhausted]),
        )
        .order_by(Page.created_at, Page.id)
        .limit(1)
        .with_for_update(key_share=True)
    )
    known = uow.scalar(query.execution_options(populate_existing=True))
    if known is None:
        return None
    if message not in known.message:
        known.message = block(f"{message}\n\n{known.message}")
    worse = severity.rank > Severity(known.severity).rank
    if worse:
        known.severity, known.urgency = severity, _urgency(severity)
    paging.say(uow, actor, facts.PAGE_JOINED, known, {"severity": severity, "worse": worse})
    if known.state == PageState.exhausted:
        return _again(uow, actor, known)
    if worse and next_move(known.plan, known.round, known.step, heard=True) is not None:
        known.due_at = paging.advance(uow, actor, known, "it has become worse")
    uow.flush()
    return known


def acknowledge(uow: UnitOfWork, actor: Actor, page_id: UUID, via: str) -> Page:
    """Somebody looks at it: nobody else is paged. Doing it twice changes nothing; the first one counts.

    If nobody does anything about its subject in the policy's time, it rings again (notify.due_pages).
    `via` is how: web, link, api… Whoever was paged may always; others need page.acknowledge.
    """
    found = _locked(uow, page_id)
    if not _was_paged(uow, actor, page_id):
        permissions.require(actor, _PERMISSION)
    if found.state not in (PageState.waiting, PageState.exhausted):
        return found
    wait = due_pages.patience(found)
    found.state, found.due_at = PageState.acknowledged, uow.now + wait if wait is not None else None
    found.acknowledged_at, found.acknowledged_via = uow.now, via
    found.acknowledged_by, found.acknowledged_name = actor.id, actor.name
    _stop_attempts(uow, [page_id])
    took = round((uow.now - found.created_at).total_seconds() * 1000)
    paging.say(uow, actor, facts.PAGE_ACKNOWLEDGED, found, {"via": via, "ms": took})
    uow.flush()
    return found


def escalate(uow: UnitOfWork, actor: Actor, page_id: UUID, reason: str = "") -> Page:
    """Go to the next step now, also when it has been acknowledged ("I cannot take this"). Raises Conflict."""
    found = _locked(uow, page_id)
    if not _was_paged(uow, actor, page_id):
        permissions.require(actor, _PERMISSION)
    if found.state not in (PageState.waiting, PageState.acknowledged):
        raise Conflict(f"This page is {found.state}: there is no further step. Start a new page instead.")
    found.state = PageState.waiting
    found.acknowledged_at = found.acknowledged_by = found.acknowledged_name = found.acknowledged_via = None
    found.due_at = paging.advance(uow, actor, found, one_line(reason) or f"{actor.name} asked for it")
    uow.flush()
    return found


def close(uow: UnitOfWork, actor: Actor, subject: Ref) -> int:
    """The subject is dealt with: all its pages end. Returns how many were open."""
    query = select(Page).where(
        Page.subject_kind == subject.kind, Page.subject_id == subject.id, Page.closed_at.is_(None)
    )
    ended = list(
        uow.scalars(query.order_by(Page.id).with_for_update(key_share=True).execution_options(populate_existing=True))
    )
    for one in ended:
        paging.say(uow, actor, facts.PAGE_CLOSED, one, {"was": one.state})
        one.state, one.closed_at, one.due_at = PageState.closed, uow.now, None
    _stop_attempts(uow, [one.id for one in ended])
    uow.flush()
    return len(ended)


def _urgency(severity: Severity) -> Urgency:
    return (
        Urgency.high if severity.rank >= Severity.high.rank or severity is Severity.unknown else Urgency.low
    )


def _open_with(uow: UnitOfWork, key: str) -> Page | None:
    query = select(Page).where(Page.key == key, Page.closed_at.is_(None)).with_for_update(key_share=True)
    return uow.scalar(query.execution_options(populate_existing=True))


def _again(uow: UnitOfWork, actor: Actor, known: Page) -> Page:
    """The key rings again: a page that ran out of people starts from its first step."""
    if known.state == PageState.exhausted:
        paging.say(uow, actor, facts.PAGE_STARTED, known, {"again": True, "policy": known.policy})
        known.due_at, known.lease_until = paging.from_the_start(uow, actor, known, "it rang again"), None
        uow.flush()
    return known


def _locked(uow: UnitOfWork, page_id: UUID) -> Page:
    found = paging.locked(uow, page_id)
    if found is None:
        raise NotFound("There is no such page.")
    return found


def _was_paged(uow: UnitOfWork, actor: Actor, page_id: UUID) -> bool:
    if actor.user_id is None:
        return False
    query = select(PageTarget.id).where(PageTarget.page_id == page_id, PageTarget.user_id == actor.user_id)
    return uow.scalar(query.limit(1)) is not None


def _stop_attempts(uow: UnitOfWork, pages: list[UUID]) -> None:
    """What has not gone out yet for these pages does not go out."""
    uow.flush()
    uow.execute(
        update(PageAttempt)
        .where(PageAttempt.page_id.in_(pages), PageAttempt.state == AttemptState.pending)
        .values(state=AttemptState.cancelled, due_at=None)
        .execution_options(synchronize_session=False)
    )
