"""Loads runs as values and writes what changed, with Core statements and under the run's fence."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from core import bulk
from core.db import UnitOfWork
from core.types import Ref
from core.work import Claim, LostLease
from playbooks import plan as plans
from playbooks.models import PlaybookRun, PlaybookVersion, StepAttempt, Wait
from playbooks.plan import Plan
from playbooks.state import LIVE, RUN_ENDED, RUN_LIVE, Attempt, NewWait, RunState

_ATTEMPT: Any = StepAttempt.__table__
_WAIT: Any = Wait.__table__
_RUN: Any = PlaybookRun.__table__
_LIVE_ATTEMPT = f"state IN ({', '.join(repr(state) for state in sorted(LIVE))})"
# Answered, not heard by the run yet, and waited for: a call back may come before its step waits.
_UNHEARD = (_WAIT.c.answered_at.is_not(None), _WAIT.c.taken_at.is_(None), _WAIT.c.attempt_id.is_not(None))


@dataclass
class Loaded:
    """A run as read: its row, its state as values, and the answers it has not heard yet."""

    row: PlaybookRun
    plan: Plan
    state: RunState
    answers: list[tuple[UUID, Attempt, dict[str, Any]]] = field(default_factory=list)

    @property
    def subject(self) -> Ref:
        return self.row.subject


@lru_cache(maxsize=256)
def _decoded(data: bytes) -> Plan:
    return plans.decode(data)


def plan_of(session: Session, version_id: UUID) -> Plan:
    """The plan of a version; versions never change, so they are kept in memory."""
    known = _plans.get(version_id)
    if known is None:
        data = session.scalar(select(PlaybookVersion.plan).where(PlaybookVersion.id == version_id))
        if data is None:
            raise LookupError(f"there is no playbook version {version_id}")
        if len(_plans) > 500:
            _plans.clear()
        known = _plans[version_id] = _decoded(data)
    return known


_plans: dict[UUID, Plan] = {}


def load(session: Session, ids: Iterable[UUID], fresh: Collection[UUID] = ()) -> dict[UUID, Loaded]:
    """Runs by id, as values; those that are `fresh` have begun nothing by themselves yet."""
    wanted = list(ids)
    rows = session.scalars(
        select(PlaybookRun).where(PlaybookRun.id.in_(wanted)).execution_options(populate_existing=True)
    )
    found = {row.id: Loaded(row, plan_of(session, row.version_id), _state(row)) for row in rows}
    by_id: dict[UUID, Attempt] = {}
    begun = [one.row.id for one in found.values() if one.row.id not in fresh or one.row.forked_from is not None]
    if not begun:
        return found
    query = select(_ATTEMPT).where(_ATTEMPT.c.run_id.in_(begun)).order_by(_ATTEMPT.c.attempt)
    for line in session.execute(query).mappings():
        attempt = _attempt(line)
        by_id[attempt.id] = attempt
        found[line["run_id"]].state.attempts[attempt.address] = attempt
    if not by_id:
        return found  # nothing was begun, so nobody waits
    waits = select(_WAIT.c.id, _WAIT.c.run_id, _WAIT.c.attempt_id, _WAIT.c.answer).where(
        _WAIT.c.run_id.in_(found), *_UNHEARD
    )
    for wait_id, run_id, attempt_id, answer in session.execute(
        waits.order_by(_WAIT.c.answered_at, _WAIT.c.id)
    ):
        found[run_id].answers.append((wait_id, by_id[attempt_id], answer))
    return found


def _state(row: PlaybookRun) -> RunState:
    return RunState(
        id=row.id,
        mode=row.mode,
        inputs=dict(row.inputs),
        started_at=row.started_at or row.created_at,
        name=row.name,
        playbook=row.playbook,
        trigger=dict(row.trigger),
        variables={scope: dict(values) for scope, values in row.variables.items()},
        state=row.state,
        error=row.reason,
        actions=row.actions,
    )


def _attempt(line: RowMapping) -> Attempt:
    return Attempt(
        path=line["path"],
        iteration=line["iteration"],
        attempt=line["attempt"],
        state=line["state"],
        started_at=line["started_at"],
        id=line["id"],
        due_at=line["due_at"],
        ended_at=line["ended_at"],
        output=line["output"],
        error=line["error"],
        form=dict(line["form"]),
        by=tuple(line["by"]),
        detail=dict(line["detail"]),
        stored=True,
        changed=False,
    )


def lock(uow: UnitOfWork, claims: Sequence[Claim]) -> None:
    """Take these runs' rows for this transaction; raises LostLease when one is no longer ours or has ended."""
    live = (_RUN.c.lease_until.is_not(None), _RUN.c.state.in_(RUN_LIVE))
    query = select(_RUN.c.id, _RUN.c.fence).where(bulk.among(uow, _RUN.c.id, [c.id for c in claims]), *live)
    found = {row.id: row.fence for row in uow.execute(query.order_by(_RUN.c.id).with_for_update())}
    lost = [claim for claim in claims if found.get(claim.id) != claim.fence]
    if lost:
        raise LostLease(
            f"{len(lost)} of {len(claims)} runs were taken over by another worker, or have ended"
        )


