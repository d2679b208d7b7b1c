"""Runs 200 runs of 10 steps in this process, as a worker does, and prints how many steps a second that was."""

import time

from sqlalchemy import func, select

from cli import serving
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.types import Severity
from incidents.lifecycle import IncidentDraft, open_by_hand
from playbooks import runs
from playbooks.models import PlaybookRun, StepAttempt

RUNS = 200


def main() -> None:
    """Start the runs with nobody working, let the workers loose, wait for the last one to end."""
    serving.prepare()
    with unit_of_work() as uow:
        incident = open_by_hand(uow, SYSTEM, IncidentDraft(title="Steps to count", severity=Severity.low)).ref
    with unit_of_work() as uow:
        made = [runs.start(uow, SYSTEM, playbook="ten_steps", subject=incident).id for _ in range(RUNS)]
    before = _count(made)
    started = time.perf_counter()
    with serving.working():
        while _living(made):
            time.sleep(0.01)
        took = time.perf_counter() - started
    done = _count(made) - before
    assert done >= RUNS * 10, f"only {done} steps were done"
    print(f"{done} steps in {took:.2f} s: {done / took:.1f}")


def _living(made: list[object]) -> int:
    with reading() as session:
        wanted = select(func.count()).where(PlaybookRun.id.in_(made), PlaybookRun.ended_at.is_(None))
        return session.scalar(wanted) or 0


def _count(made: list[object]) -> int:
    with reading() as session:
        wanted = select(func.count()).where(StepAttempt.run_id.in_(made), StepAttempt.ended_at.is_not(None))
        return session.scalar(wanted) or 0


if __name__ == "__main__":
    main()
