"""The guard rails in front of every action, as pure judgement: may it be done, and if not, why not."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from connectors import entities, shared_ranges
from connectors.contract import Action, Effect, Entity, Field
from core.errors import Invalid, Problem

PAPS = ("clear", "green", "amber", "red")
NETWORK_TYPES = frozenset({"ipv4-addr", "ipv6-addr", "domain", "url"})
_ONE_SPELLING = NETWORK_TYPES | {
    "file-hash"
}  # sent as normalised; a name keeps the spelling its product knows

DEFAULT_BUDGETS: Mapping[str, int] = {"write": 500, "disruptive": 30, "destructive": 3}
"""How often automation may do something of an effect in an hour, unless the operator says otherwise."""

LARGEST = {4: 24, 6: 48}  # a network of this size or larger is blocked only with approval


@dataclass(frozen=True)
class Protected:
    """Something that no disruptive action touches. `kind`: network, domain, host, user; `*` is a wildcard."""

    kind: str
    value: str
    reason: str
    own: bool = False


@dataclass(frozen=True)
class Rails:
    """The rails as they stand: what is protected, whether everything is held, and how much budget is used."""

    protected: Sequence[Protected] = ()
    hold_all: bool = False
    hold_reason: str | None = None
    budget: int | None = None
    used: int = 0


@dataclass(frozen=True)
class Asked:
    """What the guards need to know of who asks and why."""

    by_person: bool = False
    approved_by: tuple[str, ...] = ()
    trust: str = "normal"
    tlp: str = "amber+strict"
    pap: str = "amber"
    dry_run: bool = False
    releasing: bool = False  # takes a countermeasure back
    outside: bool = False  # a look-up at a service that others run


@dataclass(frozen=True)
class Verdict:
    """What may happen: `go`, `dry_run`, `held` or `refused`, with a sentence for the last two."""

    state: str
    why: str = ""
    rail: str = ""


@dataclass(frozen=True)
class Named:
    """The things an action's inputs name, and the inputs as they will be sent."""

    inputs: dict[str, Any]
    entities: tuple[Entity, ...] = field(default=())


def judge(action: Action, named: Sequence[Entity], asked: Asked, rails: Rails) -> Verdict:
    """Whether this action on these things may be done now."""
    disrupts = action.effect.rank >= Effect.disruptive.rank
    refusal = (
        _reading(action, named, asked, rails)
        if action.effect is Effect.read
        else None
        if asked.releasing
        else _disrupting(action, named, asked, rails)
        if disrupts
        else _over_budget(action, asked, rails)
    )
    if refusal is not None:
        return refusal
    if asked.dry_run:
        return Verdict("dry_run")
    if rails.hold_all and action.effect is not Effect.read and not asked.releasing:
        because = f" ({rails.hold_reason})" if rails.hold_reason else ""
        return Verdict(
            "held", f"All automation is held{because}; this waits until somebody lets it go on.", "hold_all"
        )
    return Verdict("go")


def _disrupting(action: Action, named: Sequence[Entity], asked: Asked, rails: Rails) -> Verdict | None:
    for entity in named:
        if (because := protection(entity, rails.protected)) is not None:
            return Verdict(
                "refused",
                f"{entities.defang(entity.type, entity.value)} is protected: {because}.",
                "protected",
            )
    person = asked.by_person or bool(asked.approved_by)
    for entity in named:
        if not person and (size := _large(entity)) is not None:
            return Verdict(
                "refused", f"{size} is a whole network; blocking it needs a person's approval.", "size"
            )
    if asked.trust == "low" and not person:
        why = "The alert's origin is proven only by a token in a URL, so a person must approve what disrupts."
        return Verdict("refused", why, "trust")
    if action.effect is Effect.destructive and not person:
        return Verdict("refused", "What destroys needs a person's approval.", "destructive")
    return _over_budget(action, asked, rails)


def _over_budget(action: Action, asked: Asked, rails: Rails) -> Verdict | None:
    if rails.budget is None or rails.used < rails.budget or asked.by_person or asked.approved_by:
        return None
    why = f"{action.title}: {rails.used} of {rails.budget} in the last hour are used; a person can approve more."
    return Verdict("refused", why, "budget")


