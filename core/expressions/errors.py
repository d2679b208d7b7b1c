"""What can be wrong with an expression or a template, said in sentences with a position."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

from core.errors import Invalid, Problem, TocsinError


@dataclass(frozen=True)
class Fault:
    """One fault in a source text; line and column count from 1."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        where = f"column {self.column}" if self.line == 1 else f"line {self.line}, column {self.column}"
        return f"{where}: {self.message}"


class ExpressionError(Invalid):
    """A CEL expression cannot be accepted, or gave no value; `faults` holds each reason with its place."""

    code: ClassVar[str] = "expression"

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        super().__init__(
            "; ".join(str(fault) for fault in self.faults),
            [Problem(f"{fault.line}:{fault.column}", fault.message) for fault in self.faults],
        )

    @property
    def line(self) -> int:
        """The line of the first fault, from 1."""
        return self.faults[0].line if self.faults else 1

    @property
    def column(self) -> int:
        """The column of the first fault, from 1."""
        return self.faults[0].column if self.faults else 1


class TemplateError(TocsinError):
    """A template cannot be read, or a value it needs is missing."""

    code, status = "template", 422

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class TemplateTooLarge(TemplateError):
    """A template produced more than it may."""

    code = "template-too-large"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "incident"?`, or what there is when nothing is near and the list is short."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    if 0 < len(names) <= 12:
        return f"; there are: {', '.join(names)}"
    return ""
