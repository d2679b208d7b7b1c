"""The one data model of an incident's report, which every format writes."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Head:
    """The front box: what it is, how bad, where it stands, who answers for it."""

    id: str
    key: str
    title: str
    kind: str
    severity: str
    severity_reason: str | None
    stage: str
    confirmation: str
    confirmed_by: str | None
    confirmed_at: datetime | None
    confirmed_because: str | None
    category: str | None
    owner: str | None
    source: str | None
    trust: str
    tlp: str
    pap: str
    tags: tuple[str, ...]
    techniques: tuple[str, ...]
    late: bool
    exercise: bool
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    disposition: str | None
    root_cause: str | None
    summary: str | None
    opened_because: str | None
    url: str


@dataclass(frozen=True)
class KeyTime:
    """One moment on the way, with who established it; `after` is seconds since the incident was opened."""

    kind: str
    says: str
    at: datetime | None
    after: float | None
    source: str
    set_by: str | None


@dataclass(frozen=True)
class Line:
    """One line of the response timeline; `automatic` when no person did it."""

    at: datetime
    actor: str
    actor_kind: str
    automatic: bool
    verb: str
    text: str


@dataclass(frozen=True)
class Action:
    """One call of a product: what, on what, asked by whom, how it ended."""

    at: datetime
    action: str
    target: str
    effect: str
    state: str
    asked_by: str
    approved_by: tuple[str, ...]
    ended_at: datetime | None
    answer: str | None
    automatic: bool


@dataclass(frozen=True)
class Countermeasure:
    """Something that holds the attacker off, with its life."""

    what: str
    target: str
    state: str
    since: datetime
    until: datetime | None
    review_at: datetime | None


@dataclass(frozen=True)
class Decision:
    """A question that people decided, and by whom."""

    at: datetime
    question: str
    decision: str
    by: str
    because: str | None


@dataclass(frozen=True)
class Alert:
    """One alert of the incident."""

    title: str
    source: str
    severity: str
    status: str
    count: int
    first_seen: datetime
    last_seen: datetime
    why: str | None


@dataclass(frozen=True)
class Observable:
    """One value seen; `value` is the true one, `shown` is defanged."""

    type: str
    value: str
    shown: str
    roles: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    elsewhere: int


@dataclass(frozen=True)
class Attempt:
    """One sending of a page."""

    to: str
    channel: str
    state: str
    sent_at: datetime | None
    latency_ms: int | None
    answer: str | None


@dataclass(frozen=True)
class Page:
    """One page with its latencies: received → first sent → acknowledged."""

    title: str
    started_at: datetime
    state: str
    sent_ms: int | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledged_ms: int | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Task:
    """One thing that people were asked to do."""

    title: str
    status: str
    who: str | None
    created_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    answers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Run:
    """One playbook that ran."""

    playbook: str
    mode: str
    state: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Comment:
    """One note, in Markdown as it was written."""

    at: datetime
    author: str
    body: str


@dataclass(frozen=True)
class File:
    """A file that belongs to it: its name, its SHA-256, its size in bytes, what it is told from its bytes, who brought it."""

    at: datetime
    name: str
    sha256: str
    size: int
    kind: str
    by: str
    note: str


@dataclass(frozen=True)
class Proof:
    """What ties the report to the journal: the entries it tells of and one digest over their hashes, in order."""

    entries: int
    first: datetime | None
    last: datetime | None
    digest: str
    redacted: int
    statement: str


@dataclass(frozen=True)
class IncidentReport:
    """Everything a report tells; times are aware and in UTC, durations in seconds."""

    made_at: datetime
    made_by: str
    head: Head
    paragraph: tuple[str, ...]
    times: tuple[KeyTime, ...]
    timeline: tuple[Line, ...]
    actions: tuple[Action, ...]
    countermeasures: tuple[Countermeasure, ...]
    decisions: tuple[Decision, ...]
    alerts: tuple[Alert, ...]
    observables: tuple[Observable, ...]
    pages: tuple[Page, ...]
    tasks: tuple[Task, ...]
    runs: tuple[Run, ...]
    comments: tuple[Comment, ...]
    files: tuple[File, ...]
    open_ends: tuple[str, ...]
    proof: Proof
    people: tuple[tuple[str, int], ...] = field(default=())

    @property
    def by_hand(self) -> tuple[Line, ...]:
        """What people did."""
        return tuple(line for line in self.timeline if not line.automatic)

    @property
    def automatic(self) -> tuple[Line, ...]:
        """What Tocsin and the playbooks did."""
        return tuple(line for line in self.timeline if line.automatic)
