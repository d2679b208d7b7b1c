"""The compiled playbook: flat, immutable, addressable by path, named by its content's hash."""

import hashlib
from typing import Any, Literal

import msgspec

Mode = Literal["watch", "ask", "act"]


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently a failed step is tried again; seconds."""

    attempts: int = 1
    delay: float = 2.0
    backoff: Literal["fixed", "linear", "exponential"] = "exponential"
    max_delay: float = 60.0

    def pause_after(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt` (1 is the first) failed."""
        if self.backoff == "exponential":
            return min(self.max_delay, self.delay * 2.0 ** min(attempt - 1, 30))
        if self.backoff == "linear":
            return min(self.max_delay, self.delay * attempt)
        return min(self.max_delay, self.delay)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step as compiled.

    `path` addresses it in the plan ("verdict/1/contain"); `loops` says how many loops enclose it; `blocks` are the
    lists of steps inside it, by name; `sees` are the earlier steps its expressions use, by id, `callbacks` the
    waits whose addresses they use; `cover` is the approval that stands before it.
    """

    path: str
    id: str
    name: str
    kind: str
    line: int
    spec: dict[str, Any]
    help: str | None = None
    when: str | None = None
    when_each: bool = False
    for_each: Any = None
    concurrency: int = 1
    retry: Retry | None = None
    timeout: float | None = None
    on_error: Literal["", "fail", "continue", "steps"] = ""
    blocks: dict[str, tuple[str, ...]] = {}
    sees: dict[str, str] = {}
    callbacks: dict[str, str] = {}
    parent: str | None = None
    cover: str | None = None
    cover_loops: int = 0
    scope: str = ""
    loops: int = 0

    @property
    def looped(self) -> bool:
        """Whether the step runs once for each item of a list."""
        return self.for_each is not None


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """The fact that starts a run, and the CEL condition that must hold."""

    on: str
    when: str | None = None
    line: int = 0


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """What a playbook is given when another one, or a person, starts it."""

    type: str = "any"
    required: bool = False
    default: Any = None
    description: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole playbook as a run is pinned to it, its sub-playbooks included."""

    key: str
    name: str
    description: str | None = None
    mode: Mode = "ask"
    triggers: tuple[Trigger, ...] = ()
    inputs: dict[str, Input] = {}
    concurrency_key: str | None = None
    concurrency_policy: Literal["queue", "drop", "replace", "allow"] = "allow"
    max_actions: int = 200
    max_duration: float = 30 * 86400.0
    root: tuple[str, ...] = ()
    steps: dict[str, Step] = {}

    def children(self, path: str) -> tuple[str, ...]:
        """Paths of every step directly inside a step, in reading order."""
        return tuple(child for block in self.steps[path].blocks.values() for child in block)


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Plan)


def encode(plan: Plan) -> bytes:
    """The canonical form: JSON with sorted keys."""
    return _encoder.encode(plan)


def decode(data: bytes | str) -> Plan:
    """A plan from its canonical form."""
    return _decoder.decode(data)


def digest(plan: Plan) -> str:
    """SHA-256 of the canonical form, in hex.

    Line numbers are part of the plan but not of its identity: moving a playbook down a file makes no new version.
    """
    steps = {path: msgspec.structs.replace(step, line=0) for path, step in plan.steps.items()}
    triggers = tuple(msgspec.structs.replace(trigger, line=0) for trigger in plan.triggers)
    bare = msgspec.structs.replace(plan, steps=steps, triggers=triggers)
    return hashlib.sha256(encode(bare)).hexdigest()
