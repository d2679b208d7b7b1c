"""Reads playbook YAML, keeping the line of everything and saying what is wrong in sentences."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from core.errors import Invalid
from core.plugins import Marks, load_yaml
from playbooks.durations import parse_duration

_ID = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a playbook file, and where."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class Table(dict[str, Any]):
    """A YAML mapping that knows its line, and the line of each of its keys."""

    line: int = 0
    lines: dict[str, int]


class Rows(list[Any]):
    """A YAML list that knows its line, and the line of each of its items."""

    line: int = 0
    lines: list[int]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean "x"?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


@dataclass
class Notes:
    """Collects the problems of one file while it is read."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, line: int, message: str) -> None:
        """Note a problem once."""
        problem = Problem(self.file, line, message)
        if problem not in self.problems:
            self.problems.append(problem)


def read_yaml(text: str, notes: Notes) -> Any:
    """The file's data with lines (Table, Rows, plain scalars); problems go to `notes`, and the result is then None."""
    try:
        data, marks = load_yaml(text, notes.file)
    except Invalid as error:
        for problem in error.problems:
            line = problem.path.rpartition(":")[2]
            notes.add(int(line) if line.isdecimal() else 1, f"this is not readable YAML: {problem.message}")
        return None
    return _located(data, marks, ())


def _located(value: Any, marks: Marks, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, dict):
        table = Table({key: _located(inner, marks, (*path, key)) for key, inner in value.items()})
        table.line, table.lines = marks.line(path), {key: marks.line((*path, key)) for key in value}
        return table
    if isinstance(value, list):
        rows = Rows(_located(inner, marks, (*path, number)) for number, inner in enumerate(value))
        rows.line, rows.lines = (
            marks.line(path),
            [marks.line((*path, number)) for number in range(len(value))],
        )
        return rows
    return value


def plain(value: Any) -> Any:
    """The same data as ordinary dicts and lists, without lines."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def line_of(value: Any, otherwise: int) -> int:
    """The line a value starts on, where it knows it."""
    return value.line if isinstance(value, Table | Rows) else otherwise


class Reader:
    """Reads one mapping key by key; what is wrong is noted, what is unknown is told with the nearest known word."""

    def __init__(self, table: Table, where: str, notes: Notes) -> None:
        self.table = table
        self.where = where
        self.notes = notes
        self._read: set[str] = set()

    @property
    def line(self) -> int:
        return self.table.line

    def line_of(self, key: str) -> int:
        return self.table.lines.get(key, self.table.line)

    def wrong(self, message: str, key: str | None = None) -> None:
        """Note a problem at a key (or at the mapping itself)."""
        self.notes.add(self.line_of(key) if key else self.line, f"{self.where}: {message}")

    def has(self, key: str) -> bool:
        return key in self.table

    def value(self, key: str, default: Any = None) -> Any:
        """Whatever stands there, with its lines."""
        self._read.add(key)
        return self.table.get(key, default)

    def text(self, key: str, default: str | None = None, required: bool = False) -> str | None:
        """A text; numbers are taken as they were written."""
        value = self.value(key)
        if value is None:
            if required:
                self.wrong(f'"{key}" is missing', key)
            return default
        if isinstance(value, dict | list | bool):
            self.wrong(f'"{key}" must be a text', key)
            return default
        return str(value)

    def whole(self, key: str, default: int, least: int = 1, most: int = 10_000) -> int:
        """A whole number within bounds."""
        value = self.value(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(f'"{key}" must be a whole number from {least} to {most}', key)
            return default
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """A yes or a no, written true or false."""
        value = self.value(key, default)
        if not isinstance(value, bool):
            self.wrong(f'"{key}" must be true or false', key)
            return default
        return value

    def duration(self, key: str, default: float | None = None) -> float | None:
        """Seconds of a written duration such as 30s or 3d."""
        value = self.value(key)
        if value is None:
            return default
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.wrong(f'"{key}": {error}', key)
            return default

    def choice(self, key: str, options: Iterable[str], default: str) -> str:
        """One word of a closed list."""
        value = self.value(key)
        if value is None:
            return default
        known = list(options)
        if value not in known:
            hint = did_you_mean(str(value), known)
            self.wrong(f'"{key}" is "{value}", but must be one of {", ".join(known)}{hint}', key)
            return default
        return str(value)

    def texts(self, key: str) -> list[str]:
        """A list of texts; a single text counts as a list of one."""
        value = self.value(key)
        if value is None:
            return []
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, dict | list) or item is None for item in items):
            self.wrong(f'"{key}" must be a list of texts', key)
            return []
        return [str(item) for item in items]

    def mapping(self, key: str) -> dict[str, Any]:
        """A mapping as plain data."""
        value = self.value(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(f'"{key}" must be a mapping', key)
            return {}
        found = plain(value)
        return dict(found)

    def inner(self, key: str, what: str = "") -> "Reader | None":
        """A reader for a mapping inside this one."""
        value = self.value(key)
        if not isinstance(value, Table):
            if value is not None:
                self.wrong(f'"{key}" must be a mapping{what}', key)
            return None
        return Reader(value, self.where, self.notes)

    def ignore(self, *keys: str) -> None:
        """Keys that somebody else reads."""
        self._read.update(keys)

    def close(self, known: Iterable[str] = ()) -> None:
        """Note every key nobody read."""
        words = {*self._read, *known}
        for key in self.table:
            if key not in self._read:
                self.wrong(f'unknown key "{key}"{did_you_mean(key, words)}', key)


def check_id(reader: Reader, key: str, value: str) -> bool:
    """Whether an id can be used in expressions (a lower-case word); notes a problem when not."""
    if _ID.match(value):
        return True
    reader.wrong(
        f'"{value}" cannot be an id: use lower-case letters, digits and _, starting with a letter', key
    )
    return False
