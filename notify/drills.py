"""A test page: whoever is on call is paged as for an incident, so that the way to them is known before the night it is needed."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork
from core.types import Ref, Severity
from notify import delivery
from notify.models import Page
from notify.permissions import MANAGE

POLICY = "default"
SUBJECT = Ref("drill", "page")


def begin(uow: UnitOfWork, actor: Actor) -> Page:
    """Page by the default escalation as for an incident of high severity; an earlier test page ends.

    Raises NotFound without any escalation policy.
    """
    permissions.require(actor, MANAGE.name)
    delivery.close(uow, actor, SUBJECT)
    page = delivery.page(
        uow, actor, policy=POLICY, subject=SUBJECT, title=f"Test page from {actor.name}",
        message="Acknowledge it, as you would at night. Nothing else has to be done.",
        severity=Severity.high, path="/oncall",
    )  # fmt: skip
    page.plan = {**page.plan, "ack_timeout": 0}  # once acknowledged it is over: there is nothing to be done about it
    uow.flush()
    return page


def answered(session: Session) -> bool:
    """Whether anybody has ever acknowledged a test page."""
    query = select(Page.id).where(
        Page.subject_kind == SUBJECT.kind, Page.subject_id == SUBJECT.id, Page.acknowledged_at.is_not(None)
    )
    return session.scalar(query.limit(1)) is not None
