"""Finds additions by walking a folder, and reads YAML that remembers its lines."""

import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from core.errors import Invalid, Problem


def discover(package: str, attribute: str) -> dict[str, Any]:
    """Import every module of a package and return `{module name: module.attribute}`, in name order.

    Raises AttributeError naming the file that does not declare the attribute.
    """
    found: dict[str, Any] = {}
    for name in module_names(package):
        module = importlib.import_module(f"{package}.{name}")
        if not hasattr(module, attribute):
            raise AttributeError(f"{module.__file__} must declare `{attribute}`")
        found[name] = getattr(module, attribute)
    return found


@lru_cache
def module_names(package: str) -> tuple[str, ...]:
    """The names of a package's modules, those with a leading underscore left out."""
    root = importlib.import_module(package)
    return tuple(sorted(m.name for m in pkgutil.iter_modules(root.__path__) if not m.name.startswith("_")))


class Marks:
    """Where each part of a YAML document stands: `at(path)` gives "file:line"."""

    def __init__(self, file: str, lines: dict[tuple[str | int, ...], int]) -> None:
        self.file = file
        self._lines = lines

    def line(self, path: Sequence[str | int]) -> int:
        """The line (from 1) of the nearest known part of `path`."""
        parts = tuple(path)
        while parts and parts not in self._lines:
            parts = parts[:-1]
        return self._lines.get(parts, 1)

    def at(self, path: Sequence[str | int]) -> str:
        """The "file:line" of a part, for error sentences."""
        return f"{self.file}:{self.line(path)}"


class _Loader(yaml.CSafeLoader):
    """libyaml's reader (ten times as quick), with `on`, `yes`, `no`, `off` as the words they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}  # fmt: skip
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_DEEPEST = 100  # levels of lists and mappings


def load_yaml(source: Path | str, file: str | None = None) -> tuple[Any, Marks]:
    """Read YAML (1.2 booleans, no duplicate keys, no aliases, one document) and where its parts stand.

    `source` is a path or the text itself. Raises Invalid with "file:line" when it cannot be read.
    """
    name = file or (str(source) if isinstance(source, Path) else "<text>")
    text = source.read_text("utf-8") if isinstance(source, Path) else source
    try:
        loader = _Loader(text)
        try:
            reading = _Reading(loader, name)
            return reading.document(), Marks(name, reading.lines)
        finally:
            loader.dispose()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise _unreadable(f"{name}:{line}", "a character here is half of a pair") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        lines = len(text.splitlines()) or 1  # what is missing at the end is missing on the last line
        where = f"{name}:{min(mark.line + 1, lines)}" if mark else name
        raise _unreadable(where, str(getattr(error, "problem", None) or error)) from error


class _Reading:
    """Builds the data from libyaml's events; its own composer would follow any depth until the process dies."""

    def __init__(self, loader: Any, file: str) -> None:
        self.loader = loader  # Any: the type stubs do not know libyaml's events and marks
        self.file = file
        self.lines: dict[tuple[str | int, ...], int] = {}

    def document(self) -> Any:
        """The one document of the stream; None when there is none."""
        self.loader.get_event()  # the stream's start
        if isinstance(self.loader.get_event(), yaml.StreamEndEvent):
            return None
        data = self._value(self.loader.get_event(), ())
        self.loader.get_event()  # the document's end
        after = self.loader.get_event()
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._wrong(after, "another document begins here; one file holds one")
        return data

    def _value(self, event: Any, path: tuple[str | int, ...]) -> Any:
        self.lines[path] = event.start_mark.line + 1
        if len(path) > _DEEPEST:
            raise self._wrong(event, f"this is nested more than {_DEEPEST} levels deep")
        if isinstance(event, yaml.SequenceStartEvent):
            entries: list[Any] = []
            while not isinstance(event := self.loader.get_event(), yaml.SequenceEndEvent):
                entries.append(self._value(event, (*path, len(entries))))
            return entries
        if isinstance(event, yaml.MappingStartEvent):
            members: dict[str | int, Any] = {}
            while not isinstance(event := self.loader.get_event(), yaml.MappingEndEvent):
                key = self._key(event, members)
                members[key] = self._value(self.loader.get_event(), (*path, key))
                self.lines[(*path, key)] = event.start_mark.line + 1
            return members
        return self._scalar(event)

    def _key(self, event: Any, members: Mapping[str | int, Any]) -> str | int:
        key = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, (str, int, float)) or isinstance(key, bool):
            raise self._wrong(event, "a key must be a word or a number")
        name = key if isinstance(key, (str, int)) else str(key)
        if name in members:
            raise self._wrong(event, f"the key {key!r} stands here twice")
        return name

    def _scalar(self, event: Any) -> Any:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._wrong(event, "an alias (*name) is not followed; write out what it stands for")
        tag = event.tag
        if tag in (None, "!"):
            tag = self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        mark: Any = event.start_mark
        return self.loader.construct_object(yaml.ScalarNode(tag, event.value, mark, mark))

    def _wrong(self, event: Any, why: str) -> Invalid:
        return _unreadable(f"{self.file}:{event.start_mark.line + 1}", why)


def _unreadable(where: str, why: str) -> Invalid:
    return Invalid(f"{where}: {why}", problems=[Problem(where, why)])


def as_mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value` if it is a mapping; raises Invalid saying what should have been one."""
    if not isinstance(value, Mapping):
        raise Invalid(f"{what} must be a mapping of names to values")
    return value
