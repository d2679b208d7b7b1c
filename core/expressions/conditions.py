"""Conditions and values written in CEL: checked when saved, then run in microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cel

from core.expressions.checking import check
from core.expressions.errors import ExpressionError, Fault
from core.expressions.functions import PROVIDED
from core.expressions.schema import Schema
from core.expressions.values import safe

_RUNTIME_ERRORS = (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError)


class Context:
    """The values conditions are run on: built once per alert (about 200 µs), shared by every rule (2 µs each).

    `cut` names what was too long and was shortened (lists to 1,000 items, texts to 64 KiB).
    Raises TypeError when a value has no form in CEL: our schemas hold plain values only.
    """

    __slots__ = ("_native", "cut")

    def __init__(self, variables: Mapping[str, Any]) -> None:
        cut: list[str] = []
        self._native = cel.Context(
            variables={name: safe(value, cut, name) for name, value in variables.items()},
            functions=dict(PROVIDED),
        )
        self.cut = tuple(cut)


@dataclass(frozen=True, slots=True)
class Result:
    """What a condition said. An error never matches; it is told so that somebody can see it."""

    matched: bool
    error: str | None = None

    def __bool__(self) -> bool:
        return self.matched


_TRUE, _FALSE = Result(True), Result(False)


class Expression:
    """A checked expression that gives a value."""

    __slots__ = ("_program", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            self._program = cel.compile(source)
        except ValueError as error:
            message = str(error).partition("Syntax error: ")[2].partition("\n")[0] or "it is not CEL"
            if "Recursion limit" in message:
                message = "it is nested too deeply; split it"
            raise ExpressionError(source, [Fault(1, 1, f"this cannot be compiled: {message}")]) from None

    def value(self, context: Context) -> Any:
        """The value; lists, maps, texts, numbers, booleans, aware datetimes, timedeltas or None.

        Raises ExpressionError when it cannot be computed from these values.
        """
        try:
            return self._program.execute(context._native)
        except _RUNTIME_ERRORS as error:
            raise ExpressionError(self.source, [Fault(1, 1, _said(error))]) from None


class Condition(Expression):
    """A checked expression that says yes or no."""

    __slots__ = ()

    def holds(self, context: Context) -> Result:
        """Does it hold? Never raises: an error is a Result that did not match and says why."""
        try:
            found = self._program.execute(context._native)
        except _RUNTIME_ERRORS as error:
            return Result(False, f"{_said(error)} in: {self.source}")
        if found is True:
            return _TRUE
        if found is False:
            return _FALSE
        return Result(False, f"it gave {_called(found)} instead of true or false, in: {self.source}")


def compile_condition(source: str, schema: Schema, *, routing: bool = False) -> Condition:
    """A condition over the schema's roots.

    routing=True also refuses `map` and `filter`. Raises ExpressionError with every fault, its place and what to
    write instead. Cached per source and schema.
    """
    return _condition(source.strip(), schema, routing)


def compile_value(source: str, schema: Schema) -> Expression:
    """An expression over the schema's roots that gives any value; raises ExpressionError."""
    return _value(source.strip(), schema)


def evaluate(source: str, context: Context, schema: Schema) -> Any:
    """Check, compile and compute in one go; raises ExpressionError."""
    return compile_value(source, schema).value(context)


@lru_cache(maxsize=4096)
def _condition(source: str, schema: Schema, routing: bool) -> Condition:
    found = check(source, schema, routing=routing)
    if found.kind not in ("bool", "any"):
        raise ExpressionError(
            source, [Fault(1, 1, f"a condition must be true or false, but this is {found}")]
        )
    return Condition(source)


@lru_cache(maxsize=4096)
def _value(source: str, schema: Schema) -> Expression:
    check(source, schema)
    return Expression(source)


def _called(value: object) -> str:
    if value is None:
        return "null"
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "a map"}
    return kinds.get(type(value), "another value")


def _said(error: Exception) -> str:
    text = str(error)
    if isinstance(error, KeyError):
        return f'there is no "{error.args[0]}"'
    if isinstance(error, IndexError):
        return "a list has fewer items than that"
    if "Undefined variable or function: '" in text:
        name = text.partition("'")[2].partition("'")[0]
        return f'"{name}" met an empty (null) value, one of another type, or is not there: test first with != null'
    if "No such overload" in text:
        return "an empty (null) value or a value of another type was compared: test it first with != null"
    return text.partition(". Check function")[0].partition("\n")[0][:300]
