"""Tells the security managers when a guard rail is proposed to be loosened, and when it has been."""

from core import four_eyes
from core.auth import permissions, users
from core.auth.models import User
from core.db import UnitOfWork
from core.journal import Entry
from core.outbox import subscriber
from notify.factor_notices import tell_person

_TITLES = {
    four_eyes.PROPOSED.name: "{who} proposes to loosen a guard rail",
    four_eyes.AGREED.name: "A guard rail was loosened: {who} agreed",
    four_eyes.ALONE.name: "A guard rail was loosened without a second person",
    four_eyes.FAILED.name: "A proposed change could not be done",
}


@subscriber("notify.changes", verbs=list(_TITLES))
def _tell(uow: UnitOfWork, entry: Entry) -> None:
    says = str((entry.data or {}).get("says", ""))
    number = entry.ref("change")
    lines = [says]
    if entry.verb == four_eyes.PROPOSED.name:
        lines.append(
            "Nobody else here can agree: it takes effect by itself after 24 hours unless it is refused."
            if entry.body.get("alone")
            else "It takes effect when somebody else agrees, and expires after 7 days."
        )
    path = f"/settings/changes/{number}" if number else "/settings/changes"
    for user in _whom(uow, entry):
        tell_person(uow, user, _TITLES[entry.verb].format(who=entry.actor.name), "\n".join(lines), path)


def _whom(uow: UnitOfWork, entry: Entry) -> list[User]:
    """Everybody who may agree; whoever did it themselves only where nobody else watches."""
    alone = entry.verb == four_eyes.ALONE.name or bool(entry.body.get("alone"))
    return [
        user
        for user in users.everyone(uow)
        if user.disabled_at is None
        and four_eyes.AGREE.name in permissions.of_roles(user.roles)
        and (alone or str(user.id) != entry.actor_id)
    ]
