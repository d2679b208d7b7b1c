"""Changes schedules, their rotations and their overrides."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from core.actors import Actor
from core.auth import permissions
from core.auth.models import User
from core.db import UnitOfWork
from core.errors import Conflict, Invalid, NotFound, Problem, Stale
from core.journal import Fact, record
from core.types import Ref
from notify import facts
from notify.models import OverrideRow, Policy, PolicyStep, Rotation, ScheduleRow
from notify.oncall.resolver import Kind
from notify.oncall.zones import UnclearTime, known, typed
from notify.permissions import MANAGE


@dataclass(frozen=True)
class WindowDraft:
    """A part of the week: weekdays (Monday is 0), from `start` to `end` ("HH:MM", wall time)."""

    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start: str = "00:00"
    end: str = "00:00"


@dataclass(frozen=True)
class RotationDraft:
    """People taking turns; `starts` and `until` are wall times in the schedule's zone."""

    name: str
    people: tuple[UUID, ...]
    starts: datetime
    kind: str = "weekly"
    every: int = 1
    until: datetime | None = None
    windows: tuple[WindowDraft, ...] = field(default=())


def create_schedule(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    zone: str,
    description: str = "",
    rotations: Sequence[RotationDraft] = (),
) -> ScheduleRow:
    """A new schedule with its rotations, the base first. Raises Invalid with every problem, or Conflict."""
    permissions.require(actor, MANAGE.name)
    _check(uow, name, zone, rotations)
    if uow.scalar(select(ScheduleRow.id).where(ScheduleRow.name == name.strip())):
        raise Conflict(f'There is already a schedule "{name.strip()}".')
    schedule = ScheduleRow(created_at=uow.now, name=name.strip(), zone=zone, description=description)
    uow.add(schedule)
    uow.flush()
    _put_rotations(uow, schedule, rotations)
    _told(uow, actor, schedule, {"change": "created", **_said(rotations)})
    return schedule


def update_schedule(
    uow: UnitOfWork,
    actor: Actor,
    schedule_id: UUID,
    *,
    name: str,
    zone: str,
    description: str = "",
    rotations: Sequence[RotationDraft] = (),
    version: int | None = None,
) -> ScheduleRow:
    """Replace a schedule's zone and rotations; who is on call changes at once. Raises Invalid, NotFound, Stale."""
    permissions.require(actor, MANAGE.name)
    schedule = schedule_by_id(uow, schedule_id)
    if version is not None and version != schedule.version:
        raise Stale("Somebody changed this schedule since you opened it. Look at it again, then save.")
    _check(uow, name, zone, rotations)
    schedule.name, schedule.zone, schedule.description = name.strip(), zone, description
    flag_modified(schedule, "name")  # its rotations count as its own: the version goes up in any case
    uow.execute(delete(Rotation).where(Rotation.schedule_id == schedule.id))
    _put_rotations(uow, schedule, rotations)
    _told(uow, actor, schedule, {"change": "updated", **_said(rotations)})
    return schedule


def delete_schedule(uow: UnitOfWork, actor: Actor, schedule_id: UUID) -> None:
    """Remove a schedule that no policy uses. Raises Conflict naming the policies that do."""
    permissions.require(actor, MANAGE.name)
    schedule = schedule_by_id(uow, schedule_id)
    using = sorted(
        {
            name
            for name, targets in uow.execute(
                select(Policy.name, PolicyStep.targets).join(PolicyStep, PolicyStep.policy_id == Policy.id)
            )
            if any(target["id"] == str(schedule_id) for target in targets)
        }
        | {
            policy.name
            for policy in uow.scalars(select(Policy))
            if any(target["id"] == str(schedule_id) for target in policy.catch_all["targets"])
        }
    )
    if using:
        raise Conflict(f"Policies still page this schedule: {', '.join(using)}. Change them first.")
    _told(uow, actor, schedule, {"change": "deleted"})
    uow.delete(schedule)


def override(
    uow: UnitOfWork,
    actor: Actor,
    schedule_id: UUID,
    *,
    user_id: UUID,
    start: datetime,
    end: datetime,
    instead_of: UUID | None = None,
    reason: str = "",
) -> OverrideRow:
    """For [start, end) somebody else is on call. Naive times are wall time in the schedule's zone.

    Whoever takes a shift over, or hands over their own, needs no further permission. Raises Invalid.
    """
    if actor.user_id is None or actor.user_id not in (user_id, instead_of):
        permissions.require(actor, MANAGE.name)
    schedule = schedule_by_id(uow, schedule_id)
    problems = []
    try:
        start, end = (_instant(at, schedule.zone) for at in (start, end))
        if end <= start:
            problems.append(Problem("end", "must be after the start"))
    except UnclearTime as error:
        problems.append(Problem("start", str(error)))
    problems += _people(uow, "user_id", [user_id]) + _people(
        uow, "instead_of", [instead_of] if instead_of else []
    )
    if problems:
        raise Invalid("The override cannot be made as entered.", problems)
    row = OverrideRow(
        created_at=uow.now,
        schedule_id=schedule.id,
        user_id=user_id,
        instead_of=instead_of,
        start_at=start,
        end_at=end,
        reason=reason.strip(),
    )
    uow.add(row)
    uow.flush()
    body = {"change": "override", "start": start.isoformat(), "end": end.isoformat(), "user": str(user_id)}
    _told(uow, actor, schedule, {**body, "instead_of": str(instead_of) if instead_of else None})
    return row


