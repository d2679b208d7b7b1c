"""What a kind of step promises: it reads its own words, and answers what happens next; values in, values out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from core.errors import TocsinError
from playbooks.language import Reader
from playbooks.plan import Input, Step


class Undecided(TocsinError):
    """A condition could not be decided with the values there are."""

    code, status = "undecided", 422


@dataclass(frozen=True)
class ActionInfo:
    """What the checker and the modes must know of an action or a verb.

    `inputs`: each name, and whether it is required. `by_hand`: what a person does when no product can do it, a
    template over `inputs`. `verb`: the neutral name, its own when it is one. `form` asks that person for what the
    verb answers. `fits`: by input, whether a written value is of its kind.
    """

    name: str
    effect: str
    title: str = ""
    inputs: Mapping[str, bool] | None = None
    by_hand: str = ""
    verb: str | None = None
    form: Mapping[str, Any] | None = None
    fits: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)


KnownAction = Callable[[str], ActionInfo | None]


@dataclass(frozen=True)
class WaitDraft:
    """Something a run waits for.

    `kind`: timer | task | approval | callback | call. `ref` names what will answer: a row elsewhere ("call:<id>"), or
    the place that a callback's address leads to.
    `due_at`: when the wait is over by itself. `detail`: what a page needs to show the question.
    """

    kind: str
    due_at: datetime | None = None
    ref: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The step did its work."""

    output: Any = None
    form: Mapping[str, Any] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    note: str | None = None
    assign: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Failed:
    """The step could not do its work; `retry` says whether trying again can help."""

    error: str
    retry: bool = True


@dataclass(frozen=True)
class Refused:
    """A person or a guard rail said no; `ends_block` leaves the rest of the block undone."""

    reason: str
    by: tuple[str, ...] = ()
    ends_block: bool = False


@dataclass(frozen=True)
class Skipped:
    """The step was not done, and why; `would` is what it would have done (watch mode)."""

    why: str
    would: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Perform:
    """Ask a port (call, task, page, message, update, mail, reporter, open, proof, owners) for something, in the run's own transaction."""

    port: str
    arguments: Mapping[str, Any]
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Blocked:
    """The step waits; every earlier wait of it is replaced by these."""

    waits: tuple[WaitDraft, ...]
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Enter:
    """Run blocks of the step: in order, or side by side; `turn` numbers the rounds of a repeated block."""

    blocks: tuple[str, ...]
    side_by_side: bool = False
    turn: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EnterLoop:
    """Run the step itself once for every item of its list."""

    detail: Mapping[str, Any] = field(default_factory=dict)


Outcome = Done | Failed | Refused | Skipped | Perform | Blocked | Enter | EnterLoop


@dataclass(frozen=True)
class Event:
    """Something that happened to a step.

    `name`: performed (a port answered), call, task, approval, callback, due, children.
    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)


class View(Protocol):
    """All a kind may know when it decides; nothing here can change anything."""

    @property
    def step(self) -> Step: ...
    @property
    def mode(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def iteration(self) -> str: ...
    @property
    def now(self) -> datetime: ...
    @property
    def detail(self) -> Mapping[str, Any]:
        """What earlier outcomes of this attempt noted."""

    @property
    def late(self) -> bool:
        """Whether the incident comes from old alerts, which neither wake anybody nor act by themselves."""

    @property
    def learning(self) -> bool:
        """Whether all its alerts came in their source's first days, when it does not act by itself."""

    @property
    def hushed(self) -> str | None:
        """Why the incident wakes nobody by itself, as the first half of a sentence; None when it may."""

    @property
    def led(self) -> bool:
        """Whether somebody has taken the incident."""

    @property
    def trust(self) -> str:
        """How well the source of the alerts proves itself: low, normal, high."""

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who agreed to the approval that stands before this step; empty when none does."""

    @property
    def items(self) -> tuple[Any, ...]:
        """The list of a `for_each`, while its loop is about to start."""

    def render(self, value: Any) -> Any:
        """Values with their templates filled in."""

    def render_each(self, value: Any) -> list[Any]:
        """The same, once for every item of the loop."""

    def holds(self, condition: str) -> bool:
        """Whether a CEL condition holds; raises Undecided."""

    def explain(self, condition: str) -> dict[str, Any]:
        """The condition and the values it saw, to be kept."""

    def is_bound(self, action: str) -> bool:
        """Whether a product stands behind an action or a verb."""

    def covered(self) -> list[dict[str, Any]]:
        """The disruptive actions that this approval stands before: {action, effect, name}."""

    def variables_of(self) -> Mapping[str, Any]:
        """What `set` steps of this playbook have set."""


class Body(Protocol):
    """What a kind reads while a step is compiled."""

    @property
    def reader(self) -> Reader:
        """The whole step."""

    @property
    def value(self) -> Any:
        """What stands at the kind's own key."""

    def table(self) -> Reader | None:
        """The value as a mapping; notes a problem and gives None when it is not one."""

    def block(self, name: str, rows: Any, key: str | None = None) -> None:
        """Declare a list of steps inside this step."""

    def call(self, key: str) -> Mapping[str, Input]:
        """Bring another playbook's steps in as the block `steps`; gives the inputs it declares."""

    def action(self, name: str) -> ActionInfo | None:
        """Look an action or verb up; notes a problem when it is not known."""


def _no_conditions(_spec: Mapping[str, Any]) -> Iterator[str]:
    yield from ()


def _parse_nothing(_spec: Mapping[str, Any]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class StepKind:
    """One kind of step: its words, its JSON schema, and its two decisions.

    `begin(view)` is asked when the step starts, `on_event(view, event)` when something it waits for happens.
    `begin_loop(view)`, when given, is asked once before a `for_each` starts. `conditions(spec)` yields the CEL
    sources in its spec; every other text there is a template, except under the keys of `literal`. `sends`: keys of its spec whose
    values leave by the door, so that addresses to call back at may stand there. `turns`: its block
    runs in numbered rounds. `runs_all`: all its blocks always run, so later steps may look into them. `goes_on`:
    its failure does not stop the run unless the step says `on_error: fail`.
    """

    name: str
    says: str
    schema: Mapping[str, Any]
    parse: Callable[[Body], dict[str, Any]]
    begin: Callable[[View], Outcome]
    on_event: Callable[[View, Event], Outcome]
    begin_loop: Callable[[View], Outcome] | None = None
    conditions: Callable[[Mapping[str, Any]], Iterator[str]] = _no_conditions
    literal: frozenset[str] = frozenset()
    sends: frozenset[str] = frozenset()
    extra_keys: tuple[str, ...] = ()
    turns: bool = False
    runs_all: bool = False
    goes_on: bool = False
    defaults_of_form: Callable[[Mapping[str, Any]], dict[str, Any]] = _parse_nothing
