"""The one data model of an incident's report, which every format writes."""

from dataclasses import dataclass, field
from datetime import datetime

from reports.proof_model import Proof
from reports.told_model import Message, Notice, Obligation, Page, Shared


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
    scribe: str | None
    communications: str | None
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
    alert_count: int = 0  # all its alerts; the report tells the newest ones of very many


@dataclass(frozen=True)
class KeyTime:
    """One moment on the way, with who established it; `after_seconds` counts from the opening, before it below zero."""

    kind: str
    says: str
    at: datetime | None
    after_seconds: float | None
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
    reason: str | None = None  # why it was asked for
    rail: str | None = None  # the guard rail that refused or held it
    verified_at: datetime | None = None
    undone_at: datetime | None = None
    side_effects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Countermeasure:
    """Something that holds the attacker off, with its life."""

    what: str
    target: str
    state: str
    since: datetime
    until: datetime | None
    review_at: datetime | None
    verified_at: datetime | None = None
    removed_at: datetime | None = None
    seen_after: datetime | None = None  # when its entity was seen at work though it was in force
    note: str | None = None


@dataclass(frozen=True)
class Decision:
    """A question that people decided, and by whom; `because` is their reason, `informed` what lay before them.

    options: between what, as far as it is known.
    """

    at: datetime
    question: str
    decision: str
    by: str
    because: str | None
    options: tuple[str, ...] = ()
    informed: str = ""


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
    acted: str = ""  # the countermeasure against it, and its state
    verdict: str = "unknown"
    verdict_by: str = ""  # a person, or the look-up that proposes it; "" when nobody and nothing has said
    verdict_at: datetime | None = None
    verdict_says: str = ""
    proposed: bool = False  # by a look-up, and no person has judged
    shared: tuple[str, ...] = ()


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
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()  # fields of its form that gave a choice, and between what


@dataclass(frozen=True)
class Run:
    """One playbook that ran."""

    playbook: str
    mode: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    chose: tuple[tuple[datetime, str, str, str], ...] = ()  # by itself: when, at which step, what, why


@dataclass(frozen=True)
class Comment:
    """One note, in Markdown as it was written."""

    at: datetime
    author: str
    body: str


@dataclass(frozen=True)
class Span:
    """How long something took, in seconds; None when a moment it is counted from or to is not known.

    target_seconds: what the team means to need for this severity; within: whether it was met; usual_seconds: the median of `among`
    declared incidents of the same severity in the year before.
    """

    name: str
    says: str
    seconds: float | None
    counted: str
    target_seconds: float | None = None
    within: bool | None = None
    usual_seconds: float | None = None
    among: int = 0


@dataclass(frozen=True)
class Waited:
    """How long, in seconds, and how often an incident waited for somebody else."""

    whom: str
    seconds: float
    times: int


@dataclass(frozen=True)
class Finding:
    """One thing the attacker did, when it happened; `entities` are defanged. `number` names it in this report: A1, A2, …"""

    number: str
    at: datetime
    precision: str
    says: str
    source: str
    confidence: str
    technique: str | None
    entities: tuple[str, ...]
    evidence: str
    added_by: str


@dataclass(frozen=True)
class Point:
    """One point of the review; incidents.reviewing says what its fields mean in each section."""

    section: str
    at: datetime
    area: str
    state: str
    says: str
    result: str
    how: str
    who: str
    added_by: str
    options: str = ""


@dataclass(frozen=True)
class FollowUp:
    """One action for afterwards; `link` is defanged, `key` names the earlier incident that it was left open by."""

    title: str
    owner: str | None
    due_at: datetime | None
    overdue: bool
    link: str
    state: str
    ended_at: datetime | None
    ended_by: str | None
    note: str
    key: str | None = None


@dataclass(frozen=True)
class Evidence:
    """One file of the evidence register: its hash, who brought it when, and who has fetched it since."""

    number: str
    name: str
    kind: str
    size_bytes: int
    sha256: str
    added_at: datetime
    added_by: str
    origin: str
    note: str
    custody: tuple[tuple[datetime, str, str], ...]


@dataclass(frozen=True)
class IncidentReport:
    """Everything a report tells; times are aware and in UTC, durations in seconds. external: roles stand for names."""

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
    open_ends: tuple[str, ...]
    proof: Proof
    people: tuple[tuple[str, int], ...] = field(default=())
    spans: tuple[Span, ...] = ()
    findings: tuple[Finding, ...] = ()
    review: tuple[Point, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    earlier: tuple[FollowUp, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    messages: tuple[Message, ...] = ()
    notices: tuple[Notice, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    shared: tuple[Shared, ...] = ()
    waited: tuple[Waited, ...] = ()
    external: bool = False

    @property
    def version(self) -> int:
        """Grows with the record: how many entries of the journal this report tells."""
        return self.proof.entries

    @property
    def reviewers(self) -> tuple[str, ...]:
        """Who has written into the review."""
        return tuple(dict.fromkeys(point.added_by for point in self.review))

    def points(self, section: str) -> tuple[Point, ...]:
        """The points of one section of the review."""
        return tuple(point for point in self.review if point.section == section)

    @property
    def by_hand(self) -> tuple[Line, ...]:
        """What people did."""
        return tuple(line for line in self.timeline if not line.automatic)

    @property
    def automatic(self) -> tuple[Line, ...]:
        """What Tocsin and the playbooks did."""
        return tuple(line for line in self.timeline if line.automatic)
