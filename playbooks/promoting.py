"""The ladder of a playbook, watch, ask, act: each step up takes two people, each step down takes one, at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import four_eyes
from core.actors import Actor
from core.auth import permissions
from core.db import UnitOfWork, database_now
from core.errors import Conflict, NotFound
from core.four_eyes import Change
from core.journal import Fact, record
from core.types import Ref
from playbooks import facts
from playbooks.models import Playbook, PlaybookRun, PlaybookVersion, Wait
from playbooks.permissions import PROMOTE

LOOKED_BACK = timedelta(days=30)
_MOST = 1000


@dataclass(frozen=True)
class Answers:
    """How people answered what a playbook asked in the last 30 days."""

    agreed: int
    asked: int


def answers(session: Session, key: str) -> Answers:
    """What to judge a promotion by: how often people agreed with this playbook lately."""
    query = (
        select(Wait.answer)
        .join(PlaybookRun, PlaybookRun.id == Wait.run_id)
        .where(
            PlaybookRun.playbook == key,
            PlaybookRun.created_at > database_now(session) - LOOKED_BACK,
            Wait.kind == "approval",
            Wait.answered_at.is_not(None),
        )
        .limit(_MOST)
    )
    given = [
        answer for answer in session.scalars(query) if answer and "approved" in (answer.get("data") or {})
    ]
    return Answers(sum(bool(answer["data"]["approved"]) for answer in given), len(given))


LADDER = ("watch", "ask", "act")
"""Only says what it would do; asks before what disrupts; acts by itself within the guard rails."""


def promote(uow: UnitOfWork, actor: Actor, key: str) -> Change | None:
    """Have the published version go one step further: the proposal that somebody else must agree to, or None: done at once.

    From watch to ask, from ask to act. It holds for this version: a changed playbook begins again in the mode of its
    file. Raises NotFound, Conflict.
    """
    permissions.require(actor, PROMOTE.name)
    row = _row(uow, key)
    if row.mode == LADDER[-1]:
        raise Conflict(f"{row.name} acts by itself already.")
    to = LADDER[LADDER.index(row.mode) + 1]
    number = uow.get_one(PlaybookVersion, row.version_id).number
    if to == "act":
        said = answers(uow, key)
        says = (
            f"Let “{row.name}” (version {number}) act by itself, without asking. In 30 days people agreed with "
            f"{said.agreed} of its {said.asked} proposals."
        )
    else:
        says = (
            f"Let “{row.name}” (version {number}) work with people: it looks things up, gives tasks, pages, and asks before what "
            "disrupts. Until now it only says what it would do."
        )
    return four_eyes.loosen(uow, actor, ACT, {"key": key, "version": str(row.version_id), "to": to}, says)


def demote(uow: UnitOfWork, actor: Actor, key: str) -> Playbook:
    """Have a playbook go one step back from its next run on: act to ask, ask to watch. Raises NotFound, Conflict."""
    permissions.require(actor, PROMOTE.name)
    row = _row(uow, key)
    if row.mode == LADDER[0]:
        raise Conflict(f"{row.name} only watches already.")
    row.mode = LADDER[LADDER.index(row.mode) - 1]
    record(uow, actor, Fact(facts.PLAYBOOK_DEMOTED, (Ref("playbook", key),), {"key": key, "mode": row.mode}))
    return row


def _climb(uow: UnitOfWork, actor: Actor, payload: Mapping[str, Any]) -> None:
    row, to = _row(uow, payload["key"]), payload["to"]
    if str(row.version_id) != payload["version"]:
        raise Conflict(f"{row.name} was changed since this was proposed; look at it, and propose it again.")
    if LADDER.index(to) != LADDER.index(row.mode) + 1:
        raise Conflict(f"{row.name} is in the mode {row.mode} now; propose it again.")
    row.mode = to
    number = uow.get_one(PlaybookVersion, row.version_id).number
    told = {"key": row.key, "version": number, "by": "promotion", "mode": to}
    record(uow, actor, Fact(facts.PLAYBOOK_PROMOTED, (Ref("playbook", row.key),), told))


def _row(uow: UnitOfWork, key: str) -> Playbook:
    row = uow.scalar(
        select(Playbook).where(Playbook.key == key, Playbook.removed_at.is_(None)).with_for_update()
    )
    if row is None:
        raise NotFound(f'There is no playbook "{key}".')
    return row


ACT = four_eyes.declare_kind("playbook.act", permission=PROMOTE.name, apply=_climb, path="/playbooks")
