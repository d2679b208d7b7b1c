"""Runs playbooks of ten steps and prints, as JSON, steps a second and how long one idle run takes (ms).

`python -m bench.stepping PLAYBOOK RUNS here|elsewhere [ADDRESS]`: with workers in this process, or in others that Redis
wakes. ADDRESS is where steps with effects call.
"""

import json
import sys
import threading
import time
from uuid import UUID

from sqlalchemy import func, select

from cli import serving
from connectors import instances, rails
from connectors.models import ConnectorInstance
from core import metrics
from core.actors import SYSTEM
from core.db import UnitOfWork, reading, unit_of_work
from core.types import Ref, Severity
from incidents.lifecycle import IncidentDraft, open_by_hand
from playbooks import driving, facts, runs
from playbooks.models import PlaybookRun, StepAttempt

STEPS = 10
ALONE = 20


def main() -> None:
    """Three figures: runs started while workers work, runs that wait for the workers, one run at a time."""
    playbook, count, where, *rest = sys.argv[1:]
    given = serving.prepare()
    if rest:
        _connect(rest[0])
    with unit_of_work() as uow:
        incident = open_by_hand(uow, SYSTEM, IncidentDraft(title="Steps to count", severity=Severity.low)).ref
    told: dict[str, float | list[float]] = {}
    if where == "here":
        made = _started_at_once(playbook, incident, int(count))  # nobody works yet
        began = time.perf_counter()
        with serving.working() as dispatcher:
            dispatcher.wake(driving.KIND.name)  # as after the commit that starts runs: not left to the sweep
            told["waiting"] = _rate(made, began)
            told |= _while_working(playbook, incident, int(count), _hears_of_ends())
    else:
        with serving.linked(given, listen=True):
            _rate([_one(playbook, incident)], time.perf_counter())  # the workers are up
            made = _started_at_once(playbook, incident, int(count))
            told["waiting"] = _rate(made, time.perf_counter())
            told |= _while_working(playbook, incident, int(count))
    print(json.dumps(told))


def _hears_of_ends() -> threading.Event:
    """Set when a run has ended in this process: asking the database all the while would take up the Python that is measured."""
    ended = threading.Event()
    metrics.on_fact(facts.RUN_ENDED.name)(lambda _body: ended.set())
    return ended


def _while_working(
    playbook: str, incident: Ref, count: int, ended: threading.Event | None = None
) -> dict[str, float | list[float]]:
    began = time.perf_counter()
    started = [_one(playbook, incident) for _ in range(count)]
    rate = _rate(started, began)
    alone = []
    for _ in range(ALONE):
        time.sleep(0.05)
        if ended is not None:
            ended.clear()
        began = time.perf_counter()
        made = [_one(playbook, incident)]
        if ended is not None:
            ended.wait(5)
        _until_ended(made, every=0.0005)
        alone.append((time.perf_counter() - began) * 1e3)
    return {"starting": rate, "alone": alone}


def _one(playbook: str, incident: Ref) -> UUID:
    with unit_of_work() as uow:
        return _start(uow, playbook, incident)


def _started_at_once(playbook: str, incident: Ref, count: int) -> list[UUID]:
    with unit_of_work() as uow:
        return [_start(uow, playbook, incident) for _ in range(count)]


def _start(uow: UnitOfWork, playbook: str, incident: Ref) -> UUID:
    return runs.start(uow, SYSTEM, playbook=playbook, subject=incident).id


def _rate(made: list[UUID], began: float) -> float:
    """Steps a second since `began`, once every one of these runs has ended well with all its steps."""
    _until_ended(made, every=0.01)
    took = time.perf_counter() - began
    with reading() as session:
        done = select(func.count()).where(StepAttempt.run_id.in_(made), StepAttempt.state == "succeeded")
        steps = session.scalar(done) or 0
    if steps != len(made) * STEPS:
        raise SystemExit(f"{steps} of {len(made) * STEPS} steps ended well")
    return steps / took


def _until_ended(made: list[UUID], *, every: float, within: float = 120) -> None:
    living = select(func.count()).where(PlaybookRun.id.in_(made), PlaybookRun.ended_at.is_(None))
    end = time.monotonic() + within
    with reading() as session:
        while time.monotonic() < end:
            if not session.scalar(living):
                return
            session.rollback()  # the next look sees what was written meanwhile
            time.sleep(every)
    raise SystemExit(f"not all of {len(made)} runs ended within {within:.0f} s")


def _connect(address: str) -> None:
    with reading() as session:
        if session.scalar(select(ConnectorInstance.id).limit(1)):
            return
    with unit_of_work() as uow:
        instances.create(
            uow, SYSTEM, name="edge", connector="http", settings={"base_url": address}, private=True
        )
        rails.set_budget(uow, SYSTEM, "http.request", 100_000)


if __name__ == "__main__":
    main()
