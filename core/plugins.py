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


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses repeated keys and keeps `on`, `yes`, `no`, `off` as the words they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}  # fmt: skip
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_yaml(source: Path | str, file: str | None = None) -> tuple[Any, Marks]:
    """Read YAML (1.2 booleans, no duplicate keys, no aliases) and where its parts stand.

    `source` is a path or the text itself. Raises Invalid with "file:line" when it cannot be read.
    """
    name = file or (str(source) if isinstance(source, Path) else "<text>")
    text = source.read_text("utf-8") if isinstance(source, Path) else source
    lines: dict[tuple[str | int, ...], int] = {}
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            data = _build(loader, node, (), lines, name) if node is not None else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise _unreadable(where, str(getattr(error, "problem", None) or error)) from error
    return data, Marks(name, lines)


def _build(
    loader: yaml.SafeLoader, node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], file: str
) -> Any:  # fmt: skip
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, child, (*path, n), lines, file) for n, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        result: dict[str | int, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node)
            if not isinstance(key, (str, int, float)) or isinstance(key, bool):
                raise _unreadable(
                    f"{file}:{key_node.start_mark.line + 1}", "a key must be a word or a number"
                )
            if (key if isinstance(key, (str, int)) else str(key)) in result:
                raise _unreadable(
                    f"{file}:{key_node.start_mark.line + 1}", f"the key {key!r} stands here twice"
                )
            part = key if isinstance(key, (str, int)) else str(key)
            result[part] = _build(loader, value_node, (*path, part), lines, file)
            lines[(*path, part)] = key_node.start_mark.line + 1
        return result
    return loader.construct_object(node)


def _unreadable(where: str, why: str) -> Invalid:
    return Invalid(f"{where}: {why}", problems=[Problem(where, why)])


def as_mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value` if it is a mapping; raises Invalid saying what should have been one."""
    if not isinstance(value, Mapping):
        raise Invalid(f"{what} must be a mapping of names to values")
    return value