def _reading(action: Action, named: Sequence[Entity], asked: Asked, rails: Rails) -> Verdict | None:
    if action.pap_limit is not None and _rank(PAPS, asked.pap) > _rank(PAPS, action.pap_limit):
        why = f"The incident is PAP:{asked.pap.upper()}; {action.title} is allowed up to PAP:{action.pap_limit.upper()}."
        return Verdict("refused", why, "pap")
    if not asked.outside:
        return None
    if asked.tlp == "red":
        return Verdict(
            "refused", "The incident is TLP:RED: nothing of it is sent to outside services.", "tlp"
        )
    for entity in named:
        if (whose := own_name(entity, rails.protected)) is not None:
            shown = entities.defang(entity.type, entity.value)
            return Verdict("refused", f"{shown} is {whose}; it is not sent to outside services.", "own")
    return None


def _rank(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else len(names) - 1


# ------------------------------------------------------------------------------------------------ what is protected


def protection(entity: Entity, protected: Iterable[Protected]) -> str | None:
    """Why nothing disruptive may be done to this, or None."""
    network = _network(entity)
    # A host or an account under our own name may be contained; only the name itself must not be blocked.
    host = _host(entity) if entity.type in ("domain", "url") else None
    for rule in protected:
        if _covers(rule, entity, network, host):
            return rule.reason
    if network is not None:
        return shared_ranges.shared(network)
    if entity.type == "domain":
        if entity.value in shared_ranges.DOMAINS:
            return "everybody works with names under it"
        if "." not in entity.value:
            return "it is a whole top-level domain"
    return None


def own_name(entity: Entity, protected: Iterable[Protected]) -> str | None:
    """Why an outside service must not see this: it is ours. None when it may."""
    network = _network(entity)
    if network is not None and shared_ranges.is_special(network):
        return "a private address"
    host = _host(entity)
    for rule in protected:
        if rule.own and _covers(rule, entity, network, host):
            return "one of our own"
    return None


def _covers(rule: Protected, entity: Entity, network: shared_ranges.Network | None, host: str | None) -> bool:
    value = rule.value.lower()
    if rule.kind == "network" and network is not None:
        known = ipaddress.ip_network(rule.value, strict=False)
        return known.version == network.version and known.overlaps(network)
    if rule.kind == "domain" and host is not None:
        return host == value or host.endswith(f".{value}")
    if rule.kind == "host" and entity.type == "host":
        name = entity.value.lower()
        return fnmatchcase(name, value) or fnmatchcase(name.partition(".")[0], value)
    if rule.kind == "user" and entity.type in ("user", "email"):
        name = entity.value.lower()
        bare = name.rpartition("\\")[2].partition("@")[0]
        return fnmatchcase(name, value) or fnmatchcase(bare, value)
    return False


def _network(entity: Entity) -> shared_ranges.Network | None:
    """The addresses that acting on this would reach."""
    text = entity.value if entity.type in ("ipv4-addr", "ipv6-addr") else _url_host(entity)
    if text is None:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _host(entity: Entity) -> str | None:
    if entity.type in ("domain", "host"):
        return entity.value.lower()
    if entity.type == "email":
        return entity.value.rpartition("@")[2].lower()
    return _url_host(entity)


def _url_host(entity: Entity) -> str | None:
    if entity.type != "url":
        return None
    try:
        return (urlsplit(entity.value).hostname or "").lower() or None
    except ValueError:
        return None


def _large(entity: Entity) -> str | None:
    network = _network(entity) if entity.type in ("ipv4-addr", "ipv6-addr") else None
    return str(network) if network is not None and network.prefixlen <= LARGEST[network.version] else None


def check_protected(kind: str, value: str) -> str:
    """The value of a protected thing in its one spelling. Raises Invalid."""
    text = value.strip().lower()
    if kind == "network":
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise Invalid(
                f"“{value}” is not a network such as 10.0.0.0/8.", [Problem("value", "not a network")]
            ) from None
        if network.prefixlen == 0:
            raise Invalid(
                f"{network} is every address: nothing could be blocked any more.", [Problem("value", "everything")]
            )
        return str(network)
    if kind not in ("domain", "host", "user"):
        raise Invalid(
            f"“{kind}” cannot be protected; choose network, domain, host or user.", [Problem("kind", kind)]
        )
    if not text or text == "*":
        raise Invalid("Say what is protected; * alone would stop every action.", [Problem("value", "empty")])
    return text.removeprefix("*.") if kind == "domain" else text


# ------------------------------------------------------------------------------------------------ inputs


def read_inputs(action: Action, given: Mapping[str, Any], *, outside: bool = False) -> Named:
    """Check an action's inputs, fill in defaults, and find the things they name.

    For a look-up outside, a URL loses its query and fragment: they may hold a victim's token. Raises Invalid with every
    problem.
    """
    known = {item.name: item for item in action.inputs}
    problems = [Problem(name, "is not an input of this action") for name in given if name not in known]
    inputs: dict[str, Any] = {}
    found: list[Entity] = []
    for item in action.inputs:
        value = given.get(item.name)
        if value is None or value == "":
            if item.required and item.default is None:
                problems.append(Problem(item.name, "is missing"))
            inputs[item.name] = item.default
            continue
        if outside and item.entity == "url" and isinstance(value, str):
            value = without_query(value)
        value, problem = _typed(item, value)
        if problem is not None:
            problems.append(Problem(item.name, problem))
            continue
        inputs[item.name] = value
        if item.entity is not None:
            for text in value if isinstance(value, list) else [value]:
                entity = _entity("auto" if item.entity == "any" else item.entity, str(text))
                if entity is None and item.entity == "any":
                    continue  # words: there is nothing in them to be spared
                if entity is not None and item.entity == "host":
                    entity = Entity(
                        "host", entity.value
                    )  # a host named by its address is contained, not blocked
                if entity is None:
                    problems.append(Problem(item.name, f"“{str(text)[:80]}” is not {_article(item.entity)}"))
                    continue
                found.append(entity)
                if isinstance(value, str) and entity.type in _ONE_SPELLING:
                    inputs[item.name] = entity.value
    if problems:
        told = "; ".join(f"{problem.path} {problem.message}" for problem in problems)
        raise Invalid(f"{action.full_name} cannot be done like this: {told}.", problems)
    return Named(inputs, tuple(dict.fromkeys(found)))


def without_query(url: str) -> str:
    """A URL without query, fragment and user name."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return url.partition("?")[0].partition("#")[0]


def _entity(kind: str, text: str) -> Entity | None:
    if kind in ("ip", "ipv4-addr", "ipv6-addr", "auto") and "/" in text:
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            return entities.entity(kind, text)
        return Entity("ipv4-addr" if network.version == 4 else "ipv6-addr", str(network))
    return entities.entity(kind, text)


def _typed(item: Field, value: Any) -> tuple[Any, str | None]:
    if (
        item.type in ("string", "text", "url")
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
    ):
        value = str(value)
    right = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, (int, float)) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }.get(item.type, isinstance(value, str))
    if not right:
        return value, f"must be {_article(item.type)}"
    if item.enum and str(value) not in item.enum:
        return value, f"must be one of {', '.join(item.enum)}"
    if item.pattern and isinstance(value, str) and not re.fullmatch(item.pattern, value):
        return value, "does not have the form that is asked for"
    if isinstance(value, str) and len(value) > 20_000:
        return value, "is too long"
    return value, None


def _article(kind: str) -> str:
    named = {"ip": "an address", "ipv4-addr": "an IPv4 address", "ipv6-addr": "an IPv6 address", "auto": "a known value",
             "file-hash": "a file hash", "string": "text", "text": "text"}  # fmt: skip
    return named.get(kind) or f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def time_to_live(blocked_before: int) -> timedelta:
    """How long a network value is blocked when nobody says: longer each time it comes back."""
    return (timedelta(hours=1), timedelta(hours=24), timedelta(days=7))[min(blocked_before, 2)]
