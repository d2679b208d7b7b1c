"""What a run asks of the rest of Tocsin: calls, tasks, pages, messages, changes of the incident, facts, who may answer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.actors import Actor
from core.db import UnitOfWork
from core.journal import Entry
from core.types import Ref


@dataclass(frozen=True)
class Request:
    """What a step asks a port for. `arguments` are the step's; `key` names this try of this step."""

    actor: Actor
    run_id: UUID
    step_id: UUID
    subject: Ref
    facts: Mapping[str, Any]
    key: str
    title: str
    arguments: Mapping[str, Any]


Perform = Callable[[UnitOfWork, Request], Mapping[str, Any]]


@dataclass(frozen=True)
class Ports:
    """The ports of this process; tests give their own.

    `facts(session, subject)` gives what expressions call `incident`. `bound(session)` gives a function that tells
    whether a product stands behind an action or verb. `perform` holds, by name, what steps ask for; `refuse_first`
    names those that write nothing when they raise. `may_answer` says whether a person is among those asked. `withdraw` takes back a task or a call that nobody waits for.
    `task_answer(session, id)` reads a finished task as {state, form, checklist, by, reason}; `call_answer(session, id,
    entry)` a call as {state, output, error, reviewed}, or None while it is on its way; `reviewed`: what it has put in
    place asks for its own review. `stopped(session, subjects)` gives those
    whose automation somebody has stopped: nothing new begins for them. `held(session)` says whether all automation is
    held: then no question's time runs out. `unanswered(uow, subject)` is told when a source has opened something and no
    playbook begins for it.
    """

    facts: Callable[[Session, Ref], dict[str, Any]]
    bound: Callable[[Session], Callable[[str], bool]]
    perform: Mapping[str, Perform] = field(default_factory=dict)
    refuse_first: frozenset[str] = frozenset()
    may_answer: Callable[[Session, Actor, list[str], Ref], bool] = (
        lambda _session, _actor, _entries, _subject: True
    )
    withdraw: Callable[[UnitOfWork, Actor, str, str], None] = lambda _uow, _actor, _ref, _reason: None
    task_answer: Callable[[Session, UUID], Mapping[str, Any]] = lambda _session, _task: {}
    call_answer: Callable[[Session, UUID, Entry], Mapping[str, Any] | None] = lambda _session, _call, entry: (
        entry.body
    )
    visible: Callable[[Session, Actor, Ref], bool] = lambda _session, _actor, _subject: True
    stopped: Callable[[Session, Iterable[Ref]], set[Ref]] = lambda _session, _subjects: set()
    held: Callable[[Session], bool] = lambda _session: False
    unanswered: Callable[[UnitOfWork, Ref], None] = lambda _uow, _subject: None


_current: list[Ports] = []


def current() -> Ports:
    """The ports in use; the real ones unless a test has put others."""
    if not _current:
        from playbooks import wiring  # the real ports import the packages below, which pure tests do not need

        _current.append(wiring.PORTS)
    return _current[-1]


def use(ports: Ports | None) -> None:
    """Use these ports from now on in this process; None: the real ones again."""
    _current[:] = [ports] if ports is not None else []
