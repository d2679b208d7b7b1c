"""Loads runs as values and writes what changed, with Core statements and under the run's fence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, bindparam, insert, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

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


def load(session: Session, ids: Iterable[UUID]) -> dict[UUID, Loaded]:
    """Runs by id, as values."""
    wanted = list(ids)
    rows = session.scalars(
        select(PlaybookRun).where(PlaybookRun.id.in_(wanted)).execution_options(populate_existing=True)
    )
    found = {row.id: Loaded(row, plan_of(session, row.version_id), _state(row)) for row in rows}
    by_id: dict[UUID, Attempt] = {}
    query = select(_ATTEMPT).where(_ATTEMPT.c.run_id.in_(found)).order_by(_ATTEMPT.c.attempt)
    for line in session.execute(query).mappings():
        attempt = _attempt(line)
        by_id[attempt.id] = attempt
        found[line["run_id"]].state.attempts[attempt.address] = attempt
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
    by_fence: dict[int, list[UUID]] = {}
    for claim in claims:
        by_fence.setdefault(claim.fence, []).append(claim.id)
    for fence, ids in by_fence.items():
        ours = (_RUN.c.id.in_(ids), _RUN.c.fence == fence, _RUN.c.state.in_(RUN_LIVE))
        done = uow.execute(update(_RUN).where(*ours).values(fence=fence))
        assert isinstance(done, CursorResult)
        if done.rowcount != len(ids):
            lost = len(ids) - done.rowcount
            raise LostLease(f"{lost} of {len(ids)} runs were taken over by another worker, or have ended")


def write_attempts(uow: UnitOfWork, *states: RunState) -> None:
    """Insert the new attempts and update the changed ones; a state that has ended is never overwritten."""
    fresh: list[dict[str, Any]] = []
    for state in states:
        for one in (*state.older, *state.attempts.values()):
            if not one.stored:
                fresh.append(_values(state.id, one))
            elif one.changed:
                values = _values(state.id, one)
                same = _ATTEMPT.c.id == values.pop("id")
                uow.execute(update(_ATTEMPT).where(same, _ATTEMPT.c.state.in_(LIVE)).values(**values))
            one.stored, one.changed = True, False
        state.older.clear()
    if fresh:
        uow.execute(insert(_ATTEMPT), fresh)


def write_waits(uow: UnitOfWork, state: RunState) -> list[str]:
    """Close the waits that steps went on without, write the new ones; gives the refs nobody waits for any more."""
    dropped: list[str] = []
    gone = [attempt.id for attempt in state.unwait]
    if gone:
        unanswered = (
            _WAIT.c.attempt_id.in_(gone),
            _WAIT.c.answered_at.is_(None),
            _WAIT.c.closed_at.is_(None),
        )
        refs = uow.scalars(select(_WAIT.c.ref).where(*unanswered, _WAIT.c.ref.is_not(None)))
        still = {wait.draft.ref for wait in state.waits}
        dropped = [ref for ref in refs if ref not in still]
        uow.execute(update(_WAIT).where(*unanswered).values(closed_at=uow.now))
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
        for wait in state.waits
        if not (wait.draft.kind == "callback" and _called_early(uow, state.id, wait))
    ]
    if rows:
        uow.execute(insert(_WAIT), rows)
    state.waits.clear()
    state.unwait.clear()
    return dropped


def _called_early(uow: UnitOfWork, run_id: UUID, wait: NewWait) -> bool:
    """Whether somebody called back before the step waited; then that call is its answer."""
    early = (_WAIT.c.run_id == run_id, _WAIT.c.ref == wait.draft.ref, _WAIT.c.attempt_id.is_(None))
    done = uow.execute(update(_WAIT).where(*early).values(attempt_id=wait.attempt.id))
    assert isinstance(done, CursorResult)
    return done.rowcount > 0


def write_runs(uow: UnitOfWork, *states: RunState) -> None:
    """The runs' own columns; ended runs give their slot back."""
    live: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    for state in states:
        over = state.state in RUN_ENDED
        row = {
            "b_id": state.id,
            "state": state.state,
            "reason": state.error,
            "actions": state.actions,
            "variables": storable(state.variables),
        }
        (ended if over else live).append({**row, "ended_at": uow.now, "slot": None} if over else row)
    # Not ended is said by ended_at: executemany takes no list of states.
    change = update(_RUN).where(_RUN.c.id == bindparam("b_id"), _RUN.c.ended_at.is_(None))
    for rows in (live, ended):
        if rows:
            uow.connection().execute(change, rows)


def take_answers(uow: UnitOfWork, waits: list[UUID]) -> None:
    """Note that the run has heard these answers."""
    if waits:
        uow.execute(update(_WAIT).where(_WAIT.c.id.in_(waits)).values(taken_at=uow.now))


def has_answers(uow: UnitOfWork, run_id: UUID) -> bool:
    """Whether answers came in that the run has not heard; ask only after lock()."""
    return uow.scalar(select(_WAIT.c.id).where(_WAIT.c.run_id == run_id, *_UNHEARD).limit(1)) is not None


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
