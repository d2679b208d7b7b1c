"""A run as values: its attempts and what they came to."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from core.ids import new_id
from playbooks.contract import WaitDraft

LIVE = frozenset({"running", "waiting", "retrying"})
ENDED = frozenset({"succeeded", "failed", "refused", "skipped", "cancelled"})
"""States of an attempt that never change again."""

RUN_LIVE = frozenset({"queued", "running", "waiting"})
RUN_ENDED = frozenset({"succeeded", "failed", "refused", "cancelled"})
"""States of a run that never change again."""


@dataclass(slots=True)
class Attempt:
    """One try of one step in one iteration; `detail` is what its kind and the engine noted."""

    path: str
    iteration: str
    attempt: int
    state: str
    started_at: datetime
    id: UUID = field(default_factory=new_id)
    due_at: datetime | None = None
    ended_at: datetime | None = None
    output: Any = None
    error: str | None = None
    form: dict[str, Any] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)
    stored: bool = False
    changed: bool = True

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def address(self) -> tuple[str, str]:
        return (self.path, self.iteration)


@dataclass(slots=True)
class NewWait:
    """A wait to be written: of which attempt, for what."""

    attempt: Attempt
    draft: WaitDraft
    id: UUID = field(default_factory=new_id)


@dataclass(slots=True)
class Note:
    """A fact to be told in the journal: the verb's name, the step, and what is said."""

    verb: str
    attempt: Attempt | None
    body: dict[str, Any]
    data: dict[str, Any] | None = None


@dataclass(slots=True)
class RunState:
    """A run in memory: the latest attempt at each address, and what must be written."""

    id: UUID
    mode: str
    inputs: dict[str, Any]
    started_at: datetime
    name: str = ""
    playbook: str = ""
    trigger: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: dict[tuple[str, str], Attempt] = field(default_factory=dict)
    older: list[Attempt] = field(default_factory=list)
    waits: list[NewWait] = field(default_factory=list)
    unwait: list[Attempt] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    state: str = "running"
    error: str | None = None
    wake_at: datetime | None = None
    actions: int = 0

    def put(self, attempt: Attempt) -> Attempt:
        """Make this the latest attempt at its address; the one before is kept for writing."""
        before = self.attempts.get(attempt.address)
        if before is not None:
            self.older.append(before)
        self.attempts[attempt.address] = attempt
        return attempt
