"""What a kind of authentication promises, and how one is built from settings."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Protocol, TypeVar, runtime_checkable

from core.errors import Invalid
from core.expressions.errors import did_you_mean
from core.net.egress import Egress
from core.net.http import Request


@runtime_checkable
class Auth(Protocol):
    """Adds credentials to a request."""

    def sign(self, request: Request, rules: Egress) -> Request:
        """The request with credentials; may fetch a token first.

        Raises LoginRefused, NetRefused, NetFailed or NetTimeout, always with sent=False: the request itself did not go.
        """

    def forget(self) -> bool:
        """After a 401: forget what was cached; True when signing again may help."""


class Fixed:
    """For kinds that have nothing to fetch."""

    def forget(self) -> bool:
        """Nothing is cached."""
        return False


@dataclass(frozen=True)
class Field:
    """One setting of a kind."""

    name: str
    required: bool
    secret: bool


_KINDS: dict[str, type[Any]] = {}  # filled at import
Made = TypeVar("Made", bound=type[Any])


def kind(name: str) -> Callable[[Made], Made]:
    """Register a dataclass as the kind `name`; fields with repr=False are its secrets."""

    def register(made: Made) -> Made:
        _KINDS[name] = made
        return made

    return register


def kinds() -> tuple[str, ...]:
    """The names of all kinds."""
    return tuple(sorted(_KINDS))


def fields_of(name: str) -> tuple[Field, ...]:
    """The settings of a kind; raises Invalid for an unknown one."""
    return tuple(
        Field(item.name, item.default is MISSING and item.default_factory is MISSING, not item.repr)
        for item in fields(_known(name))
    )


def build(name: str, settings: Mapping[str, Any]) -> Auth | None:
    """The authentication `name` with these settings; None for `none`.

    Raises Invalid, naming the setting that is unknown, missing or of a wrong kind; never its value.
    """
    if name == "none":
        return None
    made = _known(name)
    known = {item.name: item for item in fields_of(name)}
    for given in settings:
        if given not in known:
            raise Invalid(f'auth {name} has no setting "{given}"{did_you_mean(given, known)}')
    for item in known.values():
        if item.required and settings.get(item.name) in (None, ""):
            raise Invalid(f'auth {name} needs "{item.name}"')
    auth: Auth = made(**{key: value for key, value in settings.items() if value is not None})
    return auth


def _known(name: str) -> type[Any]:
    if name not in _KINDS:
        raise Invalid(f'there is no auth kind "{name}"{did_you_mean(name, [*_KINDS, "none"])}')
    return _KINDS[name]
