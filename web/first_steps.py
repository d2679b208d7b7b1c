"""The first steps of a new installation: what they are, which are done, and which comes next."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from connectors import instances
from connectors.models import ProtectedEntity
from core import clock
from core.actors import Actor
from core.auth import factors, users
from core.auth.models import User
from ingest.models import Source
from notify import drills
from notify.models import ContactMethod
from web import way_back
from web.languages import gettext as _

NEW = timedelta(days=7)
"""For so long they are shown; afterwards the doctor alone says what is left."""
BLOCKING = "network.block_ip"


@dataclass(frozen=True)
class Step:
    """One step: what to do, what it is good for, where, and whether it is done."""

    name: str
    word: str
    hint: str
    href: str
    done: bool


def of(session: Session, actor: Actor) -> list[Step]:
    """The steps in their order, for those who can take them in an installation's first week; none once all are done."""
    if actor.user_id is None or not actor.may("source.manage"):
        return []
    ways = select(ContactMethod.id).where(
        ContactMethod.user_id == actor.user_id, ContactMethod.disabled_at.is_(None),
        ContactMethod.channel != "inbox", ContactMethod.verified_at.is_not(None),
    )  # fmt: skip
    heard = select(Source.id).where(Source.last_seen_at.is_not(None))
    asked = (select(ProtectedEntity.id).exists(), heard.exists(), ways.exists())
    began, protected, connected, reached = session.execute(
        select(select(func.min(User.created_at)).scalar_subquery(), *asked)
    ).one()
    if clock.now() - began > NEW:
        return []
    steps = [
        Step("yours", _("Say what is yours"), _("Networks, servers and people that Tocsin will never act against."),
             "/settings/yours", protected),
        _factor(session, actor.user_id),
        Step("source", _("Connect a tool"), _("It gets an address and a secret; its first alert appears by itself."),
             "/settings/sources#connect", connected),
        Step("way", _("Say how you are reached"), _("Your phone, confirmed by the code that a test brings."),
             "/profile#contacts", reached),
        Step("drill", _("Send yourself a test page"), _("It takes the way that a real one takes, and is timed."),
             "/oncall", drills.answered(session)),
        Step("block", _("Let your firewall fetch what is blocked"), _("A list at an address of its own; Tocsin needs no credentials."),
             "/settings/guardrails#feeds", bool(instances.resolve(session, BLOCKING)[1])),
    ]  # fmt: skip
    return [] if all(step.done for step in steps) else steps


def _factor(session: Session, user_id: UUID) -> Step:
    """A second factor; for the only administrator also something beside the one passkey that lets anybody in."""
    last = way_back.last_key(session, users.get(session, user_id))
    if last is not None and last.only_administrator:
        word, hint = _("Add a second passkey, or a password"), _("Nobody here could let you in again: one passkey is all you have.")
        return Step("factor", word, hint, "/profile/factor", done=False)
    word, hint = _("Add a second factor"), _("Without it you cannot agree to what disrupts.")
    return Step("factor", word, hint, "/profile/factor", factors.enrolled(session, user_id))


def following(session: Session, actor: Actor, name: str) -> Step | None:
    """The step to go on with from the page of the step `name`, once that is done."""
    steps = of(session, actor)
    if not any(step.done for step in steps if step.name == name):
        return None
    return next((step for step in steps if not step.done), None)
