"""Brakes a flood of pages to one person: what comes beyond the limit goes into a bundle with a count."""

from datetime import timedelta

from sqlalchemy import ColumnElement, func, select

from core.auth.models import User
from core.db import UnitOfWork
from core.ids import new_id
from core.types import Severity
from notify.models import ContactMethod, Page, PageState, PageTarget, TargetState, Urgency

BRAKE = 5
"""At most so many pages a person (or shared place) in `WINDOW`; the rest go into bundles."""
MOST_FIRST = 8
"""The first of a kind rings past `BRAKE`, until so many that are not critical have rung: somebody in a storm reads a list."""
WINDOW = timedelta(minutes=10)
KNOWN_FOR = timedelta(hours=24)
"""A kind of page that reached the person within this time is no longer the first of its kind."""
GATHER = timedelta(seconds=20)
"""How long a bundle waits for more before it is sent."""
BETWEEN_BUNDLES = timedelta(minutes=5)


def lock(uow: UnitOfWork, target: PageTarget) -> None:
    """One page at a time counts how often somebody was paged; on SQLite there is one writer anyway."""
    if target.user_id is not None:
        uow.execute(select(User.id).where(User.id == target.user_id).with_for_update(key_share=True))
    else:
        contact = select(ContactMethod.id).where(ContactMethod.id == target.contact_id)
        uow.execute(contact.with_for_update(key_share=True))


def counts(page: Page) -> bool:
    """Whether pages like this one are counted: a critical one neither waits for others nor is counted for them."""
    return page.severity != Severity.critical


def too_many(uow: UnitOfWork, page: Page, target: PageTarget) -> bool:
    """Whether this one waits for the bundle: never a critical one or a call; the first of a kind after MOST_FIRST others."""
    if page.at_once or not counts(page):
        return False
    recent = select(func.count()).where(
        *_same_person(target),
        PageTarget.page_id.is_not(None),
        PageTarget.state != TargetState.bundled,
        PageTarget.created_at > uow.now - WINDOW,
        PageTarget.page_id.in_(select(Page.id).where(Page.severity != Severity.critical)),
    )
    rung = uow.scalar(recent) or 0
    return rung >= MOST_FIRST or (rung >= BRAKE and _heard_of(uow, page, target))


def _heard_of(uow: UnitOfWork, page: Page, target: PageTarget) -> bool:
    """Whether a page of this kind has reached the person, or is on its way to them, not only within a bundle."""
    before = (
        select(PageTarget.id)
        .join(Page, Page.id == PageTarget.page_id)
        .where(
            *_same_person(target),
            PageTarget.state.not_in([TargetState.bundled, TargetState.failed]),
            PageTarget.created_at > uow.now - KNOWN_FOR,
            Page.kind == page.kind,
        )
    )
    return uow.scalar(before.limit(1)) is not None


def into_bundle(uow: UnitOfWork, page: Page, target: PageTarget) -> None:
    """Put the target into the person's open bundle, or into a new one."""
    bundles = select(PageTarget).where(*_same_person(target), PageTarget.page_id.is_(None))
    bundle = uow.scalar(bundles.where(PageTarget.due_at.is_not(None)).limit(1))
    if bundle is None:
        last = uow.scalar(bundles.order_by(PageTarget.created_at.desc()).limit(1))
        due = uow.now + GATHER
        if last is not None:
            due = max(due, last.created_at + GATHER + BETWEEN_BUNDLES)
        bundle = PageTarget(
            id=new_id(),
            created_at=uow.now,
            user_id=target.user_id,
            contact_id=target.contact_id,
            why=f"more than {BRAKE} pages in {WINDOW.seconds // 60} minutes",
            urgency=page.urgency,
            due_at=due,
        )
        uow.add(bundle)
        uow.flush()
    elif page.urgency == Urgency.high:
        bundle.urgency = Urgency.high
    target.bundle_id, target.state = bundle.id, TargetState.bundled


def inside(uow: UnitOfWork, bundle: PageTarget) -> list[Page]:
    """The pages of a bundle that still wait, the worst first."""
    pages = uow.scalars(
        select(Page)
        .join(PageTarget, PageTarget.page_id == Page.id)
        .where(PageTarget.bundle_id == bundle.id, Page.state == PageState.waiting)
        .order_by(Page.created_at, Page.id)
    ).unique()
    return sorted(pages, key=lambda page: -Severity(page.severity).rank)


def _same_person(target: PageTarget) -> list[ColumnElement[bool]]:
    if target.user_id is not None:
        return [PageTarget.user_id == target.user_id]
    return [PageTarget.user_id.is_(None), PageTarget.contact_id == target.contact_id]
