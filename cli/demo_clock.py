"""The demo's own clock, and people and tools who act by it before the demo starts."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from cli.demo_stage import SAMPLES, Stage, do, open_pages, open_tasks
from cli.sample_times import moved_to
from core import clock, queue, work
from core.actors import Actor
from core.db import UnitOfWork, reading
from incidents import tasks, upkeep
from incidents.models import Task
from ingest.storing import Arrival, body_key, store
from notify import delivery
from playbooks import runs
from playbooks.answers import blank_answers
from playbooks.models import PlaybookRun, Wait

_PASS = timedelta(milliseconds=180)
_CHORES_EVERY = timedelta(minutes=15)
"""Of the demo's time: chores that look after the record each minute would take most of the seconds that this takes."""
_MOST_PASSES = 60
_MOST_STEPS = 90
_MINUTES = (3, 5, 2, 8, 4, 6, 11)
"""How long people take for a step of a playbook, one after the other."""

_FOUND_NOTHING = ("Does somebody", "Could this be")
Beside = Callable[["Past", UUID], None]


class Past:
    """The demo's clock and those who act by it; everything that follows from an act is done before the next one."""

    def __init__(self, stage: Stage, now: datetime) -> None:
        self.stage, self.now = stage, now
        self._minutes = cycle(_MINUTES)
        self._chores_at = now

    def actor(self, name: str) -> Actor:
        """One of the team."""
        return self.stage.actor(name)

    def after(
        self, minutes: float, change: Callable[..., Any] | None = None, *given: Any, **named: Any
    ) -> None:
        """So many minutes later, this change is made; then what follows from it is done."""
        self.now += timedelta(minutes=minutes)
        if change is not None:
            with clock.frozen(self.now):
                do(change, *given, **named)
        self._settle()

    def sends(self, minutes: float, tool: str, sample: str) -> None:
        """So many minutes later a tool sends its sample, as it tells of the minute before."""
        self.now += timedelta(minutes=minutes)
        body = moved_to((SAMPLES / tool / sample).read_bytes(), self.now - timedelta(seconds=21))
        source = self.stage.sources[tool]
        with clock.frozen(self.now):
            store([Arrival(
                source_id=source.id, body=body, content_type="application/json", headers={}, key=body_key(body), peer="127.0.0.1",
            )])  # fmt: skip
        self._settle()

    def answers(self, minutes: float, name: str, incident: UUID) -> None:
        """So many minutes later somebody answers the pages that ring for an incident."""
        for page in open_pages(incident):
            self.after(minutes, delivery.acknowledge, self.actor(name), page, "page")
            minutes = 0.2

    def works(self, name: str, incident: UUID, said: Mapping[str, Any], beside: dict[str, Beside]) -> None:
        """Somebody goes through what the playbook asks, until nothing is left to do.

        said: the answer to each field of a form; others are left as they are. beside: what they do just before the first
        task whose title begins so. Each item of a checklist is ticked, but those that ask what was found.
        """
        for _ in range(_MOST_STEPS):
            self.answers(1.5, name, incident)
            asked, todo = _questions(incident), open_tasks(incident)
            if asked:
                self._agrees(asked[0])
            elif todo:
                self._does(name, incident, todo[0], said, beside)
            elif not self._waits(incident):
                return

    def _does(
        self, name: str, incident: UUID, task: Task, said: Mapping[str, Any], beside: dict[str, Beside]
    ) -> None:
        for begins in [one for one in beside if task.title.startswith(one)]:
            beside.pop(begins)(self, incident)
        who = self.actor(name)
        self.now += timedelta(minutes=next(self._minutes))
        with clock.frozen(self.now):
            for number in range(0 if task.title.startswith(_FOUND_NOTHING) else len(task.checklist)):
                do(tasks.tick, who, task.id, number)
        given = {field: said.get(field, blank) for field, blank in blank_answers(task.form).items()}
        self.after(
            0.4,
            tasks.complete,
            who,
            task.id,
            {field: value for field, value in given.items() if value is not None},
        )
        if any(
            one.id == task.id for one in open_tasks(incident)
        ):  # it asks what this play knows no answer to
            self.after(1, tasks.skip, who, task.id, "Done by phone.")

    def _agrees(self, wait: Wait) -> None:
        for name, minutes in (("Ana Ruiz", 2.2), ("Marta Gil", 3.6), ("Luis Ortega", 1.3)):
            self.after(minutes, _vote, self.actor(name), wait.id)
            if not _still_asked(wait.id):
                return

    def _waits(self, incident: UUID) -> bool:
        """Let the time pass until a run of the incident goes on; False when none waits for that."""
        with reading() as session:
            query = (
                select(func.min(Wait.due_at))
                .join(PlaybookRun, PlaybookRun.id == Wait.run_id)
                .where(
                    PlaybookRun.subject_kind == "incident", PlaybookRun.subject_id == str(incident),
                    Wait.kind == "timer", Wait.closed_at.is_(None), Wait.answered_at.is_(None),
                )
            )  # fmt: skip
            due = session.scalar(query)
        if due is None or due > self.now + timedelta(hours=25):
            return False
        self.after(max((due - self.now).total_seconds() / 60, 0) + 0.1)
        return True

    def _settle(self) -> None:
        """Do what is due, then what that has woken, until nothing is."""
        woken: set[str] = set()
        queue.wake_through(woken.add)
        try:
            left = set(work.kinds())
            if self.now < self._chores_at:
                left.discard(upkeep.KIND.name)
            else:
                self._chores_at = self.now + _CHORES_EVERY
            for _ in range(_MOST_PASSES):
                self.now += _PASS
                with clock.frozen(self.now):
                    done = {kind for kind in work.kinds() if kind in left and work.drain(kind)}
                left = done | (woken & set(work.kinds()))
                woken.clear()
                if not left:
                    return
        finally:
            queue.wake_through()


def _questions(incident: UUID) -> list[Wait]:
    with reading() as session:
        query = (
            select(Wait)
            .join(PlaybookRun, PlaybookRun.id == Wait.run_id)
            .where(
                PlaybookRun.subject_kind == "incident", PlaybookRun.subject_id == str(incident),
                Wait.kind == "approval", Wait.closed_at.is_(None), Wait.answered_at.is_(None),
            )
            .order_by(Wait.created_at)
        )  # fmt: skip
        return list(session.scalars(query))


def _vote(uow: UnitOfWork, actor: Actor, wait: UUID) -> None:
    """Agree, where it is still asked."""
    asked = uow.get(Wait, wait)
    if asked is not None and asked.answered_at is None and asked.closed_at is None:
        runs.answer(uow, actor, wait, {"approve": True, "reason": "I have looked at what it would do"})


def _still_asked(wait: UUID) -> bool:
    with reading() as session:
        row = session.get(Wait, wait)
        return row is not None and row.answered_at is None and row.closed_at is None
