"""What a template may use, and how much it may make: the Jinja2 sandbox with limits."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from core.expressions.errors import TemplateError, TemplateTooLarge, did_you_mean

RANGE_LIMIT = 1_000
STEP_LIMIT = 10_000  # loop turns in one render
OUTPUT_LIMIT = 64 * 1024  # characters
PLAIN = (bool, int, float, date, timedelta, UUID, Enum, bytes)
_BITS = 128

_METHODS: tuple[tuple[type, frozenset[str]], ...] = (
    (str, frozenset({"lower", "upper", "strip", "lstrip", "rstrip", "startswith", "endswith", "split", "rsplit",
                     "splitlines", "title", "capitalize", "isdigit", "isalpha", "isalnum", "find", "count",
                     "removeprefix", "removesuffix", "partition", "rpartition"})),
    (Mapping, frozenset({"get", "items", "keys", "values"})),
    (list, frozenset({"index", "count"})),
    (tuple, frozenset({"index", "count"})),
    (date, frozenset({"year", "month", "day", "hour", "minute", "second", "isoformat", "date", "weekday"})),
    (LoopContext, frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem",
                             "nextitem", "cycle", "changed"})),
)  # fmt: skip
_STATEMENTS = (nodes.If, nodes.For, nodes.Assign, nodes.Output)


@dataclass
class Budget:
    """What one render has left."""

    text: int
    steps: int
    null: str | None


_budget: ContextVar[Budget] = ContextVar("budget")


def within(size: int) -> None:
    """Raise TemplateTooLarge when a text or list of `size` would be more than this render may make."""
    if size > room():
        raise TemplateTooLarge(f"the template makes more than {room():,} characters or items")


def begin(limit: int, null: str | None) -> None:
    """Start a render: `limit` characters, `null` in place of null in text (None: refuse null)."""
    _budget.set(Budget(limit, STEP_LIMIT, null))


def room() -> int:
    """How many characters this render may make."""
    budget = _budget.get(None)
    return budget.text if budget is not None else OUTPUT_LIMIT


def null_text() -> str | None:
    """What stands for null in this render's text."""
    budget = _budget.get(None)
    return budget.null if budget is not None else ""


class Missing(StrictUndefined):
    """A name or field that is not there: any use of it is an error that says what there is."""

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or _absent(self._undefined_name, self._undefined_obj)


def _absent(name: Any, holder: Any) -> str:
    if holder is missing:
        return f'there is no "{name}"'
    if isinstance(holder, Mapping):
        return f'there is no "{name}" here{did_you_mean(str(name), map(str, holder))}'
    if holder is None:
        return f'"{name}" was asked of an empty (null) value'
    if isinstance(holder, list | tuple):
        return f"the list has no item {name}" if isinstance(name, int) else f'a list has no "{name}"'
    return f'"{name}" cannot be used on a {type(holder).__name__}'


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 that can read plain values and nothing else, and cannot make much out of little."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic with its result's size known before it is made."""
        if operator == "%" and isinstance(left, str | bytes):
            raise TemplateError("% does not format text here; write the values in {{ }}")
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | bytes | list | tuple) and isinstance(times, int):
                    within(len(many) * max(times, 0))
        if operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            within(len(left) + len(right))
        if operator == "+" and isinstance(left, str) != isinstance(right, str):
            raise TemplateError("+ joins text with text; use ~ to join text with other values")
        if isinstance(left, int) and isinstance(right, int):
            bits = (
                left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            )
            if operator in ("*", "**") and bits > _BITS:
                raise TemplateTooLarge(f"{operator} makes a number that is too large")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A map's own keys come before Python's methods: `output.items` is the key when there is one.

        What is asked of something missing is missing too, so that `| default(…)` works at the end of a path.
        """
        if isinstance(obj, Missing):
            return obj
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """As getattr, for []."""
        return obj if isinstance(obj, Missing) else super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002 - Jinja2's signature
        """Only the methods listed above, on plain values."""
        return any(isinstance(obj, kind) and attr in names for kind, names in _METHODS)

    def is_safe_callable(self, obj: Any) -> bool:
        """Only what is_safe_attribute let through, and `range`."""
        if isinstance(obj, StrictUndefined):
            raise TemplateError(obj._undefined_message)
        if obj is bounded_range:
            return True
        return callable(obj) and isinstance(
            getattr(obj, "__self__", None), str | Mapping | list | tuple | date | LoopContext
        )

    def unsafe_undefined(self, obj: Any, attribute: str) -> Missing:
        """The answer to a forbidden attribute."""
        return Missing(f'"{attribute}" cannot be used on a {type(obj).__name__}', obj, attribute)

    def parse_bounded(self, source: str) -> nodes.Template:
        """Parse, refuse the statements we do not offer, and count every loop's turns."""
        tree = self.parse(source)
        for node in tree.find_all(nodes.Stmt):
            if not isinstance(node, _STATEMENTS) or (isinstance(node, nodes.For) and node.recursive):
                raise TemplateError("only if, for and set can be used in {% %}", line=node.lineno)
        rewritten = _Rewrite().visit(tree)
        assert isinstance(rewritten, nodes.Template)
        rewritten.set_environment(self)
        return rewritten


