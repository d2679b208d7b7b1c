"""What an expression may speak of: roots, their fields, and the type of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_SAID = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "timestamp": "a time",
    "duration": "a duration",
    "bytes": "bytes",
    "null": "null",
    "type": "a type",
    "list": "a list",
    "map": "a map",
    "object": "an object",
    "any": "anything",
}
_ALIASES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "datetime": "timestamp",
    "dict": "map",
}


@dataclass(frozen=True)
class Type:
    """The type of a field.

    kind: str int float bool timestamp duration bytes null type list map object any.
    item: what a list or a map holds (a map's keys are texts).
    fields: the fields of an object; an object is closed, `any` and `map` are open.
    values: the only texts that can occur, in their own order, for a text with a fixed vocabulary.
    """

    kind: str
    item: "Type | None" = None
    fields: Mapping[str, "Type"] = field(default_factory=dict, hash=False)
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.values:
            return f"one of {', '.join(self.values)}"
        if self.kind == "list" and self.item is not None and self.item.kind != "any":
            return f"a list (of {self.item})"
        return _SAID[self.kind]

    @property
    def element(self) -> "Type":
        """What a list or a map holds; `any` when that was not said."""
        return self.item or ANY


ANY = Type("any")
STR = Type("str")
INT = Type("int")
FLOAT = Type("float")
BOOL = Type("bool")
TIMESTAMP = Type("timestamp")
DURATION = Type("duration")
BYTES = Type("bytes")
NULL = Type("null")


def one_of(*values: str) -> Type:
    """A text that is always one of `values`; comparing it with another literal is refused when saved."""
    return Type("str", values=tuple(str(value) for value in values))


def read_type(declared: Any) -> Type:
    """A Type from how people write it: "str", "list[int]", "map[str]", {"field": ...} or a Type.

    A trailing "?" is allowed and means nothing: every field may be null.
    """
    if isinstance(declared, Type):
        return declared
    if isinstance(declared, Mapping):
        return Type("object", fields={str(name): read_type(inner) for name, inner in declared.items()})
    if isinstance(declared, list) and len(declared) == 1:
        return Type("list", item=read_type(declared[0]))
    if not isinstance(declared, str):
        raise TypeError(f"a type is written as text, a mapping or [type], not {declared!r}")
    return _read_text(declared)


@lru_cache(maxsize=1024)
def _read_text(declared: str) -> Type:
    text = declared.strip().removesuffix("?")
    text = _ALIASES.get(text, text)
    for kind in ("list", "map"):
        if text == kind:
            return Type(kind)
        if text.startswith(f"{kind}[") and text.endswith("]"):
            return Type(kind, item=read_type(text[len(kind) + 1 : -1]))
    if text not in _SAID:
        raise TypeError(f"there is no type {declared!r}")
    return Type(text) if text != "object" else Type("map")


@dataclass(frozen=True, eq=False)
class Schema:
    """Declared roots, in how people write types: `Schema({"incident": {"key": "str", "hosts": "list[str]"}})`.

    Build it once and keep it: compiled conditions are cached per schema object.
    """

    declared: Mapping[str, Any]
    roots: Mapping[str, Type] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "roots", {name: read_type(inner) for name, inner in self.declared.items()})

    def extended(self, **roots: Any) -> "Schema":
        """A copy with more roots (or with some replaced): `schema.extended(item="any")`."""
        made = object.__new__(
            Schema
        )  # what has been read already is not read again: plans extend schemas by the hundred
        object.__setattr__(made, "declared", {**self.declared, **roots})
        object.__setattr__(
            made, "roots", {**self.roots, **{name: read_type(inner) for name, inner in roots.items()}}
        )
        return made

    def paths(self) -> Iterator[tuple[str, Type]]:
        """Every dotted path with its type, for completion and for the guide."""
        for name, kind in self.roots.items():
            yield from _paths(name, kind)


def _paths(prefix: str, kind: Type) -> Iterator[tuple[str, Type]]:
    yield prefix, kind
    for name, inner in kind.fields.items():
        yield from _paths(f"{prefix}.{name}" if name.isidentifier() else f'{prefix}["{name}"]', inner)
