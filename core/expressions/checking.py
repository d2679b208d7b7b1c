"""Check a CEL expression against a schema when it is saved: names, types, functions, cost."""

import cel

from core.expressions.agreement import NUMBERS, can_equal, joined, literal_hint, literal_text, named, plain
from core.expressions.errors import ExpressionError, Fault, did_you_mean
from core.expressions.functions import FUNCTIONS, MACROS, METHODS, RESHAPING, Signature
from core.expressions.parsing import Node, parse
from core.expressions.schema import ANY, BOOL, BYTES, DURATION, FLOAT, INT, NULL, STR, TIMESTAMP, Schema, Type
from core.expressions.values import LIST_LIMIT

_LITERALS = {
    "INT_LIT": INT, "FLOAT_LIT": FLOAT, "STRING_LIT": STR, "MLSTRING_LIT": STR, "BYTES_LIT": BYTES, "BOOL_LIT": BOOL,
    "NULL_LIT": NULL,
}  # fmt: skip
_WRITTEN = {"timestamp": '"2026-03-01T12:00:00Z"', "duration": '"36h", "90m" or "30s"'}
_ADDED = {
    ("timestamp", "duration"): TIMESTAMP,
    ("duration", "timestamp"): TIMESTAMP,
    ("duration", "duration"): DURATION,
}
_TAKEN = {
    ("timestamp", "duration"): TIMESTAMP,
    ("timestamp", "timestamp"): DURATION,
    ("duration", "duration"): DURATION,
}


def check(source: str, schema: Schema, *, routing: bool = False) -> Type:
    """The type `source` gives; raises ExpressionError with every fault found.

    routing=True refuses `map` and `filter`: a rule run on every alert may look into lists, not build them.
    """
    checker = _Checker(schema, routing)
    found = checker.visit(parse(source), {}, 0)
    if checker.faults:
        raise ExpressionError(source, checker.faults)
    return found


