"""Mails follow a person whose address has changed; the former address is told so."""

from uuid import UUID

from core import chosen
from core.actors import SYSTEM
from core.auth.models import User
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from core.types import Ref
from notify import contacts, messages, queries

_HERE = "@localhost"  # the first administrator's placeholder: nobody reads mail there


@subscriber("notify.addresses", verbs=["user.address_changed"])
def _follow(uow: UnitOfWork, entry: Entry) -> None:
    user = uow.get(User, UUID(entry.ref("user") or ""))
    former = str((entry.data or {}).get("from", ""))
    if user is None or not former:
        return
    contacts.follow(uow, SYSTEM, user, former)
    if not chosen.effective(uow).smtp_url:
        return
    if not former.endswith(_HERE):
        _tell(uow, user, former)
    elif not user.email.endswith(_HERE) and not _mailed(uow, user):
        contacts.add(uow, SYSTEM, user_id=user.id, channel="email", address={"to": user.email})


def _mailed(uow: UnitOfWork, user: User) -> bool:
    return any(method.channel == "email" for method in queries.contact_methods(uow, user.id))


def _tell(uow: UnitOfWork, user: User, former: str) -> None:
    """Whoever took an account over would change its address first; the owner reads of it here."""
    messages.message(
        uow,
        SYSTEM,
        channel="email",
        to=former,
        title="Your address in Tocsin was changed",
        text=f"{user.name} now signs in with another address, and mails go there. If this was not you, "
        "tell an administrator now.",
        subject=Ref("user", str(user.id)),
    )
