"""What a channel promises: how its address looks and how one notification is sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from core.types import Severity

FieldType = Literal["text", "secret", "url", "email", "user", "phone"]


@dataclass(frozen=True)
class Field:
    """One value of an address or of a channel's settings; a `secret` one is sealed and never shown."""

    name: str
    title: str
    type: FieldType = "text"
    required: bool = True
    help: str = ""


@dataclass(frozen=True)
class Outgoing:
    """One notification as a channel sees it. `text` of a page is at most two short lines; links are absolute.

    `id` is the attempt's (a provider that knows idempotency keys gets it), `thread` stays the same for all
    that concerns one page. `items` are the titles inside a bundle. `code` is what the person may answer with.
    `picture` is a PNG that goes with a message where the channel can carry one.
    """

    id: UUID
    kind: Literal["page", "bundle", "message", "test"]
    title: str
    text: str
    severity: Severity
    at: datetime
    link: str
    acknowledge: str | None = None
    thread: str = ""
    items: tuple[str, ...] = ()
    code: str = ""
    picture: bytes | None = None


@dataclass(frozen=True)
class Context:
    """What a channel may use: the installation's settings of this channel, mail, and the inbox as a port.

    `callback` is the address at which the far end may tell what became of this notification; empty when this
    installation cannot be reached from outside.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    smtp_url: str | None = None
    smtp_from: str = ""
    timeout: float = 10.0
    callback: str = ""
    inbox: Callable[[Outgoing, UUID], None] | None = None


@dataclass(frozen=True)
class Sent:
    """The channel's far end took it: its id for the notification, if it gave one, and what it said."""

    provider_id: str | None
    answer: str


class Undeliverable(Exception):
    """It was not sent, or we cannot know: `permanent` = trying again is useless; `maybe_sent` = no answer came.

    `muzzled` = this installation lets nothing out; `gone` = that address will never take anything again; `status` is that
    of an HTTP answer, if one came.
    """

    def __init__(
        self, reason: str, *, permanent: bool = False, maybe_sent: bool = False, muzzled: bool = False,
        status: int | None = None, gone: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.maybe_sent = maybe_sent
        self.muzzled = muzzled
        self.status = status
        self.gone = gone


@dataclass(frozen=True)
class Callback:
    """A call of a far end: the address of ours that it was made to, the form's fields in their order, headers in lower case."""

    url: str
    fields: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]

    def get(self, name: str) -> str:
        """The first value of a field; empty without one."""
        return next((value for field, value in self.fields if field == name), "")


class Unproven(Exception):
    """A callback does not prove that it comes from the far end."""


@dataclass(frozen=True)
class Receipt:
    """What became of a notification, by the far end's `key` for it (the same one is told twice sometimes).

    `over` ends what needs an answer (a call): it has failed unless somebody had answered.
    """

    key: str
    state: Literal["under_way", "arrived", "failed", "over"]
    detail: str


@dataclass(frozen=True)
class Reply:
    """Somebody at the address `sender` answered with `text`; `key` is the far end's for this answer."""

    key: str
    sender: str
    text: str


@dataclass(frozen=True)
class Pressed:
    """Whoever took the call pressed this key of their telephone."""

    key: str
    digit: str


@dataclass(frozen=True)
class Channel:
    """One way of reaching somebody. `from_text` reads a short address ("a@b.example", "#soc"); `shown` is an
    address in words without secrets. One that does not `reaches_out` only shows things in our own pages. `many_ends`: each
    address is a server of its own, so that one that hangs holds up itself alone; `shown` then tells them apart.

    `in_the_clear`: others can read or hear it on its way, so it carries neither observables nor what is TLP:RED. `shares`
    names the channel whose settings it uses. `hears` reads a callback, by the channel's settings (raises Unproven; None:
    nothing to note), `answers` puts a sentence into the far end's own language; `takes_codes`: one can reply to it.
    A `personal` one is somebody's own device, never a shared place.
    """

    name: str
    title: str
    send: Callable[[Outgoing, Mapping[str, str], Context], Sent]
    address: tuple[Field, ...]
    docs: str = ""
    config: tuple[Field, ...] = ()
    from_text: Callable[[str], dict[str, str]] = lambda text: {"to": text}
    shown: Callable[[Mapping[str, str]], str] = lambda address: next(iter(address.values()), "")
    reaches_out: bool = True
    many_ends: bool = False
    in_the_clear: bool = False
    shares: str = ""
    hears: Callable[[Callback, Mapping[str, str]], Receipt | Reply | Pressed | None] | None = None
    answers: Callable[[str], bytes] = lambda text: text.encode()
    takes_codes: bool = False
    personal: bool = False
