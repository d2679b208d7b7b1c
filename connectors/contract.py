"""What a connector promises: how its alerts read, what it can do, how it is spoken to.

Templates (`path`, `params`, `headers`, `json`, `form`, `auth` values) are Jinja2 over `inputs`, `settings`, `secrets`
and `found`; conditions (`ok`, `done_when`, `until`, `$when`) are CEL over `inputs`, `settings`, `status`, `headers`,
`body` and `output`. The executor that follows these declarations is `connectors/execute.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from connectors.harmless import Harmless
from core.errors import TocsinError
from core.types import Severity

if TYPE_CHECKING:
    from core.net.http import Request as HttpRequest
    from core.net.http import Response as HttpResponse

Status = Literal["firing", "acknowledged", "resolved"]
ROLES: tuple[str, ...] = ("source", "target", "observer", "artifact", "actor", "victim")
CATEGORIES: tuple[str, ...] = (
    "malware", "phishing", "intrusion", "login", "secret", "availability", "web_attack", "policy", "other",
)  # fmt: skip
KINDS: tuple[str, ...] = (
    "siem", "edr", "ids", "firewall", "identity", "cloud", "code", "monitoring", "mail", "intel", "chat",
    "paging", "generic",
)  # fmt: skip


# ---------------------------------------------------------------------------------------------- alerts in


class Entity(msgspec.Struct, frozen=True):
    """A normalised value an alert names. `type` is one of `connectors.entities.TYPES`."""

    type: str
    value: str
    role: str = "observer"


class AlertDraft(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as understood from a delivery, not stored yet. `fingerprint` are named fields, hashed by incidents."""

    title: str
    severity: Severity
    fingerprint: tuple[tuple[str, str | None], ...]
    severity_raw: str | None = None
    status: Status = "firing"
    status_raw: str | None = None
    external_id: str | None = None
    occurred_at: datetime | None = None
    rule_id: str | None = None
    rule_name: str | None = None
    category: str | None = None
    description: str | None = None
    entities: tuple[Entity, ...] = ()
    techniques: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    url: str | None = None
    correlation: str | None = None
    is_test: bool = False


@dataclass(frozen=True)
class Reading:
    """What a delivery held: alerts, a count of events that are no alerts, and one sentence per unreadable item.

    `secrets` are values that it named as secrets: no draft holds one, and whoever keeps the bytes takes them out.
    """

    drafts: list[AlertDraft]
    ignored: int = 0
    problems: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = ()


class Unreadable(TocsinError):
    """The delivery could not be understood at all; the message says why."""

    code = "unreadable"
    status = 422


class AlertReader(Protocol):
    """Turns the bytes of a delivery into alerts; raises nothing but `Unreadable`."""

    def read(
        self, body: bytes, content_type: str, headers: Mapping[str, str], config: Mapping[str, Any]
    ) -> Reading: ...


# ---------------------------------------------------------------------------------------------- what is configured


@dataclass(frozen=True)
class Field:
    """One setting, secret or action input. `entity` says what the value is, so that guard rails can judge it."""

    name: str
    type: str = "string"  # string text url integer number boolean array object
    required: bool = False
    default: Any = None
    description: str = ""
    enum: tuple[str, ...] = ()
    entity: str | None = (
        None  # an entity type, "ip" for either address family, "any" for what it holds, if it is one
    )
    pattern: str | None = None  # anchored at both ends


FIELD_TYPES: tuple[str, ...] = ("string", "text", "url", "integer", "number", "boolean", "array", "object")


@dataclass(frozen=True)
class Auth:
    """How requests prove who we are: a kind of `core.net.auth` (or "none") and its settings, templates over ours."""

    kind: str = "none"
    options: Mapping[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------- actions out


class Effect(StrEnum):
    """How much an action changes: read < write < disruptive < destructive."""

    read = "read"
    write = "write"
    disruptive = "disruptive"
    destructive = "destructive"

    @property
    def rank(self) -> int:
        return list(Effect).index(self)


@dataclass(frozen=True)
class Request:
    """One HTTP request, as templates. A parameter, header or JSON member whose template is exactly one `{{ }}` of an
    absent optional input is left out; a member `{$when: CEL, $value: X}` is X, or left out. Path values are quoted.
    """

    method: str
    path: str  # joined to settings.base_url, or a whole https URL
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, Any] | None = None
    timeout: float = 30.0
    idempotency_header: str | None = None  # the call's key is sent in this header


@dataclass(frozen=True)
class Pagination:
    """More pages: `items` is the list's path in the body; `next` a path to a cursor or URL, or "link" (RFC 8288)."""

    items: str
    next: str
    param: str | None = None  # the cursor's parameter; None: `next` is a whole URL (same origin only)
    max_pages: int = 10


@dataclass(frozen=True)
class Find:
    """A look-up before the request: what stands at `path` becomes `found.<name>` in later templates.

    It is a request, whose answer is read, or a read action of the same connector, whose output is; `inputs` are then as
    for a probe. `many`: a list of at most `most`; else exactly one value. `missing` is the sentence for when there is
    none (a template over `inputs`); where it is empty a list may be empty. More than may be is never acted on.
    `equals`: a template over `inputs` and `found`; only values that are this text count.
    """

    name: str
    path: str
    request: Request | None = None
    action: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    many: bool = False
    most: int = 500
    missing: str = ""
    equals: str = ""


@dataclass(frozen=True)
class Lines:
    """An output for people: one line of text for each entry at the path `each`, a template over `item`, `inputs`, `found`."""

    each: str
    line: str


