"""Ports that answer by themselves, and short ways to start and look at runs in a real database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent
from typing import Any
from uuid import UUID

import playbook_bench
from sqlalchemy import select

from core.actors import SYSTEM, Actor
from core.db import UnitOfWork, reading, unit_of_work
from core.ids import new_id
from core.types import Ref
from playbooks import ports, publishing, runs
from playbooks.compile import compile_text
from playbooks.contract import KnownAction
from playbooks.models import Playbook, PlaybookRun, StepAttempt, Wait
from playbooks.ports import Ports, Request

INCIDENT = Ref("incident", "0192f000-0000-7000-8000-000000000001")


class Pretend:
    """What the ports were asked, and what they answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.withdrawn: list[str] = []
        self.call_state = "intended"
        self.incident: dict[str, Any] = {}
        self.task_said: dict[str, Any] = {"state": "done", "form": {}, "by": ["Rita"]}

    def perform(self, port: str) -> Any:
        def do(_uow: UnitOfWork, request: Request) -> Mapping[str, Any]:
            self.asked.append((port, {**request.arguments, "key": request.key}))
            answer = {"ref": f"{port}:{new_id()}"}
            return {**answer, "state": self.call_state} if port == "call" else answer

        return do

    def ports(self) -> Ports:
        return Ports(
            facts=lambda _session, _subject: playbook_bench.facts(**self.incident),
            bound=lambda _session: lambda _action: True,
            perform={name: self.perform(name) for name in ("call", "task", "page", "message", "update", "mail", "reporter", "open", "proof", "owners")},
            withdraw=lambda _uow, _actor, ref, _reason: self.withdrawn.append(ref),
            task_answer=lambda _session, _task: self.task_said,
        )


@contextmanager
def pretending() -> Iterator[Pretend]:
    """Use pretended ports for a while."""
    pretend = Pretend()
    ports.use(pretend.ports())
    try:
        yield pretend
    finally:
        ports.use(None)


def publish(
    steps: str, *, head: str = "", key: str = "p", mode: str = "act", actions: KnownAction | None = None
) -> None:
    """Publish one playbook with these steps; `actions` are those it may name, a small catalogue when not given."""
    text = f"version: 1\nplaybooks:\n  {key}:\n    mode: {mode}\n" + indent(dedent(head), "    ")
    text += "    steps:\n" + indent(dedent(steps).strip("\n"), "      ") + "\n"
    compiled = compile_text(text, "playbooks.yaml", actions or playbook_bench.Actions())
    assert not compiled.problems, "\n".join(map(str, compiled.problems))
    with unit_of_work() as uow:
        known = uow.scalar(select(Playbook).where(Playbook.key == key))
        publishing._publish_one(uow, SYSTEM, text, compiled.plans[key], known)


def begin(playbook: str = "p", actor: Actor = SYSTEM, subject: Ref = INCIDENT, **options: Any) -> UUID:
    """Start a run."""
    with unit_of_work() as uow:
        return runs.start(uow, actor, playbook=playbook, subject=subject, **options).id


def run_of(run_id: UUID) -> PlaybookRun:
    """The run's row."""
    with reading() as session:
        return session.get_one(PlaybookRun, run_id)


def attempts_of(run_id: UUID) -> dict[str, str]:
    """The state of every attempt: path, #iteration, and the attempt's number after the first."""
    with reading() as session:
        rows = session.scalars(
            select(StepAttempt).where(StepAttempt.run_id == run_id).order_by(StepAttempt.id)
        )
        return {
            row.path
            + (f"#{row.iteration}" if row.iteration else "")
            + (f"({row.attempt})" if row.attempt > 1 else ""): row.state
            for row in rows
        }


def waits_of(run_id: UUID, kind: str | None = None) -> list[Wait]:
    """What a run waits for now."""
    with reading() as session:
        query = select(Wait).where(
            Wait.run_id == run_id, Wait.answered_at.is_(None), Wait.closed_at.is_(None)
        )
        if kind:
            query = query.where(Wait.kind == kind)
        return list(session.scalars(query.order_by(Wait.id)))


def finish(wait: Wait, event: str, **data: Any) -> bool:
    """Answer a wait, as a subscriber does."""
    with unit_of_work() as uow:
        return runs.finish_wait(uow, wait.id, wait.run_id, event, data)


SHIPPED = Path(__file__).parents[2] / "playbooks.yaml"
