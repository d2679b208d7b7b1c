"""Contact methods of people, shared places, and the channels' settings: entered, checked, sealed, verified."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import func, select

from core.actors import SYSTEM, Actor
from core.auth import permissions
from core.auth.models import User
from core.db import UnitOfWork
from core.errors import Invalid, NotFound, Problem
from core.journal import Fact, record
from core.secrets import seal
from core.types import Ref
from notify import facts, registry
from notify.contract import Field
from notify.models import ChannelSettings, ContactMethod, Urgency
from notify.permissions import MANAGE, OWN_CONTACTS
from notify.reaching import ADDRESS_PURPOSE, SETTINGS_PURPOSE, opened

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164
_MAIL = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,255}")


def add(
    uow: UnitOfWork,
    actor: Actor,
    *,
    user_id: UUID | None,
    channel: str,
    address: Mapping[str, str],
    name: str = "",
    urgency: str = Urgency.any,
    delay: int = 180,
) -> ContactMethod:
    """A new way to reach a person, or (user_id None, with a name) a shared place. Raises Invalid.

    It comes last in the person's order; `delay` is in seconds. It is used at once, and verified when the person has shown that it
    arrives there; a shared place has nobody to show it.
    """
    _may(actor, user_id)
    found = registry.get(channel)
    problems = _problems(found.address, address, "address")
    problems += _more_problems(urgency, delay)
    user = uow.get(User, user_id) if user_id else None
    if user_id and user is None:
        raise NotFound("There is no such user.")
    if user_id is None and found.personal:
        problems.append(Problem("channel", "is somebody's own device, and no shared place"))
    if user_id is None and not name.strip():
        problems.append(Problem("name", "a shared place needs a name, such as #soc"))
    if channel == "slack" and not (address.get("to") or address.get("webhook_url")):
        problems.append(Problem("address.to", "needs a channel or member, or a webhook URL"))
    if problems:
        raise Invalid("The contact method cannot be saved as entered.", problems)
    count = select(func.coalesce(func.max(ContactMethod.position), -1)).where(
        ContactMethod.user_id == user_id
    )
    method = ContactMethod(
        created_at=uow.now,
        user_id=user_id,
        name=name.strip() or found.title,
        channel=channel,
        shown=found.shown(address),
        position=(uow.scalar(count) or 0) + 1 if user_id else 0,
        urgency=urgency,
        delay=delay,
        verified_at=uow.now if user_id is None else None,
        **_split(found.address, address),
    )
    uow.add(method)
    _told(uow, actor, method, "added")
    return method


def change(
    uow: UnitOfWork,
    actor: Actor,
    method_id: UUID,
    *,
    name: str | None = None,
    urgency: str | None = None,
    delay: int | None = None,
) -> ContactMethod:
    """Change how a method is used; a new address is a new method. Raises Invalid."""
    method = _get(uow, actor, method_id)
    if problems := _more_problems(urgency or method.urgency, delay if delay is not None else method.delay):
        raise Invalid("The contact method cannot be saved as entered.", problems)
    method.name = (name or method.name).strip()
    method.urgency, method.delay = urgency or method.urgency, delay if delay is not None else method.delay
    _told(uow, actor, method, "changed")
    return method


def remove(uow: UnitOfWork, actor: Actor, method_id: UUID) -> None:
    """Take a method out of use; what was sent by it stays on record."""
    method = _get(uow, actor, method_id)
    method.disabled_at = uow.now
    _told(uow, actor, method, "removed")


def lost(uow: UnitOfWork, method_id: UUID) -> None:
    """Its far end says that this address is no more: it is taken out of use, and its person hears of it."""
    method = uow.get(ContactMethod, method_id)
    if method is not None and method.disabled_at is None:
        method.disabled_at = uow.now
        _told(uow, SYSTEM, method, "lost")


def verified(uow: UnitOfWork, actor: Actor, method_id: UUID) -> ContactMethod:
    """The person has shown that they receive what is sent there."""
    method = _get(uow, actor, method_id)
    if method.verified_at is None:
        method.verified_at = uow.now
        _told(uow, actor, method, "verified")
    return method


def reorder(uow: UnitOfWork, actor: Actor, user_id: UUID, order: Sequence[UUID]) -> None:
    """Try a person's methods in this order; those left out come after."""
    _may(actor, user_id)
    place = {method_id: number for number, method_id in enumerate(order)}
    mine = list(uow.scalars(select(ContactMethod).where(ContactMethod.user_id == user_id)))
    for method in mine:
        method.position = place.get(method.id, len(place) + method.position)
    body = {"change": "reordered", "order": [str(method_id) for method_id in order]}
    record(uow, actor, Fact(facts.CONTACT_CHANGED, (Ref("user", str(user_id)),), body))