def remove_override(uow: UnitOfWork, actor: Actor, override_id: UUID) -> None:
    """Take an override back; one that has begun ends now and stays as history."""
    row = uow.get(OverrideRow, override_id)
    if row is None:
        raise NotFound("There is no such override.")
    if actor.user_id is None or actor.user_id not in (row.user_id, row.instead_of):
        permissions.require(actor, MANAGE.name)
    if row.start_at < uow.now < row.end_at:
        row.end_at = uow.now
    elif row.start_at >= uow.now:
        uow.delete(row)
    _told(
        uow,
        actor,
        schedule_by_id(uow, row.schedule_id),
        {"change": "override removed", "user": str(row.user_id)},
    )


def schedule_by_id(session: Session, schedule_id: UUID) -> ScheduleRow:
    """One schedule. Raises NotFound."""
    schedule = session.get(ScheduleRow, schedule_id)
    if schedule is None:
        raise NotFound("There is no such schedule.")
    return schedule


def _instant(at: datetime, zone: str) -> datetime:
    return at if at.tzinfo is not None else typed(at, zone)


def _put_rotations(uow: UnitOfWork, schedule: ScheduleRow, rotations: Sequence[RotationDraft]) -> None:
    for position, draft in enumerate(rotations):
        uow.add(
            Rotation(
                created_at=uow.now,
                schedule_id=schedule.id,
                position=position,
                name=draft.name.strip(),
                kind=draft.kind,
                every=draft.every,
                starts=draft.starts.isoformat(),
                until=draft.until.isoformat() if draft.until else None,
                people=[str(person) for person in draft.people],
                windows=[asdict(window) for window in draft.windows],
            )
        )
    uow.flush()


def _said(rotations: Sequence[RotationDraft]) -> dict[str, Any]:
    return {
        "rotations": [
            {"name": r.name, "kind": r.kind, "every": r.every, "people": [str(p) for p in r.people]}
            for r in rotations
        ]
    }


def _told(uow: UnitOfWork, actor: Actor, schedule: ScheduleRow, body: dict[str, Any]) -> None:
    uow.flush()
    ref = Ref("schedule", str(schedule.id))
    record(
        uow,
        actor,
        Fact(facts.SCHEDULE_CHANGED, (ref,), {"name": schedule.name, "zone": schedule.zone, **body}),
    )


def _check(uow: UnitOfWork, name: str, zone: str, rotations: Sequence[RotationDraft]) -> None:
    problems = []
    if not name.strip():
        problems.append(Problem("name", "needs a name"))
    if not known(zone):
        problems.append(Problem("zone", f'"{zone}" is not a time zone; use a name such as Europe/Madrid'))
    for number, draft in enumerate(rotations):
        problems += [
            Problem(f"rotations.{number}.{p.path}", p.message) for p in _rotation_problems(uow, draft)
        ]
    if problems:
        raise Invalid("The schedule cannot be saved as entered.", problems)


def _rotation_problems(uow: UnitOfWork, draft: RotationDraft) -> list[Problem]:
    problems = []
    if not draft.name.strip():
        problems.append(Problem("name", "needs a name"))
    if draft.kind not in list(Kind):
        problems.append(Problem("kind", f"must be one of {', '.join(Kind)}"))
    if not 1 <= draft.every <= 1000:
        problems.append(Problem("every", "must be between 1 and 1,000"))
    if draft.starts.tzinfo or (draft.until and draft.until.tzinfo):
        problems.append(Problem("starts", "is wall time in the schedule's zone: leave the offset out"))
    elif draft.until and draft.until <= draft.starts:
        problems.append(Problem("until", "must be after the start"))
    if not draft.people:
        problems.append(Problem("people", "needs at least one person"))
    for number, window in enumerate(draft.windows):
        try:
            time.fromisoformat(window.start), time.fromisoformat(window.end)
        except ValueError:
            problems.append(Problem(f"windows.{number}", "needs times such as 09:00"))
        if not window.weekdays or not set(window.weekdays) <= set(range(7)):
            problems.append(Problem(f"windows.{number}.weekdays", "needs days from 0 (Monday) to 6 (Sunday)"))
    return problems + _people(uow, "people", list(draft.people))


def _people(uow: UnitOfWork, path: str, ids: Sequence[UUID]) -> list[Problem]:
    there = set(uow.scalars(select(User.id).where(User.id.in_(ids), User.disabled_at.is_(None))))
    missing = [person for person in ids if person not in there]
    return [Problem(path, "names somebody who is not, or no longer, a user")] if missing else []