def write_attempts(uow: UnitOfWork, *states: RunState) -> None:
    """Insert the new attempts and update the changed ones; a state that has ended is never overwritten."""
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for state in states:
        for one in (*state.older, *state.attempts.values()):
            if not one.stored or one.changed:
                (changed if one.stored else fresh).append(_values(state.id, one))
            one.stored, one.changed = True, False
        state.older.clear()
    uow.flush()
    bulk.insert(uow, _ATTEMPT, fresh)
    bulk.update(uow, _ATTEMPT, changed, only=_LIVE_ATTEMPT)


def write_waits(uow: UnitOfWork, *states: RunState) -> list[tuple[UUID, str]]:
    """Close the waits that steps went on without, write the new ones; gives the refs nobody waits for any more, by run."""
    dropped: list[tuple[UUID, str]] = []
    gone = [attempt.id for state in states for attempt in state.unwait]
    if gone:
        close = update(_WAIT).where(
            bulk.among(uow, _WAIT.c.attempt_id, gone), _WAIT.c.answered_at.is_(None), _WAIT.c.closed_at.is_(None)
        )
        closed = uow.execute(close.values(closed_at=uow.now).returning(_WAIT.c.run_id, _WAIT.c.ref))
        still = {wait.draft.ref for state in states for wait in state.waits}
        dropped = [(run_id, ref) for run_id, ref in closed if ref is not None and ref not in still]
    rows = [
        {
            "id": wait.id,
            "created_at": uow.now,
            "run_id": state.id,
            "attempt_id": wait.attempt.id,
            "kind": wait.draft.kind,
            "due_at": wait.draft.due_at,
            "ref": wait.draft.ref,
            "detail": storable(dict(wait.draft.detail)),
        }
        for state in states
        for wait in state.waits
        if not (wait.draft.kind == "callback" and _called_early(uow, state.id, wait))
    ]
    bulk.insert(uow, _WAIT, rows)
    for state in states:
        state.waits.clear()
        state.unwait.clear()
    return dropped


def _called_early(uow: UnitOfWork, run_id: UUID, wait: NewWait) -> bool:
    """Whether somebody called back before the step waited; then that call is its answer."""
    early = (_WAIT.c.run_id == run_id, _WAIT.c.ref == wait.draft.ref, _WAIT.c.attempt_id.is_(None))
    done = uow.execute(update(_WAIT).where(*early).values(attempt_id=wait.attempt.id))
    assert isinstance(done, CursorResult)
    return done.rowcount > 0


def write_runs(
    uow: UnitOfWork, *states: RunState, due: Mapping[UUID, datetime | None] | None = None
) -> None:
    """The runs' own columns; ended runs give their slot back. With `due`, their leases are given back too."""
    live: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    for state in states:
        row = {
            "id": state.id,
            "state": state.state,
            "reason": state.error,
            "actions": state.actions,
            "variables": storable(state.variables),
        }
        if due is not None:
            row |= {"due_at": due.get(state.id), "lease_until": None, "attempts": 0, "error": None}
        over = state.state in RUN_ENDED
        (ended if over else live).append({**row, "ended_at": uow.now, "slot": None} if over else row)
    for rows in (live, ended):
        bulk.update(uow, _RUN, rows, only="ended_at IS NULL")


def put_off(uow: UnitOfWork, runs: Sequence[UUID], until: datetime) -> None:
    """Give the leases of these runs back with nothing else written; they are looked at again then."""
    values = {"due_at": until, "lease_until": None, "attempts": 0}
    uow.execute(update(_RUN).where(bulk.among(uow, _RUN.c.id, runs)).values(**values))


def take_answers(uow: UnitOfWork, waits: Sequence[UUID]) -> None:
    """Note that the runs have heard these answers."""
    if waits:
        uow.execute(update(_WAIT).where(bulk.among(uow, _WAIT.c.id, waits)).values(taken_at=uow.now))


def unheard(uow: UnitOfWork, runs: Sequence[UUID]) -> set[UUID]:
    """Those of these runs for which answers came in that they have not heard; ask only after lock()."""
    waiting = select(_WAIT.c.run_id).where(bulk.among(uow, _WAIT.c.run_id, runs), *_UNHEARD)
    return set(uow.scalars(waiting))


def _values(run_id: UUID, one: Attempt) -> dict[str, Any]:
    return {
        "id": one.id,
        "run_id": run_id,
        "path": one.path,
        "iteration": one.iteration,
        "attempt": one.attempt,
        "state": one.state,
        "started_at": one.started_at,
        "due_at": one.due_at,
        "ended_at": one.ended_at,
        "output": storable(one.output),
        "error": storable(one.error),
        "form": storable(one.form),
        "by": list(one.by),
        "detail": storable(one.detail),
    }


def storable(value: Any) -> Any:
    """The value as JSON can hold it on every database: times and ids as text, no NUL, no half characters."""
    if value is None or value.__class__ in (bool, int, float):
        return value
    if value.__class__ is str:
        return _clean(value)
    if isinstance(value, Mapping):
        return {_clean(str(key)): storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [storable(inner) for inner in value]
    return storable(msgspec.to_builtins(value, str_keys=True))


def _clean(text: str) -> str:
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
