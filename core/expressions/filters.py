"""The filters a template may use, each bounded."""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Any
from urllib.parse import quote
from urllib.parse import urlencode as query
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import StrictUndefined, Undefined, filters, pass_environment
from jinja2.environment import Environment

from core.expressions.bounds import PLAIN, Filter, counted, instant, null_text, plain, room, within
from core.expressions.errors import TemplateError
from core.expressions.literals import literal

DATE_FORMATS = {
    "iso": None,
    "date": "%Y-%m-%d",
    "time": "%H:%M",
    "minute": "%Y-%m-%d %H:%M",
    "full": "%Y-%m-%d %H:%M:%S %Z",
}
_DIRECTIVE = re.compile(r"%[YmdHMSZzaAbBjyIp%]")


def text(value: Any) -> str:
    """A value as text: true, not True; times in ISO 8601; lists and maps as JSON; null as this render says."""
    if isinstance(value, str):
        return value
    if isinstance(value, StrictUndefined):
        raise TemplateError(value._undefined_message)
    if value is None or isinstance(value, Undefined):
        blank = null_text()
        if blank is None:
            raise TemplateError("a value in this text is empty (null); give it one with | default('…', true)")
        return blank
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return text(value.value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, PLAIN):
        return str(value)
    return tojson(value)


def without_query(value: Any) -> str:
    """A URL without what follows its path: that may name a person."""
    return text(value).partition("#")[0].partition("?")[0]


_INSIDE = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip


def outside(items: Iterable[Any]) -> list[str]:
    """The addresses of a list that lie in no private or special range (RFC 6890); what is no address is left out."""
    found = []
    for item in counted(items):
        try:
            address = ipaddress.ip_address(text(item))
        except ValueError:
            continue
        if not any(address in network for network in _INSIDE if network.version == address.version):
            found.append(str(address))
    return found


def tojson(value: Any, indent: bool = False) -> str:
    """JSON of a plain value; times and UUIDs as text. `indent` is true or false."""
    bare, _ = plain(value, room())
    return json.dumps(bare, ensure_ascii=False, indent=2 if indent else None, default=_json_default)


def _json_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Enum):
        return value.value
    return str(value)


def join(items: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    """The items' texts, joined."""
    pieces: list[str] = []
    size = 0
    for item in counted(items):
        value = item
        for part in attribute.split(".") if attribute else ():
            value = value.get(part) if isinstance(value, Mapping) else None
        piece = text(value)
        size += len(piece) + len(separator)
        within(size)
        pieces.append(piece)
    return text(separator).join(pieces)


def replace(value: Any, old: str, new: str, count: int = -1) -> str:
    """The text with `old` replaced."""
    source = text(value)
    times = len(source) + 1 if not old else source.count(old)
    if count >= 0:
        times = min(times, count)
    within(len(source) + times * (len(text(new)) - len(old)))
    return source.replace(old, text(new), count)


def when(value: Any, form: str = "iso", zone: str = "UTC") -> str:
    """A time as text: `iso`, `date`, `time`, `minute`, `full`, or %Y-%m-%d %H:%M…; in a zone like Europe/Madrid."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise TemplateError(f'"{value[:40]}" is not a time') from None
    if not isinstance(value, datetime):
        raise TemplateError("date needs a time")
    try:
        local = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        raise TemplateError(f'there is no time zone "{zone[:40]}"') from None
    pattern = DATE_FORMATS.get(form, form)
    if pattern is None:
        return instant(local)
    if "%" in _DIRECTIVE.sub("", pattern) or len(pattern) > 200:
        raise TemplateError("date knows %Y %m %d %H %M %S %Z %z %a %A %b %B %j %y %I %p")
    return local.strftime(pattern)


def truncate(value: Any, length: int = 255, end: str = "…") -> str:
    """At most `length` characters, ending in `end` when something was left out."""
    source = text(value)
    return source if len(source) <= length else source[: max(length - len(end), 0)] + end


def urlencode(value: Any) -> str:
    """Percent-encoded for a URL; `/` too, so that a value cannot leave its place in a path. A map becomes a query."""
    if isinstance(value, Mapping):
        return query({str(key): text(inner) for key, inner in value.items()})
    return quote(text(value), safe="")


def default(value: Any, instead: Any = "", empty: bool = False) -> Any:
    """`instead` when the value is missing or null; with `true` also when it is empty."""
    if isinstance(value, StrictUndefined) or value is None or (empty and not value):
        return instead
    return value


def _textual(method: str, value: Any) -> str:
    made: str = getattr(text(value), method)()
    return made


def _number(value: Any, places: int = 0, method: str = "common") -> float:
    if not isinstance(value, int | float):
        raise TemplateError(f"round needs a number, not {text(value)[:40]!r}")
    return filters.do_round(value, max(-20, min(places, 20)), method)  # type: ignore[arg-type]  # checked inside


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else sum(1 for _ in counted(value))


@pass_environment
def _sorted(
    environment: Environment, value: Any, reverse: bool = False, attribute: str | None = None
) -> list[Any]:
    try:
        return filters.do_sort(environment, list(counted(value)), reverse=reverse, attribute=attribute)
    except TypeError:
        raise TemplateError("sort cannot compare these values with each other") from None


FILTERS: dict[str, Filter] = {
    "_counted": counted,
    "abs": abs,
    "capitalize": partial(_textual, "capitalize"),
    "count": _length,
    "d": default,
    "date": when,
    "default": default,
    "first": filters.do_first,
    "float": filters.do_float,
    "int": filters.do_int,
    "items": filters.do_items,
    "join": join,
    "last": filters.do_last,
    "length": _length,
    "list": lambda value: list(counted(value)),
    "literal": lambda value, language: literal(text(value), language),
    "lower": partial(_textual, "lower"),
    "map": filters.sync_do_map,
    "max": filters.do_max,
    "min": filters.do_min,
    "reject": filters.sync_do_reject,
    "rejectattr": filters.sync_do_rejectattr,
    "outside": outside,
    "replace": replace,
    "reverse": filters.do_reverse,
    "round": _number,
    "select": filters.sync_do_select,
    "selectattr": filters.sync_do_selectattr,
    "sort": _sorted,
    "string": text,
    "sum": filters.sync_do_sum,
    "title": partial(_textual, "title"),
    "tojson": tojson,
    "trim": partial(_textual, "strip"),
    "truncate": truncate,
    "unique": filters.do_unique,
    "upper": partial(_textual, "upper"),
    "urlencode": urlencode,
    "without_query": without_query,
}
TESTS = frozenset({"defined", "undefined", "none", "true", "false", "boolean", "string", "number", "integer", "float",
                   "mapping", "sequence", "iterable", "in", "eq", "ne", "lt", "le", "gt", "ge", "==", "!=", "<", "<=",
                   ">", ">=", "equalto", "odd", "even", "divisibleby", "lower", "upper"})  # fmt: skip
