"""Tells a person that one of their ways is gone, so that they do not rely on it."""

from uuid import UUID

from core.auth.models import User
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from notify.factor_notices import tell_person


@subscriber("notify.lost_ways", verbs=["contact.changed"])
def _tell(uow: UnitOfWork, entry: Entry) -> None:
    user = uow.get(User, UUID(entry.ref("user") or "")) if entry.ref("user") else None
    if user is None or entry.body.get("change") != "lost":
        return
    shown = str((entry.data or {}).get("address", ""))
    tell_person(
        uow, user, "One of your ways is gone", f"{shown} takes no more pushes. If you are on call, add it again.",
        path="/profile",
    )  # fmt: skip
