"""Trying out a contact method: a test message with a code, which its person types back, and what came of the last one."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import limits
from core.actors import Actor
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, Problem
from core.secrets import proof
from core.types import Ref, to_micros
from notify import contacts, delivery, registry
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
    """A message that says it is a test; to somebody's own way it brings a code to type back."""
    text = _("%(name)s asked for this test. If you read it, pages can reach you here.") % {"name": actor.name}
    if method.user_id is not None:
        spoken = " ".join(code_of(method, uow.now))  # figure by figure, as a call reads it out
        text = _("Your code is %(code)s. Type it into your profile in Tocsin.") % {"code": spoken}
    delivery.message(
        uow,
        actor,
        channel=method.channel,
        to=f"contact:{method.id}",
        title=_("Test from Tocsin"),
        text=text,
        subject=Ref("user", actor.id),
        path="/profile",
    )


GOOD_FOR = timedelta(hours=1)
"""How long the code of a test can be typed back."""
TRIES = 5


def code_of(method: ContactMethod, at: datetime) -> str:
    """The six figures that a test of this method, sent at that moment, brings."""
    made = proof("contact code", method.id.bytes + to_micros(at).to_bytes(8, "big"))
    return f"{int.from_bytes(made[:8], 'big') % 1_000_000:06d}"


def confirm(uow: UnitOfWork, actor: Actor, method: ContactMethod, typed: str) -> None:
    """The person types back what the last test brought. Raises Conflict without a test that counts, Invalid for a wrong code."""
    test = last_test(uow, method)
    if test is None or test.created_at < uow.now - GOOD_FOR:
        raise Conflict(_("Send a test there first: its code can be typed back for an hour."))
    figures = "".join(letter for letter in typed if letter.isascii() and letter.isdigit())
    if not hmac.compare_digest(figures, code_of(method, test.created_at)):
        message = _("This is not the code of the last test.")
        raise Invalid(message, [Problem("code", message)])
    contacts.verified(uow, actor, method.id)


def count_try(method: ContactMethod) -> None:
    """One more code is typed for a method; raises TooMany where it looks like guessing."""
    limits.take("contact code", str(method.id), most=TRIES, overall=500, within=timedelta(minutes=10))
