"""Tell those whom a note names with an @: in their inbox, and by the way they are otherwise reached, without its words."""

import re

from sqlalchemy import func, select

from core.actors import Actor
from core.auth.models import User
from core.db import UnitOfWork
from incidents import notices
from incidents.following import may_be_told
from incidents.models import Incident

_MENTION = re.compile(r"(?<![\w@./])@([A-Za-z0-9][\w.+-]{0,63}(?:@[\w-]+(?:\.[\w-]+)+)?)")
MOST = 20
_SHOWN = 300


def names_in(body: str) -> list[str]:
    """What stands behind an @ in a note, each once, in order: `@ana` or `@ana@example.org`; at most twenty."""
    return list(dict.fromkeys(found[1].rstrip(".").lower() for found in _MENTION.finditer(body)))[:MOST]


def people_in(uow: UnitOfWork, body: str, incident: Incident) -> list[User]:
    """Whom a note names, of those who may see the incident: by their whole address, or by what stands before its @ when
    that is one person's only.
    """
    found: dict[str, User] = {}
    for name in names_in(body):
        whole = "@" in name
        address = func.lower(User.email)
        fits = address == name if whole else address.startswith(f"{name}@", autoescape=True)
        people = uow.scalars(select(User).where(fits, User.disabled_at.is_(None)).limit(2)).all()
        if len(people) == 1 and may_be_told(people[0], incident):
            found[str(people[0].id)] = people[0]
    return list(found.values())


def tell(uow: UnitOfWork, actor: Actor, incident: Incident, people: list[User], body: str) -> None:
    """Put the note before them. What leaves our pages says only where to look: a mailbox may be what the case is about."""
    title, path = f"{actor.name} mentions you in {incident.key}", f"/incidents/{incident.key}"
    shown = body if len(body) <= _SHOWN else body[:_SHOWN] + "…"
    for user in people:
        if user.id != actor.user_id:
            notices.tell(uow, user.id, title=title, text=shown, subject=incident.ref, path=path)
            notices.tell_outside(
                uow, user.id, title=title, text="Sign in to read it.", subject=incident.ref, path=path
            )