@dataclass(frozen=True)
class Made:
    """An output made of the answer: a template over `body`, `inputs` and `found`; null where it cannot be made."""

    template: str


@dataclass(frozen=True)
class Poll:
    """Ask `request` again every `every` until the CEL `until` holds, at most `timeout`. Sees `output` of the call."""

    request: Request
    until: str
    every: timedelta = timedelta(seconds=2)
    timeout: timedelta = timedelta(minutes=2)


@dataclass(frozen=True)
class Probe:
    """Did it happen? A read action of the same connector, or a request; `done_when` is CEL over its `output` and answer.

    `inputs` are templates over the call's `inputs`; empty: the call's inputs of the same names are passed on.
    """

    done_when: str
    action: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    request: Request | None = None


@dataclass(frozen=True)
class Undo:
    """Which action of the same connector takes it back.

    `inputs` are templates over the call's `inputs` and `output`; empty: its inputs of the same names are passed on.
    """

    action: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Inputs for which nothing is asked: `when` is a template over `inputs` and `settings` that is true, `why` a sentence."""

    when: str
    why: str


@dataclass(frozen=True)
class ActionContext:
    """What a Python action may use: no database, and the network only through `send` (or `core.net` with `egress`)."""

    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    egress: Any  # core.net.Egress
    key: str  # the call's idempotency key
    send: Callable[[HttpRequest], HttpResponse]  # with the connector's auth and egress applied
    ports: Mapping[str, Any] = field(default_factory=dict)  # what the door lends, such as the block list


class ActionFailed(TocsinError):
    """The product did not do it. `done=False`: surely nothing changed; `done=None`: nobody knows."""

    code = "action_failed"
    status = 502

    def __init__(
        self, message: str, *, done: bool | None = False, retryable: bool = False, **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.done = done
        self.retryable = retryable


@dataclass(frozen=True)
class Action:
    """One thing a product can do. Exactly one of `request` (declared) and `run` (Python) is set.

    `find` is asked first. `output` maps names to paths in the answer's body (the `connectors.paths` language) or to
    what is made of it; a Python action returns the output itself. `verb` is the vendor-neutral name a playbook may use instead of `<connector>.<name>`.
    """

    connector: str
    name: str
    title: str
    effect: Effect
    inputs: tuple[Field, ...]
    verb: str | None = None
    description: str = ""
    idempotent: bool = False
    request: Request | None = None
    run: Callable[[ActionContext, Mapping[str, Any]], Mapping[str, Any]] | None = None
    ok: str = "status >= 200 && status < 300"
    absent: tuple[
        int, ...
    ] = ()  # statuses that mean "no such thing": output {found: false} instead of a failure
    pagination: Pagination | None = None
    poll: Poll | None = None
    refuse: Refusal | None = None
    find: tuple[Find, ...] = ()
    output: Mapping[str, str | Lines | Made] = field(default_factory=dict)
    keep_answer: bool = True  # False: of the answer only the output is kept, for the rest may hold a secret
    probe: Probe | None = None
    undo: Undo | None = None
    no_undo: str | None = None  # why it cannot be taken back
    instructions: str = ""  # what a person does when no product is bound; Markdown, template over inputs
    pap_limit: str | None = (
        None  # the strictest PAP under which it may run: clear green amber red; None = any
    )

    @property
    def full_name(self) -> str:
        return f"{self.connector}.{self.name}"


@dataclass(frozen=True)
class Health:
    """A harmless request that shows the settings work; `ok` is CEL. Or a Python function that raises ActionFailed."""

    request: Request | None = None
    ok: str = "status >= 200 && status < 300"
    run: Callable[[ActionContext], str] | None = None


@dataclass(frozen=True)
class Sample:
    """An alert written after the vendor's documented format, and what we must understand of it."""

    name: str
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)
    scenario: str | None = None  # malware login secret availability: for the demo


@dataclass(frozen=True)
class Rate:
    """At most so many requests in any time of this length."""

    calls: int
    per: timedelta


@dataclass(frozen=True)
class Challenge:
    """How a product asks, by a GET, whether the address is ours: it sends `header`, and wants it back as JSON `member`."""

    header: str
    member: str


@dataclass(frozen=True)
class Connector:
    """One product: a file in `connectors/catalog`. `alerts` is None when it never sends us any."""

    name: str
    title: str
    kind: str
    docs: str
    settings: tuple[Field, ...] = ()
    secrets: tuple[Field, ...] = ()
    auth: Auth = field(default_factory=Auth)
    alerts: AlertReader | None = None
    health: Health | None = None
    actions: Mapping[str, Action] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    proofs: tuple[str, ...] = (
        "bearer",
        "url_token",
    )  # how a source of this product can prove itself, best first
    delivery_id: str | None = None  # header or path holding the vendor's own id of a delivery
    challenge: Challenge | None = None
    rates: tuple[Rate, ...] = ()  # how often it may be called, unless what is configured says otherwise
    rate_reset: str | None = None  # the header of a 429 that holds when it is over, in seconds since 1970
    quiet_after: timedelta = timedelta(hours=24)
    setup: str = ""  # how to point the product here: Markdown, with {{ url }} and {{ token }}
    harmless: Harmless | None = None
    writes: str = ""  # where it usually writes its alerts, as lines of JSON
    writes_only: str = ""  # member=value of the lines in it that are alerts; empty: all
    scopes: str = ""  # the least rights the credentials need


class DeclarationError(TocsinError):
    """A connector file is wrong; `problems` are sentences, each beginning with file:line."""

    code = "bad_connector"
    status = 500

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