class _Checker:
    def __init__(self, schema: Schema, routing: bool) -> None:
        self.schema = schema
        self.routing = routing
        self.faults: list[Fault] = []

    def fault(self, node: Node, message: str) -> Type:
        self.faults.append(Fault(node.line, node.column, message))
        return ANY

    def visit(self, node: Node, bound: dict[str, Type], depth: int) -> Type:
        """The type of `node`; `bound` holds macro variables, `depth` how many macros we are inside."""
        match node.kind:
            case "literal":
                if node.literal == "UINT_LIT":
                    return self.fault(node, f"unsigned numbers are not used here; write {node.text[:-1]}")
                return _LITERALS[node.literal]
            case "name":
                return self._name(node, bound)
            case "field":
                return self._field(node, self.visit(node.children[0], bound, depth))
            case "index":
                return self._index(node, *(self.visit(child, bound, depth) for child in node.children))
            case "method":
                return self._method(node, bound, depth)
            case "call":
                return self._call(node, bound, depth)
            case "list":
                if len(node.children) > LIST_LIMIT:
                    self.fault(node, f"a list may hold {LIST_LIMIT:,} items")
                return Type("list", item=joined([self.visit(child, bound, depth) for child in node.children]))
            case "map":
                kinds = [self.visit(child, bound, depth) for child in node.children]
                return Type("map", item=joined(kinds[1::2]))
            case "or" | "and":
                for child in node.children:
                    self._expect(
                        child, self.visit(child, bound, depth), "bool", f"{node.text} joins true/false values"
                    )
                return BOOL
            case "not":
                self._expect(
                    node.children[0], self.visit(node.children[0], bound, depth), "bool", "! turns true/false"
                )
                return BOOL
            case "negative":
                kind = self.visit(node.children[0], bound, depth)
                self._expect(node.children[0], kind, ("int", "float", "duration"), "- needs a number")
                return kind
            case "ternary":
                asked, then, other = (self.visit(child, bound, depth) for child in node.children)
                self._expect(node.children[0], asked, "bool", "? needs true or false before it")
                return joined([then, other])
            case "binary":
                return self._binary(node, *(self.visit(child, bound, depth) for child in node.children))
        return self.fault(node, "this part of CEL is not supported here")

    def _expect(self, node: Node, found: Type, wanted: str | tuple[str, ...], why: str) -> None:
        kinds = (wanted,) if isinstance(wanted, str) else wanted
        if found.kind != "any" and found.kind not in kinds:
            self.fault(node, f"{why}, but {named(node)} is {found}")

    def _name(self, node: Node, bound: dict[str, Type]) -> Type:
        if node.text in bound:
            return bound[node.text]
        if node.text in self.schema.roots:
            return self.schema.roots[node.text]
        if node.text in ("int", "string", "double", "bool", "bytes", "list", "map", "null_type"):
            return Type("type")
        return self.fault(
            node, f'there is no "{node.text}"{did_you_mean(node.text, [*self.schema.roots, *bound])}'
        )

    def _field(self, node: Node, base: Type) -> Type:
        shown = named(node.children[0])
        if base.kind == "object":
            if node.text in base.fields:
                return base.fields[node.text]
            return self.fault(node, f'{shown} has no "{node.text}"{did_you_mean(node.text, base.fields)}')
        if base.kind == "map":
            return base.element
        if base.kind == "any":
            return ANY
        if base.kind == "list":
            return self.fault(
                node, f"{shown} is a list: write {shown}[0].{node.text} or {shown}.exists(x, x.{node.text} …)"
            )
        return self.fault(node, f'{shown} is {base} and has no "{node.text}"')

    def _index(self, node: Node, base: Type, index: Type) -> Type:
        shown, key = named(node.children[0]), node.children[1]
        if base.kind == "list":
            self._expect(key, index, "int", f"{shown} is a list and needs a number in []")
            return base.element
        if base.kind in ("map", "object"):
            self._expect(key, index, "str", f"{shown} needs a text in []")
            name = literal_text(key)
            if base.kind == "map":
                return base.element
            if name is None:
                return ANY
            if name in base.fields:
                return base.fields[name]
            return self.fault(key, f'{shown} has no "{name}"{did_you_mean(name, base.fields)}')
        if base.kind == "any":
            return ANY
        return self.fault(node, f"{shown} is {base}: [] works on lists and maps")

    def _method(self, node: Node, bound: dict[str, Type], depth: int) -> Type:
        if node.text in MACROS:
            return self._macro(node, bound, depth)
        target, *arguments = node.children
        on = self.visit(target, bound, depth)
        kinds = [self.visit(argument, bound, depth) for argument in arguments]
        signature = METHODS.get(node.text)
        if signature is None:
            return self.fault(
                node, f'there is no function ".{node.text}()"{did_you_mean(node.text, [*METHODS, *MACROS])}'
            )
        assert signature.on is not None
        if on.kind == "list" and node.text == "contains":
            return self.fault(
                node,
                f"{named(target)} is a list: write {named(arguments[0]) if arguments else '…'} in {named(target)}",
            )
        self._expect(
            target, on, signature.on, f".{node.text}() works on {' or '.join(map(plain, signature.on))}"
        )
        return self._arguments(node, signature, arguments, kinds)

    def _call(self, node: Node, bound: dict[str, Type], depth: int) -> Type:
        if node.text == "has":
            return self._has(node, bound, depth)
        kinds = [self.visit(argument, bound, depth) for argument in node.children]
        signature = FUNCTIONS.get(node.text)
        if signature is None:
            hint = did_you_mean(node.text, [*FUNCTIONS, "has"])
            if node.text in METHODS:
                hint = f"; write it after a dot: x.{node.text}(…)"
            return self.fault(node, f'there is no function "{node.text}()"{hint}')
        if node.text in _WRITTEN and len(node.children) == 1:
            self._written(node, node.children[0])
        return self._arguments(node, signature, list(node.children), kinds)

    def _written(self, node: Node, argument: Node) -> None:
        """A time or duration written out must be one."""
        if literal_text(argument) is None:
            return
        try:
            cel.evaluate(f"{node.text}({argument.text})")
        except (RuntimeError, ValueError, ArithmeticError):
            self.fault(argument, f"{argument.text} is no {node.text}; write it like {_WRITTEN[node.text]}")

    def _arguments(self, node: Node, signature: Signature, arguments: list[Node], kinds: list[Type]) -> Type:
        if len(arguments) != len(signature.arguments):
            return self.fault(
                node, f"{node.text}() takes {len(signature.arguments)} argument(s), not {len(arguments)}"
            )
        for argument, found, wanted in zip(arguments, kinds, signature.arguments, strict=True):
            if "any" not in wanted:
                self._expect(
                    argument, found, wanted, f"{node.text}() needs {' or '.join(map(plain, wanted))}"
                )
        if signature.literal:
            self._pattern(node, arguments[0])
        return signature.gives

    def _pattern(self, node: Node, argument: Node) -> None:
        pattern = literal_text(argument)
        if pattern is None:
            self.fault(argument, f"{node.text}() needs its pattern written out in quotes")
            return
        try:
            cel.compile(f'"".{node.text}({argument.text})').execute({})
        except (RuntimeError, ValueError) as error:
            reason = str(error).rpartition("error: ")[2].partition(". Check function")[0]
            self.fault(argument, f"the pattern {argument.text} cannot be used: {reason}")

    def _has(self, node: Node, bound: dict[str, Type], depth: int) -> Type:
        if len(node.children) != 1 or node.children[0].kind != "field":
            return self.fault(node, "has() takes one field: has(x.y)")
        target = node.children[0]
        base = self.visit(target.children[0], bound, depth)
        self._field(target, base)
        if base.kind == "object" and target.text in base.fields:
            self.fault(
                node,
                f"has({named(target)}) is always true, every field is present; write {named(target)} != null",
            )
        return BOOL

    def _macro(self, node: Node, bound: dict[str, Type], depth: int) -> Type:
        target, *rest = node.children
        base = self.visit(target, bound, depth)
        self._expect(target, base, ("list", "map"), f".{node.text}() goes through a list")
        if len(rest) != 2 and not (node.text == "map" and len(rest) == 3):
            return self.fault(node, f".{node.text}() takes a name and a condition: list.{node.text}(x, x …)")
        if rest[0].kind != "name":
            return self.fault(rest[0], f".{node.text}() needs a name first: list.{node.text}(x, x …)")
        if depth >= 1:
            return self.fault(node, f".{node.text}() inside another one takes too long; use one level")
        if self.routing and node.text in RESHAPING:
            return self.fault(
                node, f".{node.text}() is not for rules that run on every alert; use exists() or all()"
            )
        if rest[0].text in self.schema.roots:
            self.fault(rest[0], f'"{rest[0].text}" already has a meaning here; choose another name')
        item = STR if base.kind == "map" else base.element
        inside = {**bound, rest[0].text: item}
        kinds = [self.visit(part, inside, depth + 1) for part in rest[1:]]
        if node.text != "map" or len(rest) == 3:
            self._expect(rest[1], kinds[0], "bool", f".{node.text}() needs a condition")
        if node.text == "map":
            return Type("list", item=kinds[-1])
        return Type("list", item=item) if node.text == "filter" else BOOL

    def _binary(self, node: Node, left: Type, right: Type) -> Type:
        operator = node.text
        if operator in ("==", "!="):
            self._comparable(node, left, right)
            return BOOL
        if operator == "in":
            return self._in(node, left, right)
        if operator in ("<", "<=", ">", ">="):
            return self._ordered(node, left, right)
        if "any" in (left.kind, right.kind):
            return ANY
        pair = (left.kind, right.kind)
        if left.kind == right.kind and left.kind in NUMBERS and (operator != "%" or left.kind == "int"):
            return left
        if operator == "+" and (
            pair in _ADDED or (left.kind == right.kind and left.kind in ("str", "list", "bytes"))
        ):
            return _ADDED.get(pair, left if left.kind == "list" else Type(left.kind))
        if operator == "-" and pair in _TAKEN:
            return _TAKEN[pair]
        hint = ""
        if set(pair) == {"int", "float"}:
            hint = "; turn the whole number into one with double(…)"
        elif "str" in pair and operator == "+":
            hint = "; turn it into text with string(…)"
        return self.fault(node, f"{operator} does not work between {left} and {right}{hint}")

    def _comparable(self, node: Node, left: Type, right: Type) -> None:
        first, second = node.children
        if not can_equal(left, right):
            hint = literal_hint(first, left, second, right) or literal_hint(second, right, first, left)
            self.fault(
                node, f"{named(first)} is {left} and {named(second)} is {right}: they are never equal{hint}"
            )
            return
        for kind, literal, other in ((left, second, first), (right, first, second)):
            text = literal_text(literal)
            if kind.values and text is not None and text not in kind.values:
                self.fault(literal, f'{named(other)} is never "{text}"{did_you_mean(text, kind.values)}')

    def _in(self, node: Node, left: Type, right: Type) -> Type:
        first, second = node.children
        if right.kind == "str":
            return self.fault(
                node, f"{named(second)} is text: write {named(second)}.contains({named(first)})"
            )
        self._expect(second, right, ("list", "map", "object"), "in needs a list after it")
        if right.kind == "list" and not can_equal(left, right.element):
            self.fault(
                node, f"{named(first)} is {left} and {named(second)} holds {right.element}: never found"
            )
        for literal in second.children if second.kind == "list" and left.values else ():
            text = literal_text(literal)
            if text is not None and text not in left.values:
                self.fault(literal, f'{named(first)} is never "{text}"{did_you_mean(text, left.values)}')
        return BOOL

    def _ordered(self, node: Node, left: Type, right: Type) -> Type:
        for child, kind in zip(node.children, (left, right), strict=True):
            if kind.values:
                shown = named(child)
                choice = ", ".join(f'"{value}"' for value in kind.values[-2:])
                return self.fault(
                    node, f"{node.text} would compare {shown} by alphabet; write {shown} in [{choice}]"
                )
        if "any" in (left.kind, right.kind):
            return BOOL
        same = left.kind == right.kind and left.kind in ("int", "float", "str", "timestamp", "duration")
        if not same and not (left.kind in NUMBERS and right.kind in NUMBERS):
            first, second = node.children
            hint = literal_hint(first, left, second, right) or literal_hint(second, right, first, left)
            self.fault(node, f"{node.text} cannot compare {left} with {right}{hint}")
        return BOOL