class _Rewrite(NodeTransformer):
    """`a ~ b` becomes our bounded joining, a loop's list is counted."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja2's visitor names
        inner = self.generic_visit(node)
        assert isinstance(inner, nodes.Concat)
        parts = nodes.List(inner.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja2's visitor names
        inner = self.generic_visit(node)
        assert isinstance(inner, nodes.For)
        inner.iter = nodes.Filter(inner.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return inner


def counted(items: Iterable[Any]) -> Iterator[Any]:
    """The items, each taken from the render's budget of loop turns."""
    budget = _budget.get(None)
    for item in items:
        if budget is not None:
            budget.steps -= 1
            if budget.steps < 0:
                raise TemplateTooLarge(f"the template's loops turn more than {STEP_LIMIT:,} times")
        yield item


def bounded_range(*bounds: int) -> range:
    """range() of at most 1,000 numbers."""
    made = range(*bounds)
    if len(made) > RANGE_LIMIT:
        raise TemplateTooLarge(f"range() gives at most {RANGE_LIMIT:,} numbers")
    return made


def plain(value: Any, limit: int) -> tuple[Any, int]:
    """`value` as plain data, with its size: at most `limit` characters and items altogether.

    Generators, tuples and sets become lists; instants, UUIDs and the like stay as they are.
    """
    left = [limit]

    def spend(amount: int) -> None:
        left[0] -= amount
        if left[0] < 0:
            raise TemplateTooLarge(f"the value is larger than {limit:,} characters and items")

    def walk(item: Any, depth: int) -> Any:
        if depth > 50:
            raise TemplateTooLarge("the value is nested too deeply")
        if isinstance(item, StrictUndefined):
            raise TemplateError(item._undefined_message)
        if isinstance(item, Undefined):  # `a if b` without else
            return None
        if isinstance(item, str):
            spend(len(item))
            return str(item)
        spend(1)
        if item is None or isinstance(item, PLAIN):
            return item
        if isinstance(item, Mapping):
            return {
                (k if isinstance(k, str) else walk(k, depth + 1)): walk(v, depth + 1) for k, v in item.items()
            }
        if isinstance(item, list | tuple | set | frozenset | MappingView) or hasattr(item, "__next__"):
            return [walk(inner, depth + 1) for inner in item]
        if isinstance(item, range):
            return list(item)
        if callable(item):
            raise TemplateError("the template gave a function; is () missing?")
        raise TemplateError(f"the template gave a {type(item).__name__}, which is no plain value")

    made = walk(value, 0)
    return made, limit - left[0]


def instant(value: datetime) -> str:
    """ISO 8601, with Z for UTC."""
    return value.isoformat().replace("+00:00", "Z")


Filter = Callable[..., Any]
