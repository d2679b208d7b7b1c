"""Finds the people behind a step's targets and the ways to reach each of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import chosen
from core.auth.models import User
from core.secrets import unseal
from notify import registry
from notify.escalation import Target
from notify.models import ChannelSettings, ContactMethod, Urgency
from notify.oncall import schedules
from notify.oncall.resolver import on_call

ADDRESS_PURPOSE = "notify.address"
SETTINGS_PURPOSE = "notify.channel"


@dataclass(frozen=True)
class Wanted:
    """A person, or a shared place, that a step reaches, and why."""

    user_id: UUID | None
    contact_id: UUID | None
    why: str


@dataclass(frozen=True)
class Method:
    """One way to try: `delay` in seconds from the start; without `contact_id` it is the account's own."""

    contact_id: UUID | None
    channel: str
    shown: str
    delay: int

    @property
    def reaches_out(self) -> bool:
        """Whether this can find somebody who is not looking at our pages."""
        return registry.get(self.channel).reaches_out


def behind(
    session: Session, targets: Iterable[Target], at: datetime, also: Iterable[Target] = ()
) -> tuple[list[Wanted], list[str]]:
    """Whom the targets stand for at `at`, each once; and a sentence for each that stands for nobody.

    `also` are people to reach beside them: those who had acknowledged.
    """
    targets = list(targets)
    wanted: dict[tuple[UUID | None, UUID | None], Wanted] = {}
    missing: list[str] = []
    named = [UUID(t.id) for t in targets if t.kind == "schedule"]
    rotas = schedules.load(session, named, since=at) if named else {}
    for target in targets:
        number = UUID(target.id)
        if target.kind == "contact":
            wanted.setdefault((None, number), Wanted(None, number, "named in the policy"))
        elif target.kind == "lead":
            wanted.setdefault((number, None), Wanted(number, None, "leads what this is about"))
        elif target.kind == "user":
            wanted.setdefault((number, None), Wanted(number, None, "named in the policy"))
        elif number not in rotas:
            missing.append("a schedule of this policy has been deleted")
        elif (shift := on_call(rotas[number], at)) is None:
            missing.append(f"nobody is on call for {rotas[number].name}")
        else:
            why = f"on call for {rotas[number].name}: {shift.why}"
            wanted.setdefault((shift.user_id, None), Wanted(shift.user_id, None, why))
    for target in also:
        wanted.setdefault((UUID(target.id), None), Wanted(UUID(target.id), None, "the one who had acknowledged it"))
    return _still_here(session, wanted.values(), missing), missing


def _still_here(session: Session, wanted: Iterable[Wanted], missing: list[str]) -> list[Wanted]:
    wanted = list(wanted)
    users = [w.user_id for w in wanted if w.user_id]
    contacts = [w.contact_id for w in wanted if w.contact_id]
    there: set[UUID | None] = set()
    for model, asked in ((User, users), (ContactMethod, contacts)):
        if asked:
            there |= set(session.scalars(select(model.id).where(model.id.in_(asked), model.disabled_at.is_(None))))
    missing += [
        f"who was {w.why} can no longer be reached"
        for w in wanted
        if (w.user_id or w.contact_id) not in there
    ]
    # One order for everybody, so that two pages locking the same people cannot wait for each other.
    found = (w for w in wanted if (w.user_id or w.contact_id) in there)
    return sorted(found, key=lambda w: (w.user_id is None, w.user_id or w.contact_id))


def methods(session: Session, wanted: Wanted, urgency: str) -> list[Method]:
    """The ways to reach somebody, in order; the inbox is always among a person's.

    Those for this urgency if there are any, else whatever there is, confirmed or not: better a try than silence. A
    person without any gets a mail to the account's address, if mail is configured.
    """
    if wanted.contact_id is not None:
        rows = list(session.scalars(select(ContactMethod).where(ContactMethod.id == wanted.contact_id)))
    else:
        rows = list(
            session.scalars(
                select(ContactMethod)
                .where(ContactMethod.user_id == wanted.user_id, ContactMethod.disabled_at.is_(None))
                .order_by(ContactMethod.position, ContactMethod.id)
            )
        )
    rows = [row for row in rows if row.channel in registry.all_channels()]
    out = [row for row in rows if registry.get(row.channel).reaches_out]
    out = [row for row in out if row.urgency in (urgency, Urgency.any)] or out
    found = [Method(row.id, row.channel, row.shown, row.delay) for row in out]
    if wanted.user_id is None:
        return found
    if not found and chosen.effective(session).smtp_url:
        user = session.get_one(User, wanted.user_id)
        found.append(Method(None, "email", user.email, 0))
    return [*found, Method(None, "inbox", "inbox", 0)]


def address_of(
    session: Session, channel: str, contact_id: UUID | None, user_id: UUID | None
) -> dict[str, str] | None:
    """The whole address, secrets opened; None when the contact method is gone."""
    if contact_id is not None:
        row = session.get(ContactMethod, contact_id)
        return None if row is None else {**row.address, **opened(row.secrets, ADDRESS_PURPOSE)}
    if channel == "inbox":
        return {"user": str(user_id)}
    user = session.get(User, user_id) if user_id else None
    return None if user is None else {"to": user.email}


def config_of(session: Session, channel: str) -> Mapping[str, str]:
    """The installation's settings of a channel, or of the one whose account it shares, secrets opened."""
    row = session.get(ChannelSettings, registry.get(channel).shares or channel)
    return {} if row is None else {**row.values, **opened(row.secrets, SETTINGS_PURPOSE)}


def opened(sealed: str | None, purpose: str) -> dict[str, str]:
    """Sealed values as a mapping; empty when there are none."""
    values: dict[str, str] = json.loads(unseal(sealed, purpose)) if sealed else {}
    return values