def follow(uow: UnitOfWork, actor: Actor, user: User, former: str) -> list[ContactMethod]:
    """Mails to a person's former address go to the present one, which is yet to be tested; returns these methods."""
    _may(actor, user.id)
    mails = select(ContactMethod).where(
        ContactMethod.user_id == user.id,
        ContactMethod.channel == "email",
        ContactMethod.disabled_at.is_(None),
    )
    followed = [one for one in uow.scalars(mails) if str(one.address.get("to")).lower() == former]
    for method in followed:
        method.address = {**method.address, "to": user.email}
        method.shown = registry.get("email").shown(method.address)
        method.verified_at = None
        _told(uow, actor, method, "followed")
    return followed


def configure_channel(
    uow: UnitOfWork, actor: Actor, channel: str, values: Mapping[str, str]
) -> ChannelSettings:
    """Set what a channel needs once for everybody; an empty secret keeps the one that is stored. Raises Invalid."""
    permissions.require(actor, MANAGE.name)
    found = registry.get(channel)
    row = uow.get(ChannelSettings, channel)
    kept = opened(row.secrets, SETTINGS_PURPOSE) if row else {}
    given = {**kept, **{name: value for name, value in values.items() if value}}
    if problems := _problems(found.config, given, "settings"):
        raise Invalid(f"{found.title} cannot be set up as entered.", problems)
    parts = _split(found.config, given, SETTINGS_PURPOSE)
    if row is None:
        row = ChannelSettings(channel=channel)
        uow.add(row)
    row.values, row.secrets = parts["address"], parts["secrets"]
    uow.flush()
    body = {"channel": channel, "set": sorted(given)}
    record(uow, actor, Fact(facts.CHANNEL_CHANGED, (Ref("setting", f"channel.{channel}"),), body))
    return row


def _get(uow: UnitOfWork, actor: Actor, method_id: UUID) -> ContactMethod:
    method = uow.get(ContactMethod, method_id)
    if method is None or method.disabled_at is not None:
        raise NotFound("There is no such contact method.")
    _may(actor, method.user_id)
    return method


def _may(actor: Actor, user_id: UUID | None) -> None:
    own = user_id is not None and actor.user_id == user_id
    permissions.require(actor, OWN_CONTACTS.name if own else MANAGE.name)


def _split(
    fields: Sequence[Field], values: Mapping[str, str], purpose: str = ADDRESS_PURPOSE
) -> dict[str, Any]:
    """The values that may be shown, and the others sealed."""
    hidden = {f.name: values[f.name].strip() for f in fields if f.type == "secret" and values.get(f.name)}
    shown = {f.name: values[f.name].strip() for f in fields if f.type != "secret" and values.get(f.name)}
    return {"address": shown, "secrets": seal(json.dumps(hidden), purpose) if hidden else None}


def _problems(fields: Sequence[Field], values: Mapping[str, str], path: str) -> list[Problem]:
    problems = []
    for field in fields:
        value = (values.get(field.name) or "").strip()
        if not value:
            if field.required:
                problems.append(Problem(f"{path}.{field.name}", "is needed"))
        elif field.type == "email" and not _MAIL.fullmatch(value):
            problems.append(Problem(f"{path}.{field.name}", "is not one mail address"))
        elif field.type == "phone" and not _PHONE.fullmatch(value):
            problems.append(Problem(f"{path}.{field.name}", "is not a number such as +34600111222"))
        elif (field.type == "url" or field.name.endswith("url")) and not _is_url(value):
            problems.append(
                Problem(f"{path}.{field.name}", "must begin with https:// or http:// and name a host")
            )
    if unknown := sorted(set(values) - {field.name for field in fields}):
        problems.append(Problem(path, f"has no {', '.join(unknown)}"))
    return problems


def _more_problems(urgency: str, delay: int) -> list[Problem]:
    problems = []
    if urgency not in list(Urgency):
        problems.append(Problem("urgency", f"must be one of {', '.join(Urgency)}"))
    if not 0 <= delay <= 3600:
        problems.append(Problem("delay", "must be at most an hour"))
    return problems


def _is_url(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _told(uow: UnitOfWork, actor: Actor, method: ContactMethod, change: str) -> None:
    uow.flush()
    refs = (Ref("user", str(method.user_id)),) if method.user_id else (Ref("setting", "contacts"),)
    body = {"change": change, "method": str(method.id), "channel": method.channel, "urgency": method.urgency}
    record(uow, actor, Fact(facts.CONTACT_CHANGED, refs, body, {"address": method.shown}))
