"""Tells a person when their second factor was changed or a recovery code was used: whoever took the account over would do so."""

from uuid import UUID

from core import chosen
from core.actors import SYSTEM
from core.auth.models import User
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from core.types import Ref
from notify import messages

_TOLD = {
    "factor.added": ("A second factor was added to your account", "It is asked for when you sign in."),
    "factor.removed": ("A second factor was removed from your account", "It is no longer asked for."),
    "factor.reset": (
        "Your second factor was taken away by {who}",
        "Your password alone lets you in until you add another: do so when you next sign in.",
    ),
    "factor.recovery_used": ("A recovery code of yours was used", "It does not work again."),
}


@subscriber("notify.factors", verbs=list(_TOLD))
def _tell(uow: UnitOfWork, entry: Entry) -> None:
    user = uow.get(User, UUID(entry.ref("user") or ""))
    if user is None:
        return
    title, text = _TOLD[entry.verb]
    tell_person(
        uow, user, title.format(who=entry.actor.name), f"{text} If this was not you, tell an administrator now."
    )


def tell_person(uow: UnitOfWork, user: User, title: str, text: str, path: str = "/profile/factor") -> None:
    """A notice to one person: in the inbox, and by mail where mail is set up."""
    channels = ["inbox"]
    if not user.email.endswith("@localhost") and chosen.effective(uow).smtp_url:
        channels.append("email")
    for channel in channels:
        messages.message(
            uow, SYSTEM, channel=channel, to=f"user:{user.id}", title=title, text=text,
            subject=Ref("user", str(user.id)), path=path,
        )  # fmt: skip
