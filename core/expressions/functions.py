"""The functions a CEL expression may call: which arguments they take, and ours in Python."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.expressions.schema import ANY, BOOL, DURATION, FLOAT, INT, STR, TIMESTAMP, Type



@dataclass(frozen=True)
class Signature:
    """How a function is called: what it is called on (None: nothing), its arguments, what comes out.

    Each place holds the kinds it accepts.
    """

    on: tuple[str, ...] | None
    arguments: tuple[tuple[str, ...], ...]
    gives: Type
    literal: bool = False  # the arguments must be written out, not computed


_LONGEST_ADDRESS = 64  # characters; longer is no address or network, and is not remembered
_TEXT = ("str",)
_NUMBERS = ("int", "float")
_TIMES = ("timestamp", "duration")

METHODS: dict[str, Signature] = {
    "contains": Signature(_TEXT, (_TEXT,), BOOL),
    "startsWith": Signature(_TEXT, (_TEXT,), BOOL),
    "endsWith": Signature(_TEXT, (_TEXT,), BOOL),
    "matches": Signature(_TEXT, (_TEXT,), BOOL, literal=True),
    "lowerAscii": Signature(_TEXT, (), STR),
    "upperAscii": Signature(_TEXT, (), STR),
    "trim": Signature(_TEXT, (), STR),
    "size": Signature(("str", "list", "map", "object", "bytes"), (), INT),
    "getFullYear": Signature(("timestamp",), (), INT),
    "getMonth": Signature(("timestamp",), (), INT),
    "getDate": Signature(("timestamp",), (), INT),
    "getDayOfMonth": Signature(("timestamp",), (), INT),
    "getDayOfWeek": Signature(("timestamp",), (), INT),
    "getDayOfYear": Signature(("timestamp",), (), INT),
    "getHours": Signature(_TIMES, (), INT),
    "getMinutes": Signature(_TIMES, (), INT),
    "getSeconds": Signature(_TIMES, (), INT),
    "getMilliseconds": Signature(_TIMES, (), INT),
}
FUNCTIONS: dict[str, Signature] = {
    "size": Signature(None, (("str", "list", "map", "object", "bytes"),), INT),
    "int": Signature(None, (("int", "float", "str"),), INT),
    "double": Signature(None, (("int", "float", "str"),), FLOAT),
    "string": Signature(None, (("int", "float", "str", "timestamp", "duration", "bytes"),), STR),
    "timestamp": Signature(None, (("str", "timestamp"),), TIMESTAMP),
    "duration": Signature(None, (("str", "duration"),), DURATION),
    "type": Signature(None, (("any",),), Type("type")),
    "dyn": Signature(None, (("any",),), ANY),
    "inNetwork": Signature(None, (_TEXT, _TEXT), BOOL),
}
MACROS = ("exists", "all", "exists_one", "map", "filter")
RESHAPING = ("map", "filter")


def in_network(address: str, network: str) -> bool:
    """Is the address inside the network? What is no address is in no network.

    IPv4 addresses written as IPv6 (::ffff:10.0.0.1) count as IPv4.
    """
    value, inside = _address(address), _network(network)
    return value is not None and inside is not None and value in inside


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    return _read_address(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        value = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (value.ipv4_mapped or value) if isinstance(value, ipaddress.IPv6Address) else value


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    return _read_network(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=1024)
def _read_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _lower(text: str) -> str:
    return text.lower()


def _upper(text: str) -> str:
    return text.upper()


def _trim(text: str) -> str:
    return text.strip()


PROVIDED: Mapping[str, Callable[..., Any]] = {
    "inNetwork": in_network,
    "lowerAscii": _lower,
    "upperAscii": _upper,
    "trim": _trim,
}
