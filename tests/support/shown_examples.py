"""Finds the examples in our guides, and holds what a reader types against what the guide says is answered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tables_ready import ROOT

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$", re.DOTALL | re.MULTILINE)
_WORD = re.compile(r'(?P<name>[a-z-]+)="(?P<quoted>[^"]*)"|(?P<key>[a-z-]+)=(?P<value>\S+)|(?P<bare>\S+)')
_BLANK = re.compile(r"<([a-z][a-z-]*)>")
ADDRESS = "http://127.0.0.1:8000"
"""What the guides write where the reader's own address stands."""


@dataclass(frozen=True)
class Example:
    """One fenced block: where it stands, its language, the words after that, and its text."""

    file: str
    line: int
    language: str
    text: str
    words: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """file:line, as an editor takes it."""
        return f"{self.file}:{self.line}"

    @property
    def left_out(self) -> str | None:
        """Why it is not run, where the guide says so."""
        return self.options.get("not-run")


@dataclass(frozen=True)
class Typed:
    """One command of a console example, and what the guide shows as its answer."""

    command: str
    shown: str
    line: int


def guides() -> list[Path]:
    """README and every guide in docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples(path: Path) -> list[Example]:
    """The fenced blocks of one guide, in order."""
    text = path.read_text(encoding="utf-8")
    found: list[Example] = []
    for match in _FENCE.finditer(text):
        words: list[str] = []
        options: dict[str, str] = {}
        for word in _WORD.finditer(match["info"]):
            if word["bare"]:
                words.append(word["bare"])
            else:
                options[word["name"] or word["key"]] = word["quoted"] or word["value"] or ""
        line = text.count("\n", 0, match.start()) + 1
        language = words[0] if words else ""
        found.append(
            Example(str(path.relative_to(ROOT)), line, language, match["text"], tuple(words[1:]), options)
        )
    return found


def every() -> Iterator[Example]:
    """All examples of all guides."""
    for path in guides():
        yield from examples(path)


def typed(example: Example) -> list[Typed]:
    """The commands of a console example: each `$ ` line (and those it continues on) with the lines below it."""
    found: list[Typed] = []
    command: list[str] = []
    shown: list[str] = []
    start = example.line
    for number, line in enumerate(example.text.splitlines(), example.line + 1):
        if line.startswith("$ "):
            if command:
                found.append(Typed("\n".join(command), "\n".join(shown), start))
            command, shown, start = [line[2:]], [], number
        elif command and not shown and command[-1].endswith("\\"):
            command.append(line)
        elif command:
            shown.append(line)
        else:
            raise AssertionError(f"{example.file}:{number}: an answer without a command before it")
    return [*found, Typed("\n".join(command), "\n".join(shown), start)]


def blanks(text: str) -> set[str]:
    """The names of the `<name>`s in a text."""
    return set(_BLANK.findall(text))


def filled(text: str, known: dict[str, str], address: str) -> str:
    """The text with what earlier answers told in place of `<name>`, and the reader's own address."""
    return _BLANK.sub(lambda blank: known.get(blank[1], blank[0]), text).replace(ADDRESS, address)


def learned(shown: str, answer: str, known: dict[str, str], address: str) -> dict[str, str] | None:
    """What an answer tells for each `<name>` of the shown one; None when it is another answer.

    White space does not count, and … stands for anything.
    """
    wanted = "".join(filled(shown, known, address).split())
    pattern, seen = "", set()
    for part in re.split(r"(…|<[a-z][a-z-]*>)", wanted):
        if part == "…":
            pattern += ".*?"
        elif blank := _BLANK.fullmatch(part):
            name = blank[1].replace("-", "_")
            pattern += f"(?P={name})" if name in seen else rf"(?P<{name}>[\w.:/+-]+?)"
            seen.add(name)
        else:
            pattern += re.escape(part)
    match = re.fullmatch(pattern, "".join(answer.split()), re.DOTALL)
    if match is None:
        return None
    return {name.replace("_", "-"): value for name, value in match.groupdict().items()}
