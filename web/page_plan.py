"""What an escalation does, in words: its steps, whom each would reach now, which one is under way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.auth import users
from notify import queries
from notify.models import ContactMethod, Page, PageState
from web.languages import gettext as _


@dataclass(frozen=True, kw_only=True)
class Reached:
    """One target in words: a person, a schedule with who holds it now, or a shared place."""

    kind: str
    name: str
    now: str = ""
    href: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanStep:
    """One step: `place` is done, here or ahead; `at` is when it comes if nobody answers before."""

    number: int
    last_resort: bool
    targets: tuple[Reached, ...]
    delay: int
    place: str
    at: datetime | None


def targets_in_words(session: Session, at: datetime) -> dict[tuple[str, str], Reached]:
    """Everything a policy may reach, by (kind, id)."""
    found = {
        ("user", str(number)): Reached(kind="user", name=name)
        for number, name in users.names(session).items()
    }
    for rota in queries.on_call_now(session, at):
        who = rota.user_name or _("nobody now")
        href = f"/oncall/schedules/{rota.schedule_id}"
        found["schedule", str(rota.schedule_id)] = Reached(
            kind="schedule", name=rota.schedule, now=who, href=href
        )
    for place in session.scalars(select(ContactMethod).where(ContactMethod.user_id.is_(None))):
        found["contact", str(place.id)] = Reached(kind="contact", name=place.name, now=place.channel)
    return found


def in_words(known: Mapping[tuple[str, str], Reached], targets: list[dict[str, Any]]) -> tuple[Reached, ...]:
    """The targets of a step; one that is gone says so."""
    gone = Reached(kind="gone", name=_("somebody who is gone"))
    kinds = {"lead": "user"}  # whoever leads what the page is about is called by name
    return tuple(
        known.get((kinds.get(target["kind"], target["kind"]), str(UUID(target["id"]))), gone) for target in targets
    )


def plan_of(session: Session, page: Page, at: datetime) -> list[PlanStep]:
    """The page's own policy, as it was when the page started, with where it stands."""
    known = targets_in_words(session, at)
    waits = page.state == PageState.waiting
    steps = [*page.plan["steps"], page.plan["catch_all"]]
    told = []
    for number, step in enumerate(steps):
        place = "done" if number < page.step else "here" if number == page.step and waits else "ahead"
        if number == page.step and not waits:
            place = "done"
        told.append(
            PlanStep(
                number=number + 1,
                last_resort=number == len(steps) - 1,
                targets=in_words(known, step["targets"]),
                delay=step["delay"],
                place=place,
                at=page.due_at if waits and number == page.step + 1 else None,
            )
        )
    return told
