"""A value with its place in a file, so that every complaint names the line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import Invalid
from core.plugins import Marks, load_yaml

Place = tuple[str | int, ...]


@dataclass
class Document:
    """A parsed file: its name for messages, the lines of its places, and the problems found so far."""

    name: str
    data: Any
    marks: Marks | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def top(self) -> At:
        return At(self.data, (), self)


class At:
    """A cursor on one value. Readers complain into the document and return a harmless default, so all is told at once."""

    __slots__ = ("data", "doc", "place")

    def __init__(self, data: Any, place: Place, doc: Document) -> None:
        self.data = data
        self.place = place
        self.doc = doc

    def complain(self, sentence: str) -> None:
        where = self.doc.marks.at(self.place) if self.doc.marks else self.doc.name
        dotted = ".".join(str(part) for part in self.place)
        self.doc.problems.append(f"{where}: {dotted}: {sentence}" if dotted else f"{where}: {sentence}")

    def __getitem__(self, key: str | int) -> At:
        return At(self.data[key], (*self.place, key), self.doc)

    def get(self, key: str) -> At | None:
        """The member, or None when absent or null."""
        if not isinstance(self.data, dict) or self.data.get(key) is None:
            return None
        return self[key]

    def members(
        self, allowed: Iterable[str] | None = None, required: Iterable[str] = ()
    ) -> Iterator[tuple[str, At]]:
        """The members of a mapping, after complaining about unknown and missing names."""
        if not isinstance(self.data, dict):
            self.complain(f"must be a mapping, not {kind_of(self.data)}")
            return iter(())
        if allowed is not None:
            known = list(allowed)
            for key in self.data:
                if key not in known:
                    self[key].complain(
                        f"unknown name{suggestion(str(key), known)}; known are {', '.join(known)}"
                    )
        for key in required:
            if self.data.get(key) is None:
                self.complain(f'"{key}" is missing')
        return iter([(str(key), self[key]) for key in self.data])

    def entries(self) -> list[At]:
        """The entries of a list; one value stands for a list of one."""
        if isinstance(self.data, list):
            return [self[index] for index in range(len(self.data))]
        return [self]

    def text(self, default: str = "") -> str:
        if isinstance(self.data, str) and self.data.strip():
            return self.data.strip()
        self.complain(f"must be text, not {kind_of(self.data)}")
        return default

    def choice(self, options: Iterable[str], default: str) -> str:
        known = list(options)
        if isinstance(self.data, str) and self.data in known:
            return self.data
        self.complain(f'"{self.data}" is not one of {", ".join(known)}{suggestion(str(self.data), known)}')
        return default

    def flag(self) -> bool:
        if isinstance(self.data, bool):
            return self.data
        self.complain(f"must be true or false, not {kind_of(self.data)}")
        return False

    def number(self, default: float = 0) -> float:
        if isinstance(self.data, (int, float)) and not isinstance(self.data, bool):
            return self.data
        self.complain(f"must be a number, not {kind_of(self.data)}")
        return default


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def kind_of(value: Any) -> str:
    """What a value is, in words a person who writes YAML uses."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true/false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)


def load(path: Path, name: str | None = None) -> Document:
    """Read a YAML file. A syntax error, or a key given twice, becomes a problem of the document."""
    return parse(path.read_text(encoding="utf-8"), name or path.name)


def parse(text: str, name: str) -> Document:
    """Like `load`, from text."""
    try:
        data, marks = load_yaml(text, name)
    except Invalid as error:
        return Document(name, None, problems=[error.message])
    return Document(name, data, marks)
