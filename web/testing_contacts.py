"""Trying out a contact method: a message that says it is a test, and what came of the last one."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.actors import Actor
from core.db import UnitOfWork
from core.types import Ref
from notify import delivery, registry
from notify.models import ContactMethod, Message
from web.languages import gettext as _


@dataclass(frozen=True, kw_only=True)
class Way:
    """One contact method and what came of the last test of it."""

    method: ContactMethod
    title: str
    test: Message | None


def way_of(session: Session, method: ContactMethod) -> Way:
    """The method as pages show it; one whose channel is gone keeps that channel's name."""
    known = registry.all_channels().get(method.channel)
    return Way(method=method, title=known.title if known else method.channel, test=last_test(session, method))


def last_test(session: Session, method: ContactMethod) -> Message | None:
    """The newest test message that went to this method."""
    query = select(Message).where(Message.contact_id == method.id, Message.subject_kind == "user")
    return session.scalar(query.order_by(Message.id.desc()).limit(1))


def send_test(uow: UnitOfWork, actor: Actor, method: ContactMethod) -> None:
    """A message that says it is a test."""
    delivery.message(
        uow,
        actor,
        channel=method.channel,
        to=f"contact:{method.id}",
        title=_("Test from Tocsin"),
        text=_("%(name)s asked for this test. If you read it, pages can reach you here.")
        % {"name": actor.name},
        subject=Ref("user", actor.id),
        path="/profile",
    )
